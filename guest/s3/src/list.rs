//! Listing artifacts, in the order of the service.

use artifact_store_backend::{Error, Result, page};
use futures_util::StreamExt;
use futures_util::stream::iter;
use percent_encoding::percent_decode_str;

use crate::bindings::{Entry, Page};
use crate::client::{Call, settings};
use crate::cursor::Cursor;
use crate::download::head;
use crate::metadata::seconds;
use crate::name::Named;
use crate::settings::Settings;
use crate::version;
use crate::xml::Element;

/// Long keys are in the metadata of their objects; this many are requested in parallel.
const AT_ONCE: usize = 8;

/// The prefix of every cursor, which reveals foreign cursors.
const CURSOR: &str = "s3:";

/// The parameters of one page of the service.
pub struct Listed {
    pub objects: Vec<Element>,
    pub next: Option<Cursor>,
}

pub async fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let settings = settings()?;
    let limit = page::size(limit);
    let at = match cursor {
        None => Cursor::default(),
        Some(text) => {
            text.strip_prefix(CURSOR).and_then(Cursor::parse).ok_or_else(page::no_cursor)?
        }
    };
    let begin = settings.names.listing(prefix);
    let Listed { objects, next } = listing(settings, &begin, &at, limit).await?;
    let entries = iter(objects.iter().map(|object| entry(settings, prefix, object)))
        .buffered(AT_ONCE)
        .collect::<Vec<Result<Option<Entry>>>>();
    let entries = entries.await.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Page { entries, next: next.map(|next| format!("{CURSOR}{next}")) })
}

/// Some of the objects whose names begin with `begin`.
pub async fn listing(
    settings: &Settings,
    begin: &str,
    at: &Cursor,
    limit: usize,
) -> Result<Listed> {
    let mut call = Call::bucket("list")
        .query("list-type", "2")
        .query("encoding-type", "url")
        .query("max-keys", limit.to_string())
        .query("prefix", begin);
    if !at.token.is_empty() {
        call = call.query("continuation-token", at.token.clone());
    }
    let answer =
        call.run(settings).await.map_err(|failure| match failure.is_code("InvalidArgument") {
            true if !at.token.is_empty() => page::no_cursor(),
            _ => failure.into(),
        })?;
    let broken = |why| Error::from(call.foreign(answer.status, why));
    let root = answer.root.filter(|root| root.name == "ListBucketResult");
    let mut root = root.ok_or_else(|| broken("it is not a complete listing"))?;
    let token = match root.text_of("IsTruncated") {
        Some("false") => None,
        Some("true") => match root.text_of("NextContinuationToken") {
            None | Some("") => return Err(broken("it is truncated without a place to continue")),
            Some(next) => Some(next.to_owned()),
        },
        _ => return Err(broken("it does not say whether it is complete")),
    };
    if root.all("CommonPrefixes").next().is_some() {
        return Err(wrong(settings, "it groups names, although that was not requested".into()));
    }
    root.children.retain(|child| child.name == "Contents");
    let names: Vec<_> =
        root.children.iter().map(|object| object.text_of("Key").unwrap_or_default()).collect();
    at.check(&names, limit).map_err(|why| wrong(settings, why))?;
    let next = token.map(|token| at.advance(&names, token)).transpose();
    let next = next.map_err(|why| wrong(settings, why))?;
    Ok(Listed { objects: root.children, next })
}

/// A listing that would have holes or no end.
pub fn wrong(settings: &Settings, why: String) -> Error {
    Error::Other(format!("{} returned a wrong listing: {why}", settings.bucket.endpoint()))
}

/// The artifact in an object, if it is one and its key begins with `prefix`.
async fn entry(settings: &Settings, prefix: &str, item: &Element) -> Result<Option<Entry>> {
    let broken = || Error::Unavailable("a listing has an object without a name or size".into());
    let name = item.text_of("Key").ok_or_else(broken)?;
    let name = percent_decode_str(name).decode_utf8().map_err(|_| broken())?;
    let size = item.text_of("Size").and_then(|size| size.parse().ok()).ok_or_else(broken)?;
    let modified = item.text_of("LastModified").and_then(|time| time.parse().ok()).map(seconds);
    let version = item.text_of("ETag").and_then(version::of_tag);
    match settings.names.parse(&name) {
        Named::Foreign => Ok(None),
        Named::Plain(key) => {
            Ok(key.starts_with(prefix).then_some(Entry { key, size, modified, version }))
        }
        Named::Hashed => {
            // It may be gone.
            let Some(found) = head(settings, &name).await? else { return Ok(None) };
            let key = found.key().filter(|key| settings.names.object(key) == *name);
            let key = key.filter(|key| key.starts_with(prefix));
            // It may have been replaced meanwhile, and all has to be of one generation.
            let (size, modified, version) = match found.info() {
                Some(info) => (info.size, info.modified, info.version),
                None => (size, modified, version),
            };
            Ok(key.map(|key| Entry { key, size, modified, version }))
        }
    }
}
