//! Who may do what, decided before a request is looked at further.

use std::sync::Arc;

use http::HeaderMap;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Request, S3Result, s3_error};

use crate::keys::{Access, Key, Keys};
use crate::log::Entry;

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        match self.get(id) {
            Some(key) => Ok(key.secret_key().clone()),
            None => Err(s3_error!(InvalidAccessKeyId, "this server does not know the access key")),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Keys {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let (operation, bucket) = (cx.s3_op().name().to_owned(), cx.s3_path().get_bucket_name());
        let bucket = bucket.map(str::to_owned);
        let key = cx.credentials().and_then(|it| self.get(&it.access_key)).cloned();
        if let Some(entry) = cx.extensions_mut().get::<Arc<Entry>>() {
            entry.name(&operation, bucket.as_deref(), key.as_deref().map(Key::id));
        }
        let Some(key) = key else {
            return Err(s3_error!(AccessDenied, "a request has to be signed with an access key"));
        };
        let Some(needed) = needed(&operation) else {
            return Err(s3_error!(NotImplemented, "this server has no {operation}"));
        };
        if let Some(bucket) = &bucket {
            check_bucket(&key, bucket)?;
        }
        if !key.may(needed) {
            return Err(s3_error!(AccessDenied, "this access key does not permit {operation}"));
        }
        refuse_meanings(&operation, cx.headers())?;
        refuse_query(cx.uri().query().unwrap_or_default())?;
        cx.extensions_mut().insert(key);
        Ok(())
    }
}

/// The key that signed the request.
pub(crate) fn key_of<T>(request: &S3Request<T>) -> S3Result<Arc<Key>> {
    let key = request.extensions.get::<Arc<Key>>();
    key.cloned().ok_or_else(|| s3_error!(AccessDenied, "the request was not signed"))
}

/// Whether a key reaches the bucket. It does not tell which other buckets there are.
pub(crate) fn check_bucket(key: &Key, bucket: &str) -> S3Result<()> {
    match key.reaches(bucket) {
        true => Ok(()),
        false => Err(s3_error!(AccessDenied, "this access key does not reach the bucket")),
    }
}

/// What an operation of S3 needs; `None` if this server does not have it.
fn needed(operation: &str) -> Option<Access> {
    Some(match operation {
        "GetObject"
        | "HeadObject"
        | "GetObjectAttributes"
        | "ListObjects"
        | "ListObjectsV2"
        | "ListBuckets"
        | "HeadBucket"
        | "GetBucketLocation"
        | "GetBucketVersioning"
        | "GetObjectAcl"
        | "GetBucketAcl" => Access::Read,
        // An upload's parts are nobody's artifacts yet, and an access list that is set is the one that
        // is there.
        "PutObject"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "AbortMultipartUpload"
        | "ListParts"
        | "ListMultipartUploads"
        | "PutObjectAcl"
        | "PutBucketAcl" => Access::Append,
        "DeleteObject" | "DeleteObjects" | "CreateBucket" | "DeleteBucket" => Access::Write,
        _ => return None,
    })
}

/// Whether this names the access list that everything has: bucket and objects are of one owner.
pub(crate) fn is_private(canned: &[u8]) -> bool {
    [b"private".as_slice(), b"bucket-owner-full-control"].contains(&canned)
}

/// Headers that ask for something that this server does not do. To ignore one would be a wrong
/// success.
fn refuse_meanings(operation: &str, headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let (name, value) = (name.as_str(), value.as_bytes());
        let is_harmless = match name {
            "x-amz-storage-class" => value == b"STANDARD",
            "x-amz-acl" => is_private(value),
            "x-amz-tagging" => value.is_empty(),
            "x-amz-if-match-last-modified-time" | "x-amz-if-match-size" => {
                operation == "DeleteObject"
            }
            "expires"
            | "x-amz-website-redirect-location"
            | "x-amz-write-offset-bytes"
            | "x-amz-expected-bucket-owner"
            | "x-amz-source-expected-bucket-owner"
            | "x-amz-mfa" => false,
            _ => !["x-amz-server-side-encryption", "x-amz-copy-source-server-side-encryption"]
                .into_iter()
                .chain(["x-amz-object-lock-", "x-amz-grant-", "x-amz-if-match-"])
                .any(|refused| name.starts_with(refused)),
        };
        if !is_harmless {
            return Err(s3_error!(
                NotImplemented,
                "this server does not do what `{name}` asks for"
            ));
        }
    }
    Ok(())
}

/// The same for the query: signers move headers there, where they would have no effect.
fn refuse_query(query: &str) -> S3Result<()> {
    const SIGNATURE: [&str; 8] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        "x-amz-content-sha256",
        "x-amz-user-agent",
    ];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = name.to_ascii_lowercase();
        let is_refused = match &*name {
            "versionid" => value != "null",
            _ => name.starts_with("x-amz-") && !SIGNATURE.contains(&&*name),
        };
        // What a request for reading has there changes nothing of what is stored.
        if is_refused && !["x-amz-checksum-mode", "x-amz-request-payer"].contains(&&*name) {
            return Err(s3_error!(NotImplemented, "this server has no `{name}` in a query"));
        }
    }
    Ok(())
}

/// Only an append key may not replace what is there.
pub(crate) fn may_replace(key: &Key) -> bool {
    key.may(Access::Write)
}
