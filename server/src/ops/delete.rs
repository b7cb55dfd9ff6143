//! Deleting one object, and many.

use futures::stream::{self, StreamExt};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::conditions::Deletion;
use crate::served::{Service, check_version};

/// How many deletes of a request run at once.
const AT_ONCE: usize = 16;

/// The most keys of a request, as on AWS.
const MOST: usize = 1000;

pub(crate) async fn one(
    service: &Service,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    let condition = Deletion {
        if_match: input.if_match.map(Into::into),
        if_modified: input.if_match_last_modified_time,
        if_size: input.if_match_size,
    };
    delete(service, &input.bucket, &input.key, &condition).await?;
    Ok(DeleteObjectOutput::default())
}

pub(crate) async fn many(
    service: &Service,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let DeleteObjectsInput { bucket, delete: Delete { objects, quiet, .. }, .. } = request.input;
    service.store(&bucket)?;
    if objects.is_empty() || objects.len() > MOST {
        return Err(s3_error!(MalformedXML, "a request deletes 1 to {MOST} objects"));
    }
    let delete = |object: ObjectIdentifier| {
        let bucket = &bucket;
        async move { (listed(service, bucket, &object).await, object.key) }
    };
    let outcomes: Vec<_> = stream::iter(objects).map(delete).buffered(AT_ONCE).collect().await;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (outcome, key) in outcomes {
        match outcome {
            Ok(()) if quiet == Some(true) => {}
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() }),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(key),
                message: error.message().map(str::to_owned),
                ..Error::default()
            }),
        }
    }
    Ok(DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    })
}

/// One object of a list of them.
async fn listed(service: &Service, bucket: &str, object: &ObjectIdentifier) -> S3Result<()> {
    check_version(object.version_id.as_deref())?;
    let condition = Deletion {
        if_match: object.e_tag.clone().map(|tag| ETagCondition::ETag(tag).into()),
        if_modified: object.last_modified_time.clone(),
        if_size: object.size,
    };
    delete(service, bucket, &object.key, &condition).await
}

/// An absent object is deleted already, whatever the condition, as on AWS.
async fn delete(service: &Service, bucket: &str, key: &str, condition: &Deletion) -> S3Result<()> {
    condition.delete(service.object(bucket, key)?, key).await.map(drop)
}
