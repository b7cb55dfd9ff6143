//! The end of an upload: its parts become one object.

use std::collections::HashMap;
use std::sync::Arc;

use artifact_store::{
    ArtifactReader, ArtifactStore, ArtifactWriter, Attributes, Entry, ErrorKind, Info, Mode,
    ReadOptions, WriteOptions,
};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::{AT_ONCE, Done, Upload};
use crate::access::key_of;
use crate::conditions::{self, Write};
use crate::error::{failed, may_be_for_attributes};
use crate::etag;
use crate::kept::{Kept, Value, type_of};
use crate::served::Service;
use crate::verify::{Algorithm, Verify, algorithm, of, set, with_sums};

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
            Self::Done(bucket, key, done) => {
                let checksum = told(done.checksums);
                Ok(answer(bucket, key, done.tag.map(ETag::Strong), checksum))
            }
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
    let summed = meta.checksum.as_ref();
    let composite = summed.filter(|it| it.is_composite).map(|it| it.algorithm);
    let (headers, expected) = checksums_of(&headers, composite)?;
    Verify::of_headers(&headers)?;
    let (if_match, if_none_match) = (input.if_match, input.if_none_match);
    let write = conditions::write(store, &input.key, &by, if_match, if_none_match).await?;
    let job = Job {
        store: store.clone(),
        bucket: input.bucket,
        key: input.key,
        id: input.upload_id,
        mode: write.mode.clone(),
        attributes: meta.attributes(),
        algorithm: meta.algorithm(),
        is_composite: composite.is_some(),
        parts,
        headers,
        expected,
        size,
    };
    Ok(Begun::Job(Box::new(job), write))
}

/// The headers that are checksums of all bytes, and the value that the checksum of the checksums of the
/// parts is to have.
fn checksums_of(
    headers: &HeaderMap,
    composite: Option<Algorithm>,
) -> S3Result<(HeaderMap, Option<String>)> {
    let (mut of_bytes, mut expected) = (HeaderMap::new(), None);
    for (name, value) in headers {
        match algorithm(name.as_str()) {
            Ok(Some(algorithm)) if Some(algorithm) == composite => {
                let text = value.to_str().ok();
                let text = text.ok_or_else(|| s3_error!(InvalidRequest, "`{name}`: no text"))?;
                expected = Some(text.to_owned());
            }
            Ok(None) => {}
            _ => drop(of_bytes.append(name, value.clone())),
        }
    }
    Ok((of_bytes, expected))
}

/// A part of the list that the client sent, as it is stored.
struct Part {
    number: i32,
    key: String,
    /// What the client was told when it sent the part.
    tag: ETag,
    size: u64,
    expected: Vec<(Algorithm, String)>,
}

impl Part {
    fn verify(&self) -> S3Result<Verify> {
        let mut verify = Verify::of_part();
        for (algorithm, value) in &self.expected {
            verify.expect(*algorithm, value)?;
        }
        Ok(verify)
    }

    /// Opens the part that the client lists, and no other.
    async fn open(&self, store: &ArtifactStore) -> S3Result<ArtifactReader> {
        let reader = store.read(&self.key, ReadOptions::default()).await;
        let reader = reader.map_err(|error| match error.kind() {
            ErrorKind::NotFound => s3_error!(NoSuchUpload, "the upload was aborted meanwhile"),
            _ => failed(error),
        })?;
        let stored = etag::of_part(reader.info());
        let is_it = stored.is_some_and(|stored| self.tag.weak_cmp(&stored));
        match is_it && reader.info().size == self.size {
            true => Ok(reader),
            false => Err(another(self.number)),
        }
    }

    /// Its checksum.
    async fn sum(&self, upload: &Upload<'_>, algorithm: Algorithm) -> S3Result<String> {
        if let Some(noted) = upload.sum(self.number, &self.tag).await? {
            return Ok(noted);
        }
        // A part that was copied, or sent twice at once.
        let (mut reader, mut verify) = (self.open(upload.store).await?, Verify::of_part());
        verify.hash(algorithm);
        while let Some(chunk) = reader.next_chunk().await.map_err(failed)? {
            verify.update(&chunk);
        }
        let found = verify.finish(None, None)?;
        of(&found, algorithm).map(str::to_owned).ok_or_else(|| s3_error!(InternalError))
    }
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
    let expected = [
        (Algorithm::Crc32, listed.checksum_crc32),
        (Algorithm::Crc32c, listed.checksum_crc32c),
        (Algorithm::Crc64Nvme, listed.checksum_crc64nvme),
        (Algorithm::Sha1, listed.checksum_sha1),
        (Algorithm::Sha256, listed.checksum_sha256),
    ];
    let expected = expected.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?)));
    let expected = expected.collect();
    let part = Part { number, key: entry.key.clone(), tag, size: entry.size, expected };
    part.verify().map(|_| part)
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
    /// Of the checksums of the parts that are kept.
    algorithm: Option<Algorithm>,
    /// Whether the checksum of the whole is that of those.
    is_composite: bool,
    parts: Vec<Part>,
    /// With checksums of all bytes.
    headers: HeaderMap,
    /// The checksum of those of the parts.
    expected: Option<String>,
    size: u64,
}

impl Job {
    async fn run(mut self) -> S3Result<CompleteMultipartUploadOutput> {
        let kept = self.sum_up().await?;
        let attributes = kept.clone().beside(&self.store).add_to(self.attributes.clone());
        let is_more = attributes != self.attributes;
        let stored = match self.store(attributes).await {
            // A store that keeps none, or not so many, keeps the bytes all the same.
            Err(error) if is_more && may_be_for_attributes(&error) => {
                self.store(self.attributes.clone()).await
            }
            stored => stored,
        };
        let (info, checksum) = stored?;
        let checksum = match kept.whole(None) {
            Checksum { checksum_type: None, .. } => {
                Checksum { checksum_type: Some(type_of(false)), ..checksum }
            }
            kept => kept,
        };
        self.clean_up(&info, &checksum).await;
        Ok(answer(self.bucket, self.key, etag::of(&info), checksum))
    }

    /// What is kept of the parts, of which each is to have its checksum when it is read.
    async fn sum_up(&mut self) -> S3Result<Kept> {
        let sizes: Vec<_> = self.parts.iter().map(|part| part.size).collect();
        let Some(algorithm) = self.algorithm else { return Ok(Kept::new(sizes, None, None)) };
        let upload = Upload::named(&self.store, &self.id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let sums: Vec<_> = self.parts.iter().map(|part| part.sum(&upload, algorithm)).collect();
        let sums: Vec<_> = stream::iter(sums).buffered(AT_ONCE).try_collect().await?;
        for (part, sum) in self.parts.iter_mut().zip(&sums) {
            part.expected.push((algorithm, sum.clone()));
        }
        let whole = match self.is_composite {
            true => Value::composite(algorithm, &sums),
            false => Value::combined(algorithm, &sums, &sizes),
        };
        if self.expected.is_some() && self.expected != whole.as_ref().map(|it| it.text.clone()) {
            let name = algorithm.name();
            return Err(s3_error!(BadDigest, "the parts have another {name} than the one sent"));
        }
        Ok(Kept::new(sizes, whole, Some((algorithm, sums))))
    }

    /// The parts, one behind the other.
    async fn store(&self, attributes: Attributes) -> S3Result<(Info, Checksum)> {
        let mode = self.mode.clone();
        let options = WriteOptions::default().mode(mode).attributes(attributes).size(self.size);
        let mut writer = self.store.writer(&self.key, options).map_err(failed)?;
        match self.write(&mut writer).await {
            Ok(checksum) => Ok((writer.commit().await.map_err(failed)?, checksum)),
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    /// Writes all parts, each compared with its checksums and tag.
    async fn write(&self, writer: &mut ArtifactWriter) -> S3Result<Checksum> {
        let mut whole = Verify::of_headers(&self.headers)?;
        for part in &self.parts {
            let (mut reader, mut verify) = (part.open(&self.store).await?, part.verify()?);
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
    async fn clean_up(&self, info: &Info, checksum: &Checksum) {
        let Some(upload) = Upload::named(&self.store, &self.id) else { return };
        let tag = etag::of(info).map(|tag| tag.value().to_owned());
        let done = Done { key: self.key.clone(), tag, checksums: noted(checksum) };
        let noted = upload.note(&upload.done_key, &done).await;
        if let Err(error) = noted.and(upload.remove().await) {
            tracing::warn!(%error, upload = self.id, "the parts of a complete upload stay for now");
        }
    }
}

/// What a client is told that asks for what has been done.
fn answer(
    bucket: String,
    key: String,
    e_tag: Option<ETag>,
    checksum: Checksum,
) -> CompleteMultipartUploadOutput {
    let output = CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag,
        checksum_type: checksum.checksum_type.clone(),
        ..CompleteMultipartUploadOutput::default()
    };
    with_sums!(checksum, output)
}

/// The checksums of an object by their algorithms.
fn noted(checksum: &Checksum) -> Vec<(Algorithm, String)> {
    Algorithm::all().filter_map(|it| Some((it, of(checksum, it)?.to_owned()))).collect()
}

/// The reverse.
fn told(noted: Vec<(Algorithm, String)>) -> Checksum {
    let is_composite = noted.iter().any(|(_, value)| value.contains('-'));
    let mut checksum = Checksum::default();
    for (algorithm, value) in noted {
        set(&mut checksum, algorithm, value);
        checksum.checksum_type = Some(type_of(is_composite));
    }
    checksum
}
