//! Signing for the backend, so that the secret stays outside of the sandbox.
//!
//! [`scope`] decides which requests are signed, and [`sigv4`] signs them at the time of [`clock`];
//! [`mask`] keeps the signature out of what the backend sees of the answer.

mod clock;
mod mask;
mod scope;
mod sigv4;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};
use jiff::Timestamp;
use wasmtime_wasi_http::Error;

use crate::error::ErrorKind;
pub(super) use mask::{Masked, mask_headers};
pub(super) use scope::Scope;

/// Why a request was not signed.
pub(super) enum Unsigned {
    /// A store does not need the request; the text is the rest of a sentence about the backend.
    Refused(String),
    Failed(Error),
    /// There are no credentials to sign it with.
    Lacking(ErrorKind),
}

/// What the answer to a signed request must not show.
pub(super) struct Secrets {
    pub(super) signature: String,
    pub(super) token: Option<String>,
}

/// Signs the request at the time `here` of this machine. The payload is not part of the signature,
/// since it is not yet known. Where the credentials have to be found first, this waits for them for
/// at most `limit`.
pub(super) async fn sign(
    head: &mut Parts,
    scope: &Scope,
    here: Timestamp,
    limit: Duration,
) -> Result<Secrets, Unsigned> {
    let invalid = |()| Unsigned::Failed(Error::HttpRequestUriInvalid);
    let permitted = scope.permit(head).map_err(Unsigned::Refused)?;
    let keys = scope.keyring.keys(limit).await;
    let keys = keys.map_err(|lack| Unsigned::Lacking(lack.into()))?;
    let replaced: Vec<_> =
        head.headers.keys().filter(|name| scope::is_replaced(name)).cloned().collect();
    for name in replaced {
        head.headers.remove(name);
    }
    let host = HeaderValue::from_str(&scope.address.host_header()).map_err(|_| invalid(()))?;
    head.headers.insert(HOST, host);
    // A body that a proxy compresses could contain the signature in a form that is not found.
    head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let path = sigv4::encoded_path(&permitted.path);
    let pairs: Vec<_> =
        permitted.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let query = sigv4::encoded_query(&pairs);
    let is_covered = |name: &HeaderName| {
        name == HOST || name == CONTENT_TYPE || name.as_str().starts_with("x-amz-")
    };
    let headers: Vec<_> = head
        .headers
        .iter()
        .filter(|(name, _)| is_covered(name))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let request = sigv4::Request {
        method: head.method.as_str(),
        path: &path,
        query: &query,
        headers: &headers,
        payload: sigv4::UNSIGNED_PAYLOAD,
    };
    let signer = sigv4::Signer {
        key_id: keys.key_id(),
        secret: keys.secret(),
        token: keys.token(),
        region: &scope.region,
    };
    let signed = sigv4::sign(&signer, &request, scope.clock.time(here));
    for (name, value) in signed.headers {
        let mut value = HeaderValue::from_str(&value).map_err(|_| invalid(()))?;
        value.set_sensitive(true);
        head.headers.insert(HeaderName::from_static(name), value);
    }
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let mut uri = head.uri.clone().into_parts();
    uri.path_and_query = Some(target.try_into().map_err(|_| invalid(()))?);
    head.uri = Uri::from_parts(uri).map_err(|_| invalid(()))?;
    let token = keys.token().map(str::to_owned);
    Ok(Secrets { signature: signed.signature, token })
}
