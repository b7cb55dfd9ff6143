//! One artifact: stored, read, described and deleted.

use artifact_store::{ArtifactStore, Attributes, Interface, Mode, WriteOptions};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use s3s::dto::{Range, StreamingBlob};
use s3s::{Body, S3Error, S3Result, s3_error};

use super::answer::{described, respond};
use super::checksums;
use crate::attributes::Sent;
use crate::conditions::{self, Conditions, Deletion, Tags};
use crate::keys::Key;
use crate::opened::{Opened, info};
use crate::payload::Payload;

pub(super) async fn get(
    store: &ArtifactStore,
    key: &str,
    headers: &HeaderMap,
) -> S3Result<Response<Body>> {
    let opened = open(store, key, headers).await?;
    let mut all = described(&opened.info);
    all.insert(header::CONTENT_LENGTH, opened.length().into());
    let status = match opened.content_range().map(HeaderValue::try_from) {
        Some(Ok(range)) => {
            all.insert(header::CONTENT_RANGE, range);
            StatusCode::PARTIAL_CONTENT
        }
        _ => StatusCode::OK,
    };
    Ok(respond(status, all, opened.body.into()))
}

/// The part that is asked for, unless the client has other parts of another generation.
async fn open(store: &ArtifactStore, key: &str, headers: &HeaderMap) -> S3Result<Opened> {
    let conditions = Conditions::of(headers);
    let Some(range) = range(headers) else {
        return Opened::open(store, key, None, &conditions).await;
    };
    let part = Opened::open(store, key, Some(range), &conditions).await;
    if !headers.contains_key(header::IF_RANGE) {
        return part;
    }
    let held = Tags::of(headers, header::IF_RANGE);
    match part {
        Ok(part) if held.is_some_and(|held| held.are_that_of(&part.info)) => Ok(part),
        _ => Opened::open(store, key, None, &conditions).await,
    }
}

/// `None` where the header is none to be followed: HTTP answers with everything then.
fn range(headers: &HeaderMap) -> Option<Range> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    Range::parse(text).ok().filter(|_| !text.ends_with("=-"))
}

pub(super) async fn head(
    store: &ArtifactStore,
    key: &str,
    headers: &HeaderMap,
) -> S3Result<Response<Body>> {
    let info = info(store, key).await?;
    Conditions::of(headers).check(&info)?;
    let mut all = described(&info);
    all.insert(header::CONTENT_LENGTH, info.size.into());
    Ok(respond(StatusCode::OK, all, Body::empty()))
}

pub(super) async fn put(
    store: &ArtifactStore,
    key: &str,
    by: &Key,
    headers: &HeaderMap,
    digest: Option<[u8; 32]>,
    body: Body,
) -> S3Result<Response<Body>> {
    refuse(headers, &[header::CONTENT_RANGE, header::IF_UNMODIFIED_SINCE])?;
    let attributes = kept(store, headers)?;
    if digest.is_some() && attributes.get("content-encoding").is_some() {
        let text = "what is stored below `cas/` is its content itself, without an encoding";
        return Err(s3_error!(InvalidArgument, "{text}"));
    }
    let checksums = checksums::of(headers, digest)?;
    let body = Payload::new(Some(StreamingBlob::from(body)), length(headers)?, &checksums, None)?;
    let tags = |name| Tags::of(headers, name);
    let (if_match, if_none_match) = (tags(header::IF_MATCH), tags(header::IF_NONE_MATCH));
    let write = conditions::write(store, key, by, if_match, if_none_match).await?;
    let options = WriteOptions::default().mode(write.mode.clone()).attributes(attributes);
    let stored = body.store(store, key, options).await;
    let (info, _) = stored.map_err(|error| write.explain(error))?;
    let status = match write.mode {
        Mode::Create => StatusCode::CREATED,
        _ => StatusCode::NO_CONTENT,
    };
    let mut all = HeaderMap::new();
    if let Some(tag) = described(&info).remove(header::ETAG) {
        all.insert(header::ETAG, tag);
    }
    Ok(respond(status, all, Body::empty()))
}

/// The headers that are kept. A backend without streams keeps none, and caches do not miss them,
/// except for an encoding, without which the bytes mean something else: there the store refuses.
fn kept(store: &ArtifactStore, headers: &HeaderMap) -> S3Result<Attributes> {
    let all = Sent::of(headers)?.attributes()?;
    match store.offers(Interface::Streams) || all.get("content-encoding").is_some() {
        true => Ok(all),
        false => Ok(Attributes::new()),
    }
}

/// The length that the body is to have; `None` for one in chunks, whose last one ends it.
fn length(headers: &HeaderMap) -> S3Result<Option<u64>> {
    if let Some(coding) = headers.get(header::TRANSFER_ENCODING) {
        // Another one would have to be taken off.
        return match coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            true => Ok(None),
            false => Err(not_done(&header::TRANSFER_ENCODING)),
        };
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    length.map(Some).ok_or_else(|| s3_error!(MissingContentLength, "the request has no length"))
}

pub(super) async fn delete(
    store: &ArtifactStore,
    key: &str,
    headers: &HeaderMap,
) -> S3Result<Response<Body>> {
    refuse(headers, &[header::IF_NONE_MATCH, header::IF_UNMODIFIED_SINCE])?;
    let if_match = Tags::of(headers, header::IF_MATCH);
    let condition = Deletion { if_match, ..Deletion::default() };
    if !condition.delete(store, key).await? {
        return Err(s3_error!(
            PreconditionFailed,
            "there is nothing that the condition could name"
        ));
    }
    Ok(respond(StatusCode::NO_CONTENT, HeaderMap::new(), Body::empty()))
}

/// Fails where a header asks for something that this method does not do. To ignore it would be a
/// wrong success.
fn refuse(headers: &HeaderMap, names: &[HeaderName]) -> S3Result<()> {
    match names.iter().find(|name| headers.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(not_done(name)),
    }
}

fn not_done(name: &HeaderName) -> S3Error {
    s3_error!(NotImplemented, "this server does not do what `{name}` asks for")
}
