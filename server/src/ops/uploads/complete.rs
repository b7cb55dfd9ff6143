//! The end of an upload: its parts become one object.

use std::collections::HashMap;
use std::sync::Arc;

use artifact_store::{
    ArtifactStore, ArtifactWriter, Attributes, Entry, ErrorKind, Info, Mode, ReadOptions,
    WriteOptions,
};
use futures::future::BoxFuture;
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::{Done, Upload};
use crate::access::key_of;
use crate::conditions::{self, Write};
use crate::error::failed;
use crate::etag;
use crate::ops::object::full_object;
use crate::served::Service;
use crate::verify::{Algorithm, Verify};

/// The least size of each part but the last one, as on AWS.
const LEAST: u64 = 5 << 20;

pub(crate) async fn complete(
    service: &Service,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let turn = service.completing.turn(&request.input.upload_id);
    let mut job: BoxFuture<'static, _> = match Arc::clone(&turn).try_lock_owned() {
        Ok(turn) => {
            let begun = begin(service, request).await?;
            Box::pin(async move {
                let _turn = turn;
                begun.finish().await
            })
        }
        Err(_) => {
            let service = service.clone();
            Box::pin(async move {
                let _turn = turn.lock_owned().await;
                begin(&service, request).await?.finish().await
            })
        }
    };
    match tokio::time::timeout(service.answer_after, &mut job).await {
        Ok(done) => done,
        // The client is not to give up: its answer begins.
        Err(_) => Ok(CompleteMultipartUploadOutput {
            future: Some(job),
            ..CompleteMultipartUploadOutput::default()
        }),
    }
}

/// What is left to do, once everything that can be refused at once was looked at.
enum Begun {
    /// The bucket, the key and what the upload has become before.
    Done(String, String, Done),
    Job(Box<Job>, Write),
}

impl Begun {
    async fn finish(self) -> S3Result<CompleteMultipartUploadOutput> {
        match self {
            Self::Done(bucket, key, done) => Ok(answer(bucket, key, done.tag.map(ETag::Strong))),
            Self::Job(job, write) => job.run().await.map_err(|error| write.explain(error)),
        }
    }
}

async fn begin(
    service: &Service,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<Begun> {
    let by = key_of(&request)?;
    let S3Request { input, headers, .. } = request;
    let store = service.object(&input.bucket, &input.key)?;
    let (upload, meta) = match Upload::of(store, &input.upload_id, &input.key).await {
        // A client that did not get the answer asks again.
        Err(error) if *error.code() == S3ErrorCode::NoSuchUpload => {
            let done = Upload::done(store, &input.upload_id, &input.key).await?;
            return done.map(|done| Begun::Done(input.bucket, input.key, done)).ok_or(error);
        }
        found => found?,
    };
    let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let parts = chosen(&upload, listed).await?;
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|expected| u64::try_from(expected) != Ok(size)) {
        return Err(s3_error!(InvalidRequest, "the parts have {size} bytes together"));
    }
    let verify = Verify::of_headers(&checksums_of(&headers))?;
    let (if_match, if_none_match) = (input.if_match, input.if_none_match);
    let write = conditions::write(store, &input.key, &by, if_match, if_none_match).await?;
    let job = Job {
        store: store.clone(),
        bucket: input.bucket,
        key: input.key,
        id: input.upload_id,
        mode: write.mode.clone(),
        attributes: meta.attributes(),
        parts,
        verify,
        size,
    };
    Ok(Begun::Job(Box::new(job), write))
}

/// The headers that are checksums of the whole object, and not of the list of its parts.
fn checksums_of(headers: &HeaderMap) -> HeaderMap {
    let all = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amz-checksum-"));
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A part of the list that the client sent, as it is stored.
struct Part {
    number: i32,
    key: String,
    /// What the client was told when it sent the part.
    tag: ETag,
    size: u64,
    verify: Verify,
}

/// The stored parts that the client lists.
async fn chosen(upload: &Upload<'_>, listed: Vec<CompletedPart>) -> S3Result<Vec<Part>> {
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload has at least one part"));
    }
    let numbers: Vec<_> = listed.iter().map(|part| part.part_number.unwrap_or(0)).collect();
    if !numbers.is_sorted_by(|one, next| one < next) {
        return Err(s3_error!(InvalidPartOrder, "the parts have to be in ascending order"));
    }
    let (stored, _) = upload.parts(0, usize::MAX).await?;
    let stored: HashMap<_, _> = stored.into_iter().collect();
    let last = listed.len() - 1;
    let part = |(n, listed): (usize, CompletedPart)| {
        let entry = stored.get(&listed.part_number.unwrap_or(0));
        one(listed, entry, n == last)
    };
    listed.into_iter().enumerate().map(part).collect()
}

fn one(listed: CompletedPart, entry: Option<&Entry>, is_last: bool) -> S3Result<Part> {
    let number = listed.part_number.unwrap_or(0);
    let missing = || another(number);
    let entry = entry.ok_or_else(missing)?;
    // It is compared when the part is read.
    let tag = listed.e_tag.ok_or_else(missing)?;
    if entry.size < LEAST && !is_last {
        return Err(s3_error!(EntityTooSmall, "part {number} has less than {LEAST} bytes"));
    }
    let mut verify = Verify::of_part();
    for (algorithm, value) in [
        (Algorithm::Crc32, listed.checksum_crc32),
        (Algorithm::Crc32c, listed.checksum_crc32c),
        (Algorithm::Crc64Nvme, listed.checksum_crc64nvme),
        (Algorithm::Sha1, listed.checksum_sha1),
        (Algorithm::Sha256, listed.checksum_sha256),
    ] {
        if let Some(value) = value {
            verify.expect(algorithm, &value)?;
        }
    }
    Ok(Part { number, key: entry.key.clone(), tag, size: entry.size, verify })
}

fn another(number: i32) -> S3Error {
    s3_error!(InvalidPart, "part {number} was not uploaded, or is another one")
}

/// The parts as they become one object.
struct Job {
    store: ArtifactStore,
    bucket: String,
    key: String,
    id: String,
    mode: Mode,
    attributes: Attributes,
    parts: Vec<Part>,
    verify: Verify,
    size: u64,
}

impl Job {
    async fn run(self) -> S3Result<CompleteMultipartUploadOutput> {
        let Self { store, bucket, key, id, mode, attributes, parts, verify, size } = self;
        let options = WriteOptions::default().mode(mode).attributes(attributes).size(size);
        let mut writer = store.writer(&key, options).map_err(failed)?;
        let (info, checksum) = match write(&store, parts, verify, &mut writer).await {
            Ok(checksum) => (writer.commit().await.map_err(failed)?, checksum),
            Err(error) => {
                writer.abort().await;
                return Err(error);
            }
        };
        clean_up(&store, &id, &key, &info).await;
        Ok(CompleteMultipartUploadOutput {
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            checksum_type: Some(full_object()),
            ..answer(bucket, key, etag::of(&info))
        })
    }
}

/// Writes all parts, each compared with its checksums and tag.
async fn write(
    store: &ArtifactStore,
    parts: Vec<Part>,
    mut whole: Verify,
    writer: &mut ArtifactWriter,
) -> S3Result<Checksum> {
    for Part { number, key, tag, size, mut verify } in parts {
        let reader = store.read(&key, ReadOptions::default()).await;
        let mut reader = reader.map_err(|error| match error.kind() {
            ErrorKind::NotFound => s3_error!(NoSuchUpload, "the upload was aborted meanwhile"),
            _ => failed(error),
        })?;
        let stored = etag::of_part(reader.info());
        if reader.info().size != size || stored.is_none_or(|stored| !tag.weak_cmp(&stored)) {
            return Err(another(number));
        }
        while let Some(chunk) = reader.next_chunk().await.map_err(failed)? {
            verify.update(&chunk);
            whole.update(&chunk);
            writer.write_chunk(chunk).await.map_err(failed)?;
        }
        verify.finish(None, None)?;
    }
    whole.finish(Some(writer.checksum()), None)
}

/// The object is stored. If this fails, the upload is swept later.
async fn clean_up(store: &ArtifactStore, id: &str, key: &str, info: &Info) {
    let Some(upload) = Upload::named(store, id) else { return };
    let tag = etag::of(info).map(|tag| tag.value().to_owned());
    let noted = upload.note(&Done { key: key.to_owned(), tag }).await;
    if let Err(error) = noted.and(upload.remove().await) {
        tracing::warn!(%error, upload = id, "the parts of a complete upload stay for now");
    }
}

/// The answer to a client that asks for what has been done.
fn answer(bucket: String, key: String, e_tag: Option<ETag>) -> CompleteMultipartUploadOutput {
    CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag,
        ..CompleteMultipartUploadOutput::default()
    }
}
