//! Answers of plain HTTP.

use artifact_store::Info;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{Body, S3Error, S3ErrorCode};

use crate::attributes;
use crate::etag;

pub(super) fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The headers of an artifact.
pub(super) fn described(info: &Info) -> HeaderMap {
    let fixed = [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_TYPE, "application/octet-stream"),
        // A browser shows nothing that was stored as a page of this server.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
    ];
    let mut all: HeaderMap =
        fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    for name in attributes::STANDARD {
        let value =
            info.attributes.get(name).map(|value| HeaderValue::from_bytes(value.as_bytes()));
        if let Some(Ok(value)) = value {
            all.insert(HeaderName::from_static(name), value);
        }
    }
    if let Some(Ok(tag)) = etag::of(info).map(|tag| tag.to_http_header()) {
        all.insert(header::ETAG, tag);
    }
    if let Some(modified) = modified(info).and_then(|text| HeaderValue::try_from(text).ok()) {
        all.insert(header::LAST_MODIFIED, modified);
    }
    all
}

/// When the artifact was put, as HTTP writes it.
pub(super) fn modified(info: &Info) -> Option<String> {
    date(info.modified?.into())
}

pub(super) fn date(time: Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// The answer to a request that failed: the status that clients of HTTP expect, and a line of text.
pub(super) fn refused(error: S3Error) -> Response<Body> {
    let status = match error.code() {
        S3ErrorCode::EntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        S3ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        _ => error.status_code().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let mut headers = error.headers().cloned().unwrap_or_default();
    if status == StatusCode::NOT_MODIFIED {
        return respond(status, headers, Body::empty());
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    let message = error.message().or(status.canonical_reason()).unwrap_or_default();
    respond(status, headers, Body::from(format!("{message}\n")))
}
