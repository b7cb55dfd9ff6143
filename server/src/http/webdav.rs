//! The two methods of WebDAV without which some clients do not store: they look for the directory
//! of what they store, and make it. Here each directory is there already.

use std::fmt::Write;

use artifact_store::Info;
use futures::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Result, s3_error};

use super::answer::{date, modified, respond};
use super::path::Path;
use crate::error::body_failed;
use crate::etag;
use crate::opened::info;
use crate::served::Service;

/// The most bytes of a body, which is not looked at: an answer has all properties that there are.
const MOST: usize = 64 << 10;

/// What there is at a path. Directories are not listed.
pub(super) async fn propfind(
    service: &Service,
    parts: &Parts,
    path: &Path,
    body: Body,
) -> S3Result<Response<Body>> {
    skip(body).await?;
    if parts.headers.get("depth").is_none_or(|depth| depth != "0") {
        return Err(s3_error!(AccessDenied, "only `Depth: 0` is served"));
    }
    let store = service.object(&path.store, &path.key)?;
    let properties = match path.is_collection() {
        true => {
            let since = date(service.started.into()).unwrap_or_default();
            format!(
                "<D:resourcetype><D:collection/></D:resourcetype>\
                 <D:getlastmodified>{since}</D:getlastmodified>"
            )
        }
        false => properties(&info(store, &path.key).await?),
    };
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>{}</D:href><D:propstat>\
         <D:prop>{properties}</D:prop><D:status>HTTP/1.1 200 OK</D:status>\
         </D:propstat></D:response></D:multistatus>\n",
        escaped(parts.uri.path())
    );
    let kind = HeaderValue::from_static("application/xml; charset=utf-8");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
    Ok(respond(StatusCode::MULTI_STATUS, headers, Body::from(document)))
}

fn properties(info: &Info) -> String {
    let tag =
        etag::of(info).and_then(|tag| Some(tag.to_http_header().ok()?.to_str().ok()?.to_owned()));
    let mut all =
        format!("<D:resourcetype/><D:getcontentlength>{}</D:getcontentlength>", info.size);
    let kind = info.attributes.get("content-type").map(str::to_owned);
    for (name, value) in
        [("getlastmodified", modified(info)), ("getetag", tag), ("getcontenttype", kind)]
    {
        if let Some(value) = value {
            // To write to a string cannot fail.
            let _ = write!(all, "<D:{name}>{}</D:{name}>", escaped(&value));
        }
    }
    all
}

/// A directory needs no making.
pub(super) async fn mkcol(body: Body) -> S3Result<Response<Body>> {
    skip(body).await?;
    Ok(respond(StatusCode::CREATED, HeaderMap::new(), Body::empty()))
}

/// Reads a body, so that the connection can be used again.
async fn skip(body: Body) -> S3Result<()> {
    let (mut body, mut size) = (StreamingBlob::from(body), 0);
    while let Some(chunk) = body.next().await {
        size += chunk.map_err(|error| body_failed(&error))?.len();
        if size > MOST {
            return Err(s3_error!(EntityTooLarge, "the body has at most {MOST} bytes"));
        }
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
