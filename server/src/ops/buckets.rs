//! Buckets, which are the stores of the configuration.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::access::key_of;
use crate::ops::{acl, list};
use crate::served::Service;

const CONFIGURED: &str = "buckets are the stores that the server is configured with";

pub(crate) async fn list(
    service: &Service,
    request: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let key = key_of(&request)?;
    let prefix = request.input.prefix.unwrap_or_default();
    let names = service.buckets.names();
    let names = names.filter(|name| key.reaches(name) && name.starts_with(&prefix));
    let bucket = |name: &str| Bucket {
        // Clients want to show one.
        creation_date: Some(service.started.into()),
        name: Some(name.to_owned()),
        ..Bucket::default()
    };
    let buckets = Some(names.map(bucket).collect());
    let owner = Some(acl::owner());
    Ok(ListBucketsOutput { buckets, owner, ..ListBucketsOutput::default() })
}

pub(crate) async fn head(
    service: &Service,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    service.store(&request.input.bucket)?;
    Ok(HeadBucketOutput::default())
}

pub(crate) async fn create(
    service: &Service,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    match service.store(&request.input.bucket) {
        Ok(_) => Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket is there already")),
        Err(_) => Err(s3_error!(NotImplemented, "{CONFIGURED}")),
    }
}

pub(crate) async fn delete(
    service: &Service,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    let store = service.store(&request.input.bucket)?;
    match list::is_empty(store).await? {
        true => Err(s3_error!(NotImplemented, "{CONFIGURED}")),
        false => Err(s3_error!(BucketNotEmpty, "the bucket has objects")),
    }
}

/// Empty, which is the first region of AWS.
pub(crate) async fn location(
    service: &Service,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    service.store(&request.input.bucket)?;
    Ok(GetBucketLocationOutput::default())
}

/// Empty, which says that it was never on.
pub(crate) async fn versioning(
    service: &Service,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    service.store(&request.input.bucket)?;
    Ok(GetBucketVersioningOutput::default())
}
