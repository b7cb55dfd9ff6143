//! Listing artifacts, in the order of the service.

use futures_util::StreamExt;
use futures_util::stream::iter;
use percent_encoding::percent_decode_str;

use crate::client::{Call, settings};
use crate::component::{Entry, Error, Page, Result};
use crate::download::head;
use crate::name::Named;
use crate::settings::Settings;
use crate::xml::Element;

/// Entries of a page where the caller names no number, and the most of any page.
const PAGE: u32 = 1000;

/// Long keys stand in their objects' metadata; so many are asked for at once.
const AT_ONCE: usize = 8;

/// Begins every cursor, so that what is none of ours is noticed.
const CURSOR: &str = "s3:";

pub async fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let settings = settings()?;
    let limit = if limit == 0 { PAGE } else { limit.min(PAGE) };
    let token =
        cursor.map(|cursor| cursor.strip_prefix(CURSOR).ok_or_else(no_cursor)).transpose()?;
    let begin = settings.names.listing(prefix);
    let (found, next) = listing(settings, &begin, token, limit).await?;
    let entries = iter(found.iter().map(|object| entry(settings, prefix, object)))
        .buffered(AT_ONCE)
        .collect::<Vec<Result<Option<Entry>>>>();
    let entries = entries.await.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Page { entries, next: next.map(|token| format!("{CURSOR}{token}")) })
}

/// Some of the objects whose names begin with `begin`, and the token with which to go on.
pub async fn listing(
    settings: &Settings,
    begin: &str,
    token: Option<&str>,
    limit: u32,
) -> Result<(Vec<Element>, Option<String>)> {
    let mut call = Call::bucket("list")
        .query("list-type", "2")
        .query("encoding-type", "url")
        .query("max-keys", limit.to_string())
        .query("prefix", begin);
    if let Some(token) = token {
        call = call.query("continuation-token", token);
    }
    let answer = call.run(settings).await.map_err(|failure| match token {
        Some(_) if failure.is_code("InvalidArgument") => no_cursor(),
        _ => failure.into(),
    })?;
    let broken = |why| Error::from(call.foreign(answer.status, why));
    let root = answer.root.filter(|root| root.name == "ListBucketResult");
    let mut root = root.ok_or_else(|| broken("it is no whole listing"))?;
    let next = match root.text_of("IsTruncated") {
        Some("false") => None,
        Some("true") => match root.text_of("NextContinuationToken") {
            None | Some("") => return Err(broken("it is cut and goes on nowhere")),
            Some(next) => Some(next.to_owned()),
        },
        _ => return Err(broken("it does not say whether it is complete")),
    };
    root.children.retain(|child| child.name == "Contents");
    // No more than was asked for, whatever came.
    root.children.truncate(limit as usize);
    Ok((root.children, next))
}

fn no_cursor() -> Error {
    Error::Other("no such cursor".into())
}

/// The artifact in an object, if it is one and its key begins with `prefix`.
async fn entry(settings: &Settings, prefix: &str, item: &Element) -> Result<Option<Entry>> {
    let broken = || Error::Unavailable("a listing has an object without a name or size".into());
    let name = item.text_of("Key").ok_or_else(broken)?;
    let name = percent_decode_str(name).decode_utf8().map_err(|_| broken())?;
    let size = item.text_of("Size").and_then(|size| size.parse().ok()).ok_or_else(broken)?;
    match settings.names.parse(&name) {
        Named::Foreign => Ok(None),
        Named::Plain(key) => Ok(key.starts_with(prefix).then_some(Entry { key, size })),
        Named::Hashed => {
            // It may have gone meanwhile.
            let Some(found) = head(settings, &name).await? else { return Ok(None) };
            let key = found.key().filter(|key| settings.names.object(key) == *name);
            let size = found.info().map(|info| info.size);
            let key = key.filter(|key| key.starts_with(prefix));
            Ok(key.zip(size).map(|(key, size)| Entry { key, size }))
        }
    }
}
