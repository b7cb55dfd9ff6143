//! What the server answers.

use std::time::Duration;

use artifact_store::{
    ArtifactReader, ArtifactStore, Error, ErrorKind, Info, Interface, Listing, ReadOptions,
    WriteOptions,
};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;
use futures::stream::{self, StreamExt};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::range::{Range, etag, has, is_of_another};
use crate::status::Failure;

type Answer = Result<Response, Failure>;

/// How long a client may pause in the middle of what it sends. One that takes slowly meets the
/// store's `pause_timeout`.
const PAUSE: Duration = Duration::from_secs(60);

pub fn all(store: ArtifactStore, metrics: PrometheusHandle) -> Router {
    let artifact = get(read).head(head).put(write).delete(delete);
    Router::new()
        .route("/artifacts/{*key}", artifact)
        .route("/artifacts", get(list))
        .with_state(store)
        .route("/metrics", get(async move || metrics.render()))
}

async fn write(
    State(store): State<ArtifactStore>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let create = headers.get(header::IF_NONE_MATCH).is_some_and(|held| held == "*");
    let size =
        headers.get(header::CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
    let mut writer = store.writer(&key, WriteOptions::default().create(create).size(size))?;
    let mut body = body.into_data_stream();
    loop {
        let failure = match timeout(PAUSE, body.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(chunk))) => {
                writer.write_all(&chunk).await?;
                continue;
            }
            Ok(Some(Err(error))) => Failure::Client(error),
            Err(_) => Failure::Slow,
        };
        writer.abort().await;
        return Err(failure);
    }
    let info = writer.commit().await?;
    let status = if create { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok(respond(status, &info, [], Body::empty()))
}

async fn read(
    State(store): State<ArtifactStore>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let range = Range::of(&headers);
    let options = match range {
        None => ReadOptions::default(),
        Some(range @ Range::From(..)) => range.within(0),
        Some(range) => range.within(info(&store, &key).await?.size),
    };
    let mut reader = match store.read(&key, options).await {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidRange) => {
            return Err(Failure::Range { size: info(&store, &key).await?.size });
        }
        opened => opened?,
    };
    if has(&headers, reader.info()) {
        return Ok(respond(StatusCode::NOT_MODIFIED, reader.info(), [], Body::empty()));
    }
    let is_whole = range.is_none() || is_of_another(&headers, reader.info());
    if is_whole && range.is_some() {
        reader = store.read(&key, ReadOptions::default()).await?;
    }
    let info = *reader.info();
    if is_whole {
        let length = [(header::CONTENT_LENGTH, info.size.to_string())];
        return Ok(respond(StatusCode::OK, &info, length, bytes(reader).await?));
    }
    let ReadOptions { offset, length, .. } = options;
    let length = info.size.saturating_sub(offset).min(length.unwrap_or(u64::MAX));
    if length == 0 {
        return Err(Failure::Range { size: info.size });
    }
    let range = format!("bytes {offset}-{}/{}", offset + length - 1, info.size);
    let headers = [(header::CONTENT_LENGTH, length.to_string()), (header::CONTENT_RANGE, range)];
    Ok(respond(StatusCode::PARTIAL_CONTENT, &info, headers, bytes(reader).await?))
}

async fn head(
    State(store): State<ArtifactStore>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let info = info(&store, &key).await?;
    let status = if has(&headers, &info) { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let length = [(header::CONTENT_LENGTH, info.size.to_string())];
    Ok(respond(status, &info, length, Body::empty()))
}

async fn delete(State(store): State<ArtifactStore>, Path(key): Path<String>) -> Answer {
    store.delete(&key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    prefix: String,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    size: u64,
}

async fn list(State(store): State<ArtifactStore>, Query(listed): Query<Listed>) -> Answer {
    let mut listing = store.list(&listed.prefix);
    // A backend that cannot list says so in the status.
    let first = next_line(&mut listing).await?;
    let lines = stream::try_unfold((listing, first), async |(mut listing, line)| {
        let Some(line) = line else { return Ok::<_, Error>(None) };
        let next = next_line(&mut listing).await?;
        Ok(Some((line, (listing, next))))
    });
    let kind = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

async fn next_line(listing: &mut Listing) -> Result<Option<Bytes>, Error> {
    let Some(entry) = listing.next().await? else { return Ok(None) };
    let line = serde_json::json!(Line { key: &entry.key, size: entry.size });
    Ok(Some(format!("{line}\n").into()))
}

/// What is known of the artifact, from any backend.
async fn info(store: &ArtifactStore, key: &str) -> Result<Info, Error> {
    if store.offers(Interface::Inventory) {
        return store.stat(key).await;
    }
    let nothing = ReadOptions::default().length(0);
    Ok(*store.read(key, nothing).await?.info())
}

fn respond<const N: usize>(
    status: StatusCode,
    info: &Info,
    headers: [(HeaderName, String); N],
    body: Body,
) -> Response {
    // A browser shows nothing that was stored as a page of this server.
    let fixed = [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
    ];
    let tag = AppendHeaders(etag(info).map(|tag| (header::ETAG, tag)));
    (status, fixed, tag, headers, body).into_response()
}

/// The bytes, of which the last are sent only when all were right: an artifact in one piece fails
/// with a status, a longer one by a connection that breaks off before its end.
async fn bytes(mut reader: ArtifactReader) -> Result<Body, Error> {
    let Some(first) = reader.next_chunk().await? else { return Ok(Body::empty()) };
    let Some(second) = reader.next_chunk().await? else { return Ok(Body::from(first)) };
    let rest = stream::try_unfold((reader, Some(second)), async |(mut reader, chunk)| {
        let Some(chunk) = chunk else { return Ok::<_, Error>(None) };
        let next = reader.next_chunk().await?;
        Ok(Some((chunk, (reader, next))))
    });
    Ok(Body::from_stream(stream::once(async { Ok(first) }).chain(rest)))
}
