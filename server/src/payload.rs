//! From the body of a request into a store, compared with its checksums before it is visible.

use artifact_store::{ArtifactStore, ArtifactWriter, Attributes, Info, Interface, WriteOptions};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::HeaderMap;
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Result, TrailingHeaders, s3_error};

use crate::error::{body_failed, failed, may_be_for_attributes};
use crate::verify::{Algorithm, Verify, crc64};

/// A body of at most so many bytes is received before the store hears of it, and stored by one call.
const SMALL: u64 = 64 << 10;

/// The length that a request of S3 announces.
pub(crate) fn announced(length: Option<i64>, headers: &HeaderMap) -> S3Result<u64> {
    let length = length.and_then(|length| u64::try_from(length).ok());
    // A body in chunks may come without a length of its own.
    let decoded = || headers.get("x-amz-decoded-content-length")?.to_str().ok()?.parse().ok();
    length.or_else(decoded).ok_or_else(|| s3_error!(MissingContentLength))
}

/// A body that is on its way.
pub(crate) struct Payload {
    body: Option<StreamingBlob>,
    /// `None` where only the body itself says where it ends.
    length: Option<u64>,
    received: u64,
    verify: Verify,
    trailers: Option<TrailingHeaders>,
}

impl Payload {
    pub(crate) fn new(
        body: Option<StreamingBlob>,
        length: Option<u64>,
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
    ) -> S3Result<Self> {
        Ok(Self { body, length, received: 0, verify: Verify::of_headers(headers)?, trailers })
    }

    /// Computes this checksum, too.
    pub(crate) fn hash(&mut self, algorithm: Algorithm) {
        self.verify.hash(algorithm);
    }

    /// The checksum that is known of it, and not kept by every store.
    pub(crate) fn stated(&self) -> Option<(Algorithm, &str)> {
        self.verify.stated()
    }

    /// Stores the body, if it is whole and has all checksums that came with it. Otherwise nothing
    /// is visible of it.
    pub(crate) async fn store(
        self,
        store: &ArtifactStore,
        key: &str,
        options: WriteOptions,
    ) -> S3Result<(Info, Checksum)> {
        self.store_with(store, key, options, None).await
    }

    /// The same with these attributes in place of the others, if the store keeps them.
    pub(crate) async fn store_with(
        self,
        store: &ArtifactStore,
        key: &str,
        options: WriteOptions,
        fuller: Option<Attributes>,
    ) -> S3Result<(Info, Checksum)> {
        let options = options.size(self.length);
        let fuller = fuller.filter(|it| *it != options.attributes);
        let fuller = fuller.filter(|_| store.offers(Interface::Streams));
        if self.length.is_some_and(|length| length <= SMALL) {
            return self.store_small(store, key, options, fuller).await;
        }
        // It cannot be sent to the store a second time. One that keeps some attributes keeps these.
        let keeps_some = !options.attributes.is_empty();
        let options = match fuller.filter(|_| keeps_some) {
            Some(fuller) => options.attributes(fuller),
            None => options,
        };
        self.store_large(store, key, options).await
    }

    async fn store_small(
        mut self,
        store: &ArtifactStore,
        key: &str,
        options: WriteOptions,
        fuller: Option<Attributes>,
    ) -> S3Result<(Info, Checksum)> {
        let announced = self.length.and_then(|length| usize::try_from(length).ok());
        // Memory that grows with each piece leaves gaps behind.
        let mut all = BytesMut::with_capacity(announced.unwrap_or_default());
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        let checksum = self.finish(crc64(&all))?;
        let all = all.freeze();
        if let Some(fuller) = fuller {
            let fuller = options.clone().attributes(fuller);
            match store.put_with(key, all.clone(), fuller).await.map_err(failed) {
                Err(error) if may_be_for_attributes(&error) => {}
                stored => return Ok((stored?, checksum)),
            }
        }
        let info = store.put_with(key, all, options).await.map_err(failed)?;
        Ok((info, checksum))
    }

    async fn store_large(
        mut self,
        store: &ArtifactStore,
        key: &str,
        options: WriteOptions,
    ) -> S3Result<(Info, Checksum)> {
        // A client that sends nothing opens no transfer.
        let first = self.next().await?.unwrap_or_default();
        let mut writer = store.writer(key, options).map_err(failed)?;
        match self.pass(first, &mut writer).await {
            Ok(checksum) => Ok((writer.commit().await.map_err(failed)?, checksum)),
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    async fn pass(mut self, first: Bytes, writer: &mut ArtifactWriter) -> S3Result<Checksum> {
        let mut next = Some(first);
        while let Some(chunk) = next {
            writer.write_chunk(chunk).await.map_err(failed)?;
            next = self.next().await?;
        }
        self.finish(writer.checksum())
    }

    /// The next bytes; `None` once there were as many as announced.
    async fn next(&mut self) -> S3Result<Option<Bytes>> {
        let chunk = match &mut self.body {
            Some(body) => body.next().await.transpose().map_err(|e| body_failed(&e))?,
            None => None,
        };
        let Some(chunk) = chunk else {
            return match self.length.is_none_or(|length| self.received == length) {
                true => Ok(None),
                false => Err(s3_error!(IncompleteBody, "the body is shorter than announced")),
            };
        };
        self.received += chunk.len() as u64;
        if self.length.is_some_and(|length| self.received > length) {
            return Err(s3_error!(IncompleteBody, "the body is longer than announced"));
        }
        self.verify.update(&chunk);
        Ok(Some(chunk))
    }

    fn finish(self, crc64: u64) -> S3Result<Checksum> {
        let trailers = self.trailers.and_then(|trailers| trailers.take());
        self.verify.finish(Some(crc64), trailers.as_ref())
    }
}
