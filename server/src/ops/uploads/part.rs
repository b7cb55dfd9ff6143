//! One part of an upload.

use std::time::SystemTime;

use artifact_store::{Attributes, ErrorKind, ReadOptions, WriteOptions};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::{LAST_PART, PartSum, Upload};
use crate::access::key_of;
use crate::conditions::asked;
use crate::error::failed;
use crate::etag;
use crate::ops::copy::{located, pass};
use crate::payload::{Payload, announced};
use crate::served::Service;
use crate::verify::{of, with_sums};

pub(crate) async fn upload(
    service: &Service,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    let store = service.object(&input.bucket, &input.key)?;
    check_number(input.part_number)?;
    let length = announced(input.content_length, &headers)?;
    let mut body = Payload::new(input.body, Some(length), &headers, trailing_headers)?;
    let (upload, meta) = Upload::of(store, &input.upload_id, &input.key).await?;
    let algorithm = meta.algorithm();
    if let Some(algorithm) = algorithm {
        body.hash(algorithm);
    }
    let key = upload.part_key(input.part_number);
    let (info, checksum) = body.store(store, &key, WriteOptions::default()).await?;
    let e_tag = etag::of_part(&info);
    let value = algorithm.and_then(|algorithm| of(&checksum, algorithm));
    if let (Some(tag), Some(value)) = (&e_tag, value) {
        let sum = PartSum { tag: tag.value().to_owned(), value: value.to_owned() };
        upload.note(&upload.sum_key(input.part_number), &sum).await?;
    }
    Ok(with_sums!(checksum, UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
}

pub(crate) async fn copy(
    service: &Service,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let by = key_of(&request)?;
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    check_number(input.part_number)?;
    let (_, source, source_key) = located(service, &by, &input.copy_source)?;
    let range = input.copy_source_range.as_deref().map(range).transpose()?;
    let (upload, _) = Upload::of(store, &input.upload_id, &input.key).await?;
    let beyond = || s3_error!(InvalidRange, "the range is not within the source");
    let options = range.map_or(ReadOptions::default(), |(first, last)| {
        ReadOptions::default().offset(first).length(last - first + 1)
    });
    let reader = source.read(source_key, options).await.map_err(|error| match error.kind() {
        ErrorKind::InvalidRange => beyond(),
        _ => failed(error),
    })?;
    if range.is_some_and(|(_, last)| last >= reader.info().size) {
        return Err(beyond());
    }
    asked!(input, source).check_source(reader.info())?;
    let key = upload.part_key(input.part_number);
    let options = WriteOptions::default();
    let info = pass(reader, store, &key, options, Some(Attributes::new())).await?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: etag::of_part(&info),
            last_modified: Some(info.modified.unwrap_or_else(SystemTime::now).into()),
            ..CopyPartResult::default()
        }),
        ..UploadPartCopyOutput::default()
    })
}

fn check_number(number: i32) -> S3Result<()> {
    match (1..=LAST_PART).contains(&number) {
        true => Ok(()),
        false => Err(s3_error!(InvalidArgument, "a part has a number from 1 to {LAST_PART}")),
    }
}

/// The first and the last byte.
fn range(text: &str) -> S3Result<(u64, u64)> {
    match Range::parse(text) {
        Ok(Range::Int { first, last: Some(last) }) => Ok((first, last)),
        _ => Err(s3_error!(InvalidArgument, "a range to copy is `bytes=FIRST-LAST`")),
    }
}
