//! Who asks: `Basic` with the id and the secret of a key, or `Bearer` with its secret.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::auth::SecretKey;
use s3s::{S3Error, S3Result};

use crate::error::custom;
use crate::keys::{Key, Keys};

/// The key whose secret the request has.
pub(super) fn key(keys: &Keys, headers: &HeaderMap) -> S3Result<Arc<Key>> {
    find(keys, headers).cloned().ok_or_else(unauthorized)
}

fn find<'a>(keys: &'a Keys, headers: &HeaderMap) -> Option<&'a Arc<Key>> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, given) = value.to_str().ok()?.split_once(' ')?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return keys.with_secret(&SecretKey::from(given));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(given).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    keys.get(id).filter(|key| key.has(&SecretKey::from(secret)))
}

fn unauthorized() -> S3Error {
    let text = "a request needs the id and secret of an access key (Basic), or its secret (Bearer)";
    let mut error = custom("Unauthorized", StatusCode::UNAUTHORIZED, text);
    let asked = HeaderValue::from_static("Basic realm=\"artifact-store\", charset=\"UTF-8\"");
    error.set_headers(HeaderMap::from_iter([(header::WWW_AUTHENTICATE, asked)]));
    error
}
