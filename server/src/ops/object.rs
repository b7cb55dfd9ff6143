//! One object: stored, read and described.

use artifact_store::{Info, WriteOptions};
use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::access::key_of;
use crate::attributes::{self, NO_TYPE, sent};
use crate::conditions::{self, asked};
use crate::error::custom;
use crate::etag;
use crate::opened::{Opened, info};
use crate::payload::{Payload, announced};
use crate::served::Service;
use crate::verify::encoded;

pub(crate) async fn put(
    service: &Service,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let by = key_of(&request)?;
    let S3Request { mut input, headers, trailing_headers, .. } = request;
    let store = service.object(&input.bucket, &input.key)?;
    let attributes = sent!(input).attributes()?;
    let length = announced(input.content_length, &headers)?;
    let body = Payload::new(input.body, Some(length), &headers, trailing_headers)?;
    let (if_match, if_none_match) = (input.if_match, input.if_none_match);
    let write = conditions::write(store, &input.key, &by, if_match, if_none_match).await?;
    let options = WriteOptions::default().mode(write.mode.clone()).attributes(attributes);
    let stored = body.store(store, &input.key, options).await;
    let (info, checksum) = stored.map_err(|error| write.explain(error))?;
    Ok(PutObjectOutput {
        e_tag: etag::of(&info),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: Some(full_object()),
        ..PutObjectOutput::default()
    })
}

pub(crate) async fn get(
    service: &Service,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    let range = range(input.range, input.part_number)?;
    let opened = Opened::open(store, &input.key, range, &asked!(input)).await?;
    let (info, length) = (&opened.info, opened.length());
    let whole = length == info.size;
    let output = GetObjectOutput {
        content_length: i64::try_from(length).ok(),
        content_range: opened.content_range(),
        ..described(info)
    };
    let asks = input.checksum_mode.is_some() && whole;
    Ok(GetObjectOutput {
        checksum_crc64nvme: info.checksum.filter(|_| asks).map(encoded),
        checksum_type: info.checksum.filter(|_| asks).map(|_| full_object()),
        body: Some(opened.body),
        ..output
    })
}

/// The headers of an object.
fn described(info: &Info) -> GetObjectOutput {
    let standard = |name| attributes::standard(&info.attributes, name);
    GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        e_tag: etag::of(info),
        last_modified: info.modified.map(Into::into),
        content_type: standard("content-type").or_else(|| Some(NO_TYPE.into())),
        content_encoding: standard("content-encoding"),
        content_disposition: standard("content-disposition"),
        content_language: standard("content-language"),
        cache_control: standard("cache-control"),
        metadata: attributes::metadata(&info.attributes),
        ..GetObjectOutput::default()
    }
}

pub(crate) async fn head(
    service: &Service,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    range(None, input.part_number)?;
    let info = info(store, &input.key).await?;
    asked!(input).check(&info)?;
    let asks = input.checksum_mode.is_some();
    let same = described(&info);
    Ok(HeadObjectOutput {
        accept_ranges: same.accept_ranges,
        e_tag: same.e_tag,
        last_modified: same.last_modified,
        content_length: i64::try_from(info.size).ok(),
        content_type: same.content_type,
        content_encoding: same.content_encoding,
        content_disposition: same.content_disposition,
        content_language: same.content_language,
        cache_control: same.cache_control,
        metadata: same.metadata,
        checksum_crc64nvme: info.checksum.filter(|_| asks).map(encoded),
        checksum_type: info.checksum.filter(|_| asks).map(|_| full_object()),
        ..HeadObjectOutput::default()
    })
}

pub(crate) async fn attributes(
    service: &Service,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<GetObjectAttributesOutput> {
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    let info = info(store, &input.key).await?;
    // One header may name several.
    let asked = input.object_attributes.iter().flat_map(|list| list.as_str().split(','));
    let asked: Vec<_> = asked.map(str::trim).collect();
    let asks = |name: &str| asked.contains(&name);
    let checksum = info.checksum.filter(|_| asks("Checksum")).map(|value| Checksum {
        checksum_crc64nvme: Some(encoded(value)),
        checksum_type: Some(full_object()),
        ..Checksum::default()
    });
    Ok(GetObjectAttributesOutput {
        checksum,
        e_tag: etag::of(&info).filter(|_| asks("ETag")),
        last_modified: info.modified.map(Into::into),
        object_size: i64::try_from(info.size).ok().filter(|_| asks("ObjectSize")),
        storage_class: asks("StorageClass")
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        ..GetObjectAttributesOutput::default()
    })
}

/// The part that is asked for. An object's only part is the whole.
fn range(range: Option<Range>, part: Option<PartNumber>) -> S3Result<Option<Range>> {
    match (range, part) {
        (range, None) => Ok(range),
        (None, Some(1)) => Ok(None),
        (Some(_), Some(_)) => Err(s3_error!(InvalidRequest, "a range or a part, not both")),
        (None, Some(_)) => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            Err(custom("InvalidPartNumber", status, "the object has one part"))
        }
    }
}

pub(crate) fn full_object() -> ChecksumType {
    ChecksumType::from_static(ChecksumType::FULL_OBJECT)
}
