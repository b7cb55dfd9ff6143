//! What has been uploaded, and which uploads there are.

use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use artifact_store::{ArtifactStore, Entry, ListOptions};
use futures::stream::{self, StreamExt, TryStreamExt};
use s3s::dto::*;
use s3s::{S3Request, S3Result};

use super::{AT_ONCE, BEHIND, Meta, Upload, root};
use crate::error::{failed, found};
use crate::etag;
use crate::kept::type_of;
use crate::ops::acl;
use crate::ops::list::{Encoding, most, prefixes};
use crate::served::Service;
use crate::verify::{Algorithm, only, with_sums};

pub(crate) async fn parts(
    service: &Service,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    let (upload, meta) = Upload::of(store, &input.upload_id, &input.key).await?;
    let algorithm = meta.algorithm();
    let (after, most) = (input.part_number_marker.unwrap_or(0), most(input.max_parts)?);
    let (parts, is_truncated) = match most {
        0 => (Vec::new(), false),
        most => upload.parts(after, most).await?,
    };
    let upload = &upload;
    let part = |(number, entry): (i32, Entry)| async move {
        // It may have been removed meanwhile.
        let e_tag = found(store.stat(&entry.key).await)?.as_ref().and_then(etag::of_part);
        let sum = match (algorithm, &e_tag) {
            (Some(algorithm), Some(tag)) => {
                upload.sum(number, tag).await?.map(|value| only(algorithm, value))
            }
            _ => None,
        };
        let part = Part {
            e_tag,
            last_modified: Some(entry.modified.unwrap_or(UNIX_EPOCH).into()),
            part_number: Some(number),
            size: i64::try_from(entry.size).ok(),
            ..Part::default()
        };
        Ok::<_, s3s::S3Error>(with_sums!(sum.unwrap_or_default(), part))
    };
    let parts: Vec<_> = stream::iter(parts).map(part).buffered(AT_ONCE).try_collect().await?;
    let name = |algorithm: Algorithm| algorithm.name().to_ascii_uppercase();
    Ok(ListPartsOutput {
        checksum_algorithm: algorithm.map(|algorithm| name(algorithm).into()),
        checksum_type: meta.checksum.map(|checksum| type_of(checksum.is_composite)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(most).ok(),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        part_number_marker: Some(after),
        parts: Some(parts),
        owner: Some(acl::owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    })
}

pub(crate) async fn uploads(
    service: &Service,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    let store = service.store(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let (prefix, most) = (input.prefix.unwrap_or_default(), most(input.max_uploads)?);
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let marker = input.key_marker.unwrap_or_default();
    let id_marker = input.upload_id_marker.unwrap_or_default();
    let mut all = all(store).await?;
    all.retain(|(id, meta)| {
        let is_behind =
            meta.key > marker || (meta.key == marker && !id_marker.is_empty() && *id > id_marker);
        meta.key.starts_with(&prefix) && is_behind
    });
    all.sort_by(|(one_id, one), (id, meta)| (&one.key, one_id).cmp(&(&meta.key, id)));
    let (mut uploads, mut folded) = (Vec::new(), BTreeSet::new());
    let (mut last, mut is_truncated) = (None, false);
    for (id, meta) in all {
        let name = delimiter.as_deref().and_then(|delimiter| {
            let end = meta.key.get(prefix.len()..)?.find(delimiter)? + delimiter.len();
            meta.key.get(..prefix.len() + end)
        });
        // A page that ended with this prefix has named it.
        let is_known = name.is_some_and(|name| folded.contains(name) || marker.starts_with(name));
        if !is_known && uploads.len() + folded.len() == most {
            is_truncated = most > 0;
            break;
        }
        last = Some((meta.key.clone(), id.clone()));
        match name {
            Some(_) if is_known => {}
            Some(name) => drop(folded.insert(name.to_owned())),
            None => uploads.push(described(id, &meta, encoding)),
        }
    }
    let (next_key, next_id) = last.filter(|_| is_truncated).unzip();
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(prefixes(folded.into_iter().collect(), encoding)),
        delimiter: delimiter.map(|delimiter| encoding.apply(&delimiter)),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        key_marker: Some(encoding.apply(&marker)),
        max_uploads: i32::try_from(most).ok(),
        next_key_marker: next_key.map(|key| encoding.apply(&key)),
        next_upload_id_marker: next_id,
        prefix: Some(encoding.apply(&prefix)),
        upload_id_marker: Some(id_marker),
        uploads: Some(uploads),
        ..ListMultipartUploadsOutput::default()
    })
}

fn described(id: String, meta: &Meta, encoding: Encoding) -> MultipartUpload {
    MultipartUpload {
        initiated: Some(meta.begun().into()),
        key: Some(encoding.apply(&meta.key)),
        owner: Some(acl::owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(id),
        ..MultipartUpload::default()
    }
}

/// The ids of all that begin with the folder of uploads, also of those that have only parts left.
pub(super) async fn ids(store: &ArtifactStore) -> S3Result<Vec<String>> {
    let (mut ids, root) = (Vec::new(), root());
    let mut options = ListOptions::default().delimiter(BEHIND.to_owned());
    loop {
        let page = store.list_page(&root, options.clone()).await.map_err(failed)?;
        let folders = page.prefixes.iter().filter_map(|folder| folder.strip_prefix(&root));
        ids.extend(folders.map(|id| id.trim_end_matches(BEHIND).to_owned()));
        let Some(next) = page.next else { return Ok(ids) };
        options = options.start_after(next);
    }
}

/// All uploads that are not over, with their ids.
async fn all(store: &ArtifactStore) -> S3Result<Vec<(String, Meta)>> {
    let upload = |id: String| async move {
        let Some(upload) = Upload::named(store, &id) else { return Ok(None) };
        // One that is damaged is none that a client could go on with; the log has it.
        Ok::<_, s3s::S3Error>(upload.meta().await.ok().flatten().map(|meta| (id, meta)))
    };
    let all = stream::iter(ids(store).await?).map(upload).buffered(AT_ONCE);
    all.try_filter_map(async |found| Ok(found)).try_collect().await
}
