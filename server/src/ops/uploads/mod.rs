//! Uploads in parts. An upload and its parts are artifacts of the same store, below a prefix that
//! clients do not see: `.s3/uploads/ID.meta` says what it is to become, `.s3/uploads/ID.p00001` is
//! its first part. No upload has a folder of its own, which a backend might keep when the upload is
//! gone. It survives a restart, and ends when `meta` is gone. `.s3/done/ID` then says
//! that it was completed, until it is swept.

pub(crate) mod complete;
pub(crate) mod list;
pub(crate) mod part;
pub(crate) mod sweep;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use artifact_store::{ArtifactStore, Attributes, Entry, Interface, ListOptions, WriteOptions};
use futures::stream::{self, StreamExt, TryStreamExt};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use crate::attributes::sent;
use crate::error::{failed, found};
use crate::hidden::HIDDEN;
use crate::keys::random;
use crate::served::Service;

/// The length of an upload's id.
const ID: usize = 32;

/// How many parts are looked at or removed at once.
const AT_ONCE: usize = 16;

/// The largest number of a part, as on AWS.
const LAST_PART: i32 = 10_000;

/// What an upload is to become.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    key: String,
    attributes: BTreeMap<String, String>,
    /// When it began, in milliseconds since 1970.
    begun: u64,
}

/// What an upload has become.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    key: String,
    /// The tag of the object; `None` if it has none.
    tag: Option<String>,
}

impl Meta {
    fn attributes(&self) -> Attributes {
        self.attributes.iter().collect()
    }

    fn begun(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.begun)).unwrap_or(UNIX_EPOCH)
    }
}

/// What follows an upload's id.
const BEHIND: &str = ".";

/// The folder of all uploads.
fn root() -> String {
    format!("{HIDDEN}uploads/")
}

/// The folder of all that were completed.
fn root_of_done() -> String {
    format!("{HIDDEN}done/")
}

/// An upload whose id may be one.
struct Upload<'a> {
    store: &'a ArtifactStore,
    /// What the keys of all that belongs to it begin with.
    prefix: String,
    /// Where it is noted that it was completed.
    done_key: String,
}

impl<'a> Upload<'a> {
    /// `None` if nothing can have this id.
    fn named(store: &'a ArtifactStore, id: &str) -> Option<Self> {
        let is_id = id.len() == ID && id.bytes().all(|c| c.is_ascii_alphanumeric());
        let done_key = format!("{}{id}", root_of_done());
        is_id.then(|| Self { store, prefix: format!("{}{id}{BEHIND}", root()), done_key })
    }

    /// The upload of this key, and what it is to become.
    async fn of(store: &'a ArtifactStore, id: &str, key: &str) -> S3Result<(Self, Meta)> {
        let unknown = || s3_error!(NoSuchUpload, "there is no such upload of this key");
        let upload = Self::named(store, id).ok_or_else(unknown)?;
        let meta = upload.meta().await?.filter(|meta| meta.key == key);
        Ok((upload, meta.ok_or_else(unknown)?))
    }

    fn meta_key(&self) -> String {
        format!("{}meta", self.prefix)
    }

    fn part_key(&self, number: i32) -> String {
        format!("{}p{number:05}", self.prefix)
    }

    /// What the upload of this key has become; `None` if it was not completed.
    async fn done(store: &ArtifactStore, id: &str, key: &str) -> S3Result<Option<Done>> {
        let Some(upload) = Upload::named(store, id) else { return Ok(None) };
        let done: Option<Done> = upload.noted(&upload.done_key).await?;
        Ok(done.filter(|done| done.key == key))
    }

    /// Notes that it was completed.
    async fn note(&self, done: &Done) -> S3Result<()> {
        let bytes = serde_json::to_vec(done).map_err(S3Error::internal_error)?;
        let options = WriteOptions::default();
        self.store.put_with(&self.done_key, bytes, options).await.map(drop).map_err(failed)
    }

    /// `None` if there is no such upload.
    async fn meta(&self) -> S3Result<Option<Meta>> {
        self.noted(&self.meta_key()).await
    }

    /// What is noted under this key of the upload.
    async fn noted<T: for<'de> Deserialize<'de>>(&self, key: &str) -> S3Result<Option<T>> {
        let Some(bytes) = found(self.store.get(key).await)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            tracing::warn!(%error, upload = self.prefix, "an upload is damaged");
            s3_error!(InternalError, "the upload is damaged")
        })
    }

    /// The parts behind this number, at most `limit`, and whether there are more.
    async fn parts(&self, after: i32, limit: usize) -> S3Result<(Vec<(i32, Entry)>, bool)> {
        let mut parts = Vec::new();
        let mut options =
            ListOptions::default().start_after(self.part_key(after.clamp(0, LAST_PART)));
        while parts.len() < limit {
            let options_now = options.clone().limit(limit - parts.len());
            let prefix = format!("{}p", self.prefix);
            let page = self.store.list_page(&prefix, options_now).await.map_err(failed)?;
            let numbered = page.entries.into_iter().filter_map(|entry| {
                let number = entry.key.strip_prefix(&prefix)?.parse().ok()?;
                Some((number, entry))
            });
            parts.extend(numbered);
            let Some(next) = page.next else { return Ok((parts, false)) };
            options = options.start_after(next);
        }
        Ok((parts, true))
    }

    /// Removes it and its parts. From the first step on the upload is not there any more.
    async fn remove(&self) -> S3Result<()> {
        self.store.delete(&self.meta_key()).await.map_err(failed)?;
        let (parts, _) = self.parts(0, usize::MAX).await?;
        let delete = |(_, entry): (i32, Entry)| async move {
            self.store.delete(&entry.key).await.map_err(failed)
        };
        stream::iter(parts).map(delete).buffer_unordered(AT_ONCE).try_collect().await
    }
}

pub(crate) async fn create(
    service: &Service,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let mut input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    if !store.offers(Interface::Inventory) {
        return Err(s3_error!(NotImplemented, "a store that cannot list has no uploads in parts"));
    }
    let attributes = sent!(input).attributes()?;
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let meta = Meta {
        key: input.key.clone(),
        attributes: attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        begun: u64::try_from(begun.as_millis()).unwrap_or(u64::MAX),
    };
    let id = random(ID).map_err(S3Error::internal_error)?;
    let upload = Upload::named(store, &id).ok_or_else(|| s3_error!(InternalError))?;
    let bytes = serde_json::to_vec(&meta).map_err(S3Error::internal_error)?;
    let options = WriteOptions::default();
    store.put_with(&upload.meta_key(), bytes, options).await.map_err(failed)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        ..CreateMultipartUploadOutput::default()
    })
}

pub(crate) async fn abort(
    service: &Service,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    let store = service.object(&input.bucket, &input.key)?;
    let (upload, _) = Upload::of(store, &input.upload_id, &input.key).await?;
    upload.remove().await?;
    Ok(AbortMultipartUploadOutput::default())
}
