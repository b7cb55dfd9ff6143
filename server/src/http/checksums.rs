//! What a request of plain HTTP says of its content, as the checksums that are compared for S3.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Result, s3_error};

/// Fields with digests: RFC 9530, and RFC 3230 before it. What is stored is the representation as
/// it is sent, so that all of them mean the same bytes.
const DIGESTS: [&str; 3] = ["content-digest", "repr-digest", "digest"];

const SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// The headers, with each digest among them and the one of the name as a header of S3.
pub(super) fn of(headers: &HeaderMap, name: Option<[u8; 32]>) -> S3Result<HeaderMap> {
    let mut all = headers.clone();
    let named = name.map(|digest| STANDARD.encode(digest));
    let mut found: Vec<String> = named.into_iter().collect();
    for field in DIGESTS {
        found.extend(digests(headers, field)?);
    }
    for digest in found {
        let value = HeaderValue::try_from(digest);
        all.append(SHA256, value.map_err(|_| s3_error!(InvalidDigest, "a digest is no base64"))?);
    }
    Ok(all)
}

/// Each SHA-256 of a field; none without the field.
fn digests(headers: &HeaderMap, field: &'static str) -> S3Result<Vec<String>> {
    let mut found = Vec::new();
    for value in headers.get_all(field) {
        let text = value.to_str().map_err(|_| s3_error!(InvalidDigest, "`{field}` is no text"))?;
        for (algorithm, digest) in text.split(',').filter_map(|member| member.split_once('=')) {
            if algorithm.trim().eq_ignore_ascii_case("sha-256") {
                // Between colons it is a byte sequence of a structured field, which parameters may
                // follow.
                let digest = digest.trim().split(';').next().unwrap_or_default();
                found.push(digest.trim_matches(':').to_owned());
            }
        }
    }
    match found.is_empty() && headers.contains_key(field) {
        true => Err(s3_error!(NotImplemented, "of `{field}` this server compares `sha-256` only")),
        false => Ok(found),
    }
}
