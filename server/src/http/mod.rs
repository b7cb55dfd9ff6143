//! Stores as plain HTTP, as build caches speak it: an artifact is `/STORE/KEY`.

mod answer;
mod checksums;
mod credentials;
mod object;
mod path;
mod webdav;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use s3s::{Body, S3Error, S3Result, s3_error};

use crate::access::check_bucket;
use crate::keys::{Access, Keys};
use crate::log::Entry;
use crate::served::Service;
use path::Path;

/// The buckets as a service of plain HTTP.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) service: Service,
    pub(crate) keys: Keys,
    /// Whether what is stored as `cas/HEX` has to have that SHA-256.
    pub(crate) verify_cas: bool,
}

impl Http {
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        self.respond(&parts, body).await.unwrap_or_else(answer::refused)
    }

    async fn respond(&self, parts: &Parts, body: Body) -> S3Result<Response<Body>> {
        let headers = &parts.headers;
        let by = credentials::key(&self.keys, headers)?;
        let path = Path::of(&parts.uri)?;
        if let Some(entry) = parts.extensions.get::<Arc<Entry>>() {
            // What is no store may be any text, which is none for the log.
            let store = Some(&*path.store).filter(|name| self.service.buckets.get(name).is_some());
            entry.name("Http", store, Some(by.id()));
        }
        let verb = Verb::of(&parts.method).ok_or_else(not_allowed)?;
        check_bucket(&by, &path.store)?;
        if !by.may(verb.needs()) {
            return Err(s3_error!(
                AccessDenied,
                "this access key does not permit {}",
                parts.method
            ));
        }
        let store = self.service.object(&path.store, &path.key)?;
        match verb {
            Verb::Propfind => return webdav::propfind(&self.service, parts, &path, body).await,
            Verb::Mkcol => return webdav::mkcol(body).await,
            _ if path.key.is_empty() => return Err(s3_error!(NoSuchKey, "the path names no key")),
            _ => {}
        }
        match verb {
            Verb::Put => {
                let digest = if self.verify_cas { path.digest()? } else { None };
                object::put(store, &path.key, &by, headers, digest, body).await
            }
            Verb::Head => object::head(store, &path.key, headers).await,
            Verb::Delete => object::delete(store, &path.key, headers).await,
            _ => object::get(store, &path.key, headers).await,
        }
    }
}

/// What this server does for a path.
#[derive(Clone, Copy)]
enum Verb {
    Get,
    Head,
    Put,
    Delete,
    Propfind,
    Mkcol,
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        Some(match method.as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "PROPFIND" => Self::Propfind,
            "MKCOL" => Self::Mkcol,
            _ => return None,
        })
    }

    fn needs(self) -> Access {
        match self {
            Self::Get | Self::Head | Self::Propfind => Access::Read,
            Self::Put | Self::Mkcol => Access::Append,
            Self::Delete => Access::Write,
        }
    }
}

fn not_allowed() -> S3Error {
    let mut error = s3_error!(MethodNotAllowed, "this server has no such method");
    let allowed = HeaderValue::from_static("GET, HEAD, PUT, DELETE, PROPFIND, MKCOL");
    error.set_headers(HeaderMap::from_iter([(header::ALLOW, allowed)]));
    error
}
