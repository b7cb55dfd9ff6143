//! The tag in the document of `GetObjectAttributes`. There AWS has it without quotes, so that clients do
//! not remove any; `s3s` writes it as in headers.

use bytes::Bytes;
use http::{Method, Request, Response};
use s3s::Body;

/// Whether the answer to this request is such a document.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    let names = request.uri().query().into_iter().flat_map(|query| query.split('&'));
    let mut names = names.map(|pair| pair.split('=').next().unwrap_or(pair));
    request.method() == Method::GET && names.any(|name| name == "attributes")
}

/// The response with a tag without quotes.
pub(crate) fn unquote(response: Response<Body>) -> Response<Body> {
    response.map(|body| match body.bytes().and_then(|document| unquoted(&document)) {
        Some(document) => Body::from(document),
        None => body,
    })
}

/// `None` if there is no tag with quotes in it.
fn unquoted(document: &[u8]) -> Option<Bytes> {
    let text = str::from_utf8(document).ok()?;
    let (before, rest) = text.split_once("<ETag>")?;
    let (tag, after) = rest.split_once("</ETag>")?;
    let bare = tag.replace("&quot;", "").replace('"', "");
    (bare.len() < tag.len()).then(|| format!("{before}<ETag>{bare}</ETag>{after}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_alone_loses_its_quotes() {
        let document = "<a>&quot;</a><ETag>&quot;1-1&quot;</ETag><b>\"</b>";
        let expected = "<a>&quot;</a><ETag>1-1</ETag><b>\"</b>";
        assert_eq!(unquoted(document.as_bytes()).as_deref(), Some(expected.as_bytes()));
        assert_eq!(unquoted(b"<Error/>"), None);
    }
}
