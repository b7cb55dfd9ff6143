//! Listings of both versions, in the order of the keys.

mod visible;

use std::time::UNIX_EPOCH;

use artifact_store::{ArtifactStore, Entry, ErrorKind};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::stream::{self, StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::error::{failed, found};
use crate::etag;
use crate::ops::acl;
use crate::served::Service;
use visible::{Asked, Page};

/// The most names of a page, as on AWS.
pub(crate) const MOST: usize = 1000;

/// How many objects of a page are looked at at once, where the listing does not have their tags.
const AT_ONCE: usize = 16;

/// What stays as it is in a name that is encoded for a URL.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

pub(crate) async fn first(
    service: &Service,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let store = service.store(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let (prefix, most) = (input.prefix.unwrap_or_default(), most(input.max_keys)?);
    let page = page(store, &prefix, input.delimiter.as_deref(), input.marker.clone(), most).await?;
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(&prefix)),
        marker: Some(encoding.apply(&input.marker.unwrap_or_default())),
        max_keys: i32::try_from(most).ok(),
        is_truncated: Some(page.next.is_some()),
        contents: Some(objects(store, page.entries, encoding, true).await?),
        common_prefixes: Some(prefixes(page.prefixes, encoding)),
        delimiter: input.delimiter.filter(|it| !it.is_empty()).map(|it| encoding.apply(&it)),
        next_marker: page.next.map(|next| encoding.apply(&next)),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    })
}

pub(crate) async fn second(
    service: &Service,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let store = service.store(&input.bucket)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let (prefix, most) = (input.prefix.unwrap_or_default(), most(input.max_keys)?);
    let after = match &input.continuation_token {
        Some(token) => Some(told(token)?),
        None => input.start_after.clone(),
    };
    let page = page(store, &prefix, input.delimiter.as_deref(), after, most).await?;
    let with_owner = input.fetch_owner == Some(true);
    let contents = objects(store, page.entries, encoding, with_owner).await?;
    let common_prefixes = prefixes(page.prefixes, encoding);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(&prefix)),
        max_keys: i32::try_from(most).ok(),
        key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|next| token(&next)),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.filter(|it| !it.is_empty()).map(|it| encoding.apply(&it)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|after| encoding.apply(&after)),
        ..ListObjectsV2Output::default()
    })
}

async fn page(
    store: &ArtifactStore,
    prefix: &str,
    delimiter: Option<&str>,
    after: Option<String>,
    limit: usize,
) -> S3Result<Page> {
    if limit == 0 {
        return Ok(Page::default());
    }
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty()).map(str::to_owned);
    let asked = Asked { prefix: prefix.to_owned(), delimiter, after, limit };
    match visible::page(store, asked).await {
        // No key begins so.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidKey(_)) => Ok(Page::default()),
        page => page.map_err(failed),
    }
}

/// Whether clients see no object.
pub(crate) async fn is_empty(store: &ArtifactStore) -> S3Result<bool> {
    Ok(page(store, "", None, None, 1).await?.entries.is_empty())
}

/// The largest number of names that a page may have.
pub(crate) fn most(asked: Option<i32>) -> S3Result<usize> {
    match asked.map(usize::try_from) {
        None => Ok(MOST),
        Some(Ok(most)) => Ok(most.min(MOST)),
        Some(Err(_)) => Err(s3_error!(InvalidArgument, "the most names are a positive number")),
    }
}

/// Where the next page begins, as clients pass it on: it has no meaning for them.
fn token(next: &str) -> String {
    URL_SAFE_NO_PAD.encode(next)
}

fn told(token: &str) -> S3Result<String> {
    let next = URL_SAFE_NO_PAD.decode(token).ok().and_then(|next| String::from_utf8(next).ok());
    next.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not from here"))
}

async fn objects(
    store: &ArtifactStore,
    entries: Vec<Entry>,
    encoding: Encoding,
    with_owner: bool,
) -> S3Result<Vec<Object>> {
    // Each on a task of its own: to look up a tag takes time of a processor.
    let object = |entry: Entry| {
        let store = store.clone();
        tokio::spawn(async move { object(&store, entry, encoding).await })
    };
    let objects = stream::iter(entries).map(object).buffered(AT_ONCE);
    let owner = with_owner.then(acl::owner);
    objects
        .map(|object| object.map_err(|error| s3_error!(error, InternalError))?)
        .map_ok(|object| Object { owner: owner.clone(), ..object })
        .try_collect()
        .await
}

async fn object(store: &ArtifactStore, entry: Entry, encoding: Encoding) -> S3Result<Object> {
    Ok(Object {
        e_tag: tag(store, &entry).await?,
        key: Some(encoding.apply(&entry.key)),
        // Clients rely on one.
        last_modified: Some(entry.modified.unwrap_or(UNIX_EPOCH).into()),
        size: i64::try_from(entry.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    })
}

/// The tag of what is listed; `None` if it has none, or was deleted meanwhile.
async fn tag(store: &ArtifactStore, entry: &Entry) -> S3Result<Option<ETag>> {
    if let Some(version) = &entry.version {
        return Ok(Some(etag::of_version(version)));
    }
    Ok(found(store.stat(&entry.key).await)?.as_ref().and_then(etag::of))
}

pub(crate) fn prefixes(names: Vec<String>, encoding: Encoding) -> Vec<CommonPrefix> {
    let prefix = |name: String| CommonPrefix { prefix: Some(encoding.apply(&name)) };
    names.into_iter().map(prefix).collect()
}

/// How a listing spells names: XML cannot hold every character of a key.
#[derive(Clone, Copy)]
pub(crate) enum Encoding {
    None,
    Url,
}

impl Encoding {
    pub(crate) fn of(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self::None),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(s3_error!(InvalidArgument, "the only encoding type is `url`")),
        }
    }

    pub(crate) fn apply(self, name: &str) -> String {
        match self {
            Self::None => name.to_owned(),
            Self::Url => utf8_percent_encode(name, PLAIN).to_string(),
        }
    }
}
