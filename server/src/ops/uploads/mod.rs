//! Uploads in parts. An upload and its parts are artifacts of the same store, below a prefix that
//! clients do not see: `.s3/uploads/ID.meta` says what it is to become, `.s3/uploads/ID.p00001` is
//! its first part, and `.s3/uploads/ID.c00001` the checksum of that part, if the upload has an algorithm.
//! No upload has a folder of its own, which a backend might keep when the upload is
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
use crate::kept::{MOST_PARTS, type_of};
use crate::keys::random;
use crate::served::Service;
use crate::verify::Algorithm;

/// The length of an upload's id.
const ID: usize = 32;

/// How many parts are looked at or removed at once.
const AT_ONCE: usize = 16;

/// The largest number of a part.
const LAST_PART: i32 = MOST_PARTS as i32;

/// What an upload is to become.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    key: String,
    attributes: BTreeMap<String, String>,
    /// When it began, in milliseconds since 1970.
    begun: u64,
    /// What the client wants to have computed.
    checksum: Option<Summed>,
}

/// How an upload in parts is summed up.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Summed {
    algorithm: Algorithm,
    /// Whether that of the whole is the checksum of those of the parts, and not of the bytes.
    is_composite: bool,
}

impl Summed {
    /// `None` if the client asks for nothing but what every object has.
    fn asked(
        algorithm: Option<&ChecksumAlgorithm>,
        kind: Option<&ChecksumType>,
    ) -> S3Result<Option<Self>> {
        let is_composite = match kind.map(ChecksumType::as_str) {
            None => None,
            Some(ChecksumType::COMPOSITE) => Some(true),
            Some(ChecksumType::FULL_OBJECT) => Some(false),
            Some(_) => return Err(s3_error!(InvalidRequest, "unknown checksum type")),
        };
        let Some(algorithm) = algorithm else {
            return match is_composite {
                Some(true) => Err(s3_error!(InvalidRequest, "a checksum type has an algorithm")),
                _ => Ok(None),
            };
        };
        let known = Algorithm::named(algorithm.as_str());
        let known = known.ok_or_else(|| s3_error!(InvalidRequest, "unknown checksum algorithm"))?;
        // Only of sums that are linear that of the whole follows, on AWS, from those of the parts.
        let is_composite = match (known, is_composite) {
            (Algorithm::Crc64Nvme, Some(true))
            | (Algorithm::Sha1 | Algorithm::Sha256, Some(false)) => {
                let text = "the checksum type does not go with the algorithm";
                return Err(s3_error!(InvalidRequest, "{text}"));
            }
            (Algorithm::Crc64Nvme, _) => false,
            (_, asked) => asked.unwrap_or(true),
        };
        Ok(Some(Self { algorithm: known, is_composite }))
    }
}

/// The checksum of a part.
#[derive(Debug, Serialize, Deserialize)]
struct PartSum {
    /// The tag of the part that has it: another may have taken its place.
    tag: String,
    /// As headers have it, by the algorithm of the upload.
    value: String,
}

/// What an upload has become.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    key: String,
    /// The tag of the object; `None` if it has none.
    tag: Option<String>,
    /// The checksums that the client was told.
    checksums: Vec<(Algorithm, String)>,
}

impl Meta {
    fn attributes(&self) -> Attributes {
        self.attributes.iter().collect()
    }

    /// The algorithm of the checksums of the parts.
    fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|checksum| checksum.algorithm)
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

    fn sum_key(&self, number: i32) -> String {
        format!("{}c{number:05}", self.prefix)
    }

    /// What the upload of this key has become; `None` if it was not completed.
    async fn done(store: &ArtifactStore, id: &str, key: &str) -> S3Result<Option<Done>> {
        let Some(upload) = Upload::named(store, id) else { return Ok(None) };
        let done: Option<Done> = upload.noted(&upload.done_key).await?;
        Ok(done.filter(|done| done.key == key))
    }

    /// Notes something of it.
    async fn note(&self, key: &str, what: &impl Serialize) -> S3Result<()> {
        let bytes = serde_json::to_vec(what).map_err(S3Error::internal_error)?;
        let options = WriteOptions::default();
        self.store.put_with(key, bytes, options).await.map(drop).map_err(failed)
    }

    /// The checksum of the part with this tag, if it is known.
    async fn sum(&self, number: i32, tag: &ETag) -> S3Result<Option<String>> {
        let noted: Option<PartSum> = self.noted(&self.sum_key(number)).await?;
        Ok(noted.filter(|noted| noted.tag == tag.value()).map(|noted| noted.value))
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

    /// Everything that belongs to it.
    async fn all(&self) -> S3Result<Vec<Entry>> {
        let (mut all, mut options) = (Vec::new(), ListOptions::default());
        loop {
            let page = self.store.list_page(&self.prefix, options.clone()).await.map_err(failed)?;
            all.extend(page.entries);
            let Some(next) = page.next else { return Ok(all) };
            options = options.start_after(next);
        }
    }

    /// Removes it and its parts. From the first step on the upload is not there any more.
    async fn remove(&self) -> S3Result<()> {
        self.store.delete(&self.meta_key()).await.map_err(failed)?;
        let delete =
            |entry: Entry| async move { self.store.delete(&entry.key).await.map_err(failed) };
        let all = stream::iter(self.all().await?);
        all.map(delete).buffer_unordered(AT_ONCE).try_collect().await
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
    let checksum = Summed::asked(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let meta = Meta {
        key: input.key.clone(),
        attributes: attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        begun: u64::try_from(begun.as_millis()).unwrap_or(u64::MAX),
        checksum,
    };
    let id = random(ID).map_err(S3Error::internal_error)?;
    let upload = Upload::named(store, &id).ok_or_else(|| s3_error!(InternalError))?;
    upload.note(&upload.meta_key(), &meta).await?;
    Ok(CreateMultipartUploadOutput {
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: meta.checksum.map(|checksum| type_of(checksum.is_composite)),
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
