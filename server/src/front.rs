//! What is refused before anything of a request is read.

use http::{HeaderMap, Method, Request, header};
use s3s::{S3Error, s3_error};

/// The most bytes of a document of XML: more than a list of 10 000 parts or 1000 keys has.
pub(crate) const DOCUMENT: usize = 4 << 20;

/// Why a request is not passed on.
pub(crate) fn refuse<B>(request: &Request<B>) -> Option<S3Error> {
    let headers = request.headers();
    if is_form(request.method(), headers) {
        // It would be held in memory before its signature is known.
        return Some(s3_error!(NotImplemented, "this server takes no forms of browsers"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if request.method() == Method::POST
        && length.is_some_and(|length: u64| length > DOCUMENT as u64)
    {
        return Some(s3_error!(MaxMessageLengthExceeded, "a document has at most 4 MiB"));
    }
    // Of version 2 a URL that is signed in advance ends with its time; a signed request never does.
    let authorization = headers.get(header::AUTHORIZATION);
    if authorization.is_some_and(|value| !value.as_bytes().starts_with(b"AWS4-")) {
        return Some(s3_error!(
            InvalidRequest,
            "the authorization mechanism is not supported; use AWS4-HMAC-SHA256"
        ));
    }
    None
}

fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    let form = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let form = form.and_then(|value| value.get(..19));
    method == Method::POST && form.is_some_and(|it| it.eq_ignore_ascii_case(b"multipart/form-data"))
}
