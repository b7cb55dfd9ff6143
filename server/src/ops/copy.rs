//! Copies within a store and from one to another.

use std::time::SystemTime;

use artifact_store::{ArtifactReader, ArtifactStore, Attributes, Info, ReadOptions, WriteOptions};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::access::{check_bucket, key_of};
use crate::attributes::sent;
use crate::conditions::{self, asked, condition};
use crate::error::failed;
use crate::etag;
use crate::keys::Key;
use crate::served::{Service, check_version};

pub(crate) async fn copy(
    service: &Service,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let by = key_of(&request)?;
    let S3Request { mut input, headers, .. } = request;
    let target = service.object(&input.bucket, &input.key)?;
    let (from, source, source_key) = located(service, &by, &input.copy_source)?;
    let is_replaced = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(_) => return Err(s3_error!(InvalidArgument, "unknown metadata directive")),
    };
    let is_same_bucket = from == input.bucket;
    if is_same_bucket && source_key == input.key && !is_replaced {
        let text = "a copy onto itself has to replace the metadata";
        return Err(s3_error!(InvalidRequest, "{text}"));
    }
    let attributes = if is_replaced { Some(sent!(input).attributes()?) } else { None };
    let (is, not) = (condition(&headers, "if-match")?, condition(&headers, "if-none-match")?);
    let write = conditions::write(target, &input.key, &by, is, not).await?;
    let conditions = asked!(input, source);
    let copied = match (is_same_bucket, &attributes) {
        // A condition and the bytes have to be of one generation.
        (true, None) if conditions.are_none() => {
            source.copy_with(source_key, &input.key, write.mode.clone()).await.map_err(failed)
        }
        _ => {
            let options = WriteOptions::default().mode(write.mode.clone());
            let reader = source.read(source_key, ReadOptions::default()).await.map_err(failed)?;
            conditions.check_source(reader.info())?;
            pass(reader, target, &input.key, options, attributes).await
        }
    };
    let info = copied.map_err(|error| write.explain(error))?;
    Ok(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: etag::of(&info),
            last_modified: Some(info.modified.unwrap_or_else(SystemTime::now).into()),
            ..CopyObjectResult::default()
        }),
        ..CopyObjectOutput::default()
    })
}

/// The bucket, store and key that a copy is made of, if the access key reaches them.
pub(crate) fn located<'a>(
    service: &'a Service,
    by: &Key,
    source: &'a CopySource,
) -> S3Result<(&'a str, &'a ArtifactStore, &'a str)> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(s3_error!(NotImplemented, "this server has no access points"));
    };
    check_version(version_id.as_deref())?;
    check_bucket(by, bucket)?;
    Ok((bucket, service.object(bucket, key)?, key))
}

/// Writes what the reader yields, with its attributes or with others. The write is sealed only
/// after all that was to be read was right.
pub(crate) async fn pass(
    mut reader: ArtifactReader,
    store: &ArtifactStore,
    key: &str,
    options: WriteOptions,
    attributes: Option<Attributes>,
) -> S3Result<Info> {
    let attributes = attributes.unwrap_or_else(|| reader.info().attributes.clone());
    let mut writer = store.writer(key, options.attributes(attributes)).map_err(failed)?;
    loop {
        match reader.next_chunk().await {
            Ok(Some(chunk)) => writer.write_chunk(chunk).await.map_err(failed)?,
            Ok(None) => return writer.commit().await.map_err(failed),
            Err(error) => {
                writer.abort().await;
                return Err(failed(error));
            }
        }
    }
}
