//! One object: stored, read and described.

use artifact_store::{Info, WriteOptions};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::access::key_of;
use crate::attributes::{self, NO_TYPE, sent};
use crate::conditions::{self, asked};
use crate::etag;
use crate::kept::{Kept, type_of};
use crate::opened::{Opened, info, no_part};
use crate::ops::list;
use crate::payload::{Payload, announced};
use crate::served::Service;
use crate::verify::with_sums;

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
    let fuller = body
        .stated()
        .map(|(algorithm, text)| Kept::single(algorithm, text).beside(store))
        .map(|kept| kept.add_to(attributes.clone()));
    let options = WriteOptions::default().mode(write.mode.clone()).attributes(attributes);
    let stored = body.store_with(store, &input.key, options, fuller).await;
    let (info, checksum) = stored.map_err(|error| write.explain(error))?;
    let output = PutObjectOutput {
        e_tag: etag::of(&info),
        checksum_type: Some(type_of(false)),
        ..PutObjectOutput::default()
    };
    Ok(with_sums!(checksum, output))
}

pub(crate) async fn get(
    service: &Service,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    let number = part(input.part_number, input.range.as_ref())?;
    let opened = match number {
        Some(number) => Opened::open_part(store, &input.key, number, &asked!(input)).await?,
        None => Opened::open(store, &input.key, input.range, &asked!(input)).await?,
    };
    let (info, length) = (&opened.info, opened.length());
    let asks = number.is_some() || (input.checksum_mode.is_some() && length == info.size);
    // Most requests ask for nothing of it.
    let kept = if asks { Kept::of(info) } else { Kept::default() };
    let checksum = match number {
        // As on AWS, that of a part needs no asking.
        Some(number) => kept.part(number, info.checksum),
        None if asks => kept.whole(info.checksum),
        None => Checksum::default(),
    };
    let output = GetObjectOutput {
        content_length: i64::try_from(length).ok(),
        content_range: opened.content_range(),
        parts_count: number.and_then(|_| kept.count()),
        checksum_type: checksum.checksum_type.clone(),
        ..described(info)
    };
    Ok(with_sums!(checksum, GetObjectOutput { body: Some(opened.body), ..output }))
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
    let number = part(input.part_number, input.range.as_ref())?;
    let info = info(store, &input.key).await?;
    let kept = Kept::of(&info);
    let part =
        number.map(|number| kept.range(number, info.size).ok_or_else(no_part)).transpose()?;
    asked!(input).check(&info)?;
    let checksum = match (number, input.checksum_mode.is_some()) {
        (_, false) => Checksum::default(),
        (Some(number), true) => kept.part(number, info.checksum),
        (None, true) => kept.whole(info.checksum),
    };
    let same = described(&info);
    let output = HeadObjectOutput {
        accept_ranges: same.accept_ranges,
        e_tag: same.e_tag,
        last_modified: same.last_modified,
        content_length: i64::try_from(part.map_or(info.size, |part| part.end - part.start)).ok(),
        parts_count: number.and_then(|_| kept.count()),
        content_type: same.content_type,
        content_encoding: same.content_encoding,
        content_disposition: same.content_disposition,
        content_language: same.content_language,
        cache_control: same.cache_control,
        metadata: same.metadata,
        checksum_type: checksum.checksum_type.clone(),
        ..HeadObjectOutput::default()
    };
    Ok(with_sums!(checksum, output))
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
    let kept = Kept::of(&info);
    let checksum = Some(kept.whole(info.checksum)).filter(|it| it.checksum_type.is_some());
    let parts = match asks("ObjectParts") {
        true => parts(&kept, &info, input.part_number_marker, input.max_parts)?,
        false => None,
    };
    Ok(GetObjectAttributesOutput {
        checksum: checksum.filter(|_| asks("Checksum")),
        object_parts: parts,
        e_tag: etag::of(&info).filter(|_| asks("ETag")),
        last_modified: info.modified.map(Into::into),
        object_size: i64::try_from(info.size).ok().filter(|_| asks("ObjectSize")),
        storage_class: asks("StorageClass")
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        ..GetObjectAttributesOutput::default()
    })
}

/// The parts behind the number `after`, of an object that was uploaded in parts.
fn parts(
    kept: &Kept,
    info: &Info,
    after: Option<i32>,
    most: Option<i32>,
) -> S3Result<Option<GetObjectAttributesParts>> {
    let Some(count) = kept.count() else { return Ok(None) };
    let (after, most) = (after.unwrap_or(0).clamp(0, count), list::most(most)?);
    let last = i32::try_from(most).map_or(count, |most| after.saturating_add(most).min(count));
    let part = |number: i32| {
        let bytes = kept.range(number, info.size)?;
        let part = ObjectPart {
            part_number: Some(number),
            size: i64::try_from(bytes.end - bytes.start).ok(),
            ..ObjectPart::default()
        };
        Some(with_sums!(kept.part(number, info.checksum), part))
    };
    Ok(Some(GetObjectAttributesParts {
        is_truncated: Some(last < count),
        max_parts: i32::try_from(most).ok(),
        next_part_number_marker: Some(last),
        part_number_marker: Some(after),
        parts: Some((after + 1..=last).filter_map(part).collect()),
        total_parts_count: Some(count),
    }))
}

/// The number of the part that is asked for.
fn part(number: Option<PartNumber>, range: Option<&Range>) -> S3Result<Option<PartNumber>> {
    match number.is_some() && range.is_some() {
        true => Err(s3_error!(InvalidRequest, "a range or a part, not both")),
        false => Ok(number),
    }
}
