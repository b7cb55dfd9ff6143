//! The operations that this server has, each in its place among `ops`. All others answer
//! `NotImplemented`.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::log::Entry;
use crate::ops::{acl, buckets, copy, delete, list, object, uploads};
use crate::served::Service;

/// Passes each operation on to the function that does it.
macro_rules! operations {
    ($($name:ident($input:ident) -> $output:ident = $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(
                &self,
                request: S3Request<$input>,
            ) -> S3Result<S3Response<$output>> {
                let entry = request.extensions.get::<Arc<Entry>>().map(Arc::clone);
                $function(self, request).await.map(S3Response::new).map_err(|mut error| {
                    // Some clients show only what the body says.
                    if let Some(entry) = entry {
                        error.set_request_id(entry.id());
                    }
                    error
                })
            })*
        }
    };
}

operations! {
    put_object(PutObjectInput) -> PutObjectOutput = object::put;
    get_object(GetObjectInput) -> GetObjectOutput = object::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = object::head;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = object::attributes;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copy::copy;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::many;
    list_objects(ListObjectsInput) -> ListObjectsOutput = list::first;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::second;
    list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = buckets::versioning;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = acl::of_object;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput = acl::set_object;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = acl::of_bucket;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput = acl::set_bucket;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = uploads::create;
    upload_part(UploadPartInput) -> UploadPartOutput = uploads::part::upload;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = uploads::part::copy;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = uploads::complete::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = uploads::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = uploads::list::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = uploads::list::uploads;
}
