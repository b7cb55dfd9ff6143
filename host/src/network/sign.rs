//! Signing in the backend's place (AWS Signature Version 4, in the query), so that the secret
//! stays outside of the sandbox.

use http::request::Parts;
use http::{HeaderName, Uri, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use url::Url;
use wasmtime_wasi_http::Error;

use super::Address;
use super::credentials::Signing;

/// How long a signature is valid, in seconds. A server checks it when the request begins.
const VALID: u64 = 900;

/// Signs the request. The payload is not part of the signature (`UNSIGNED-PAYLOAD`), since it is
/// not known yet.
pub(super) fn sign(
    head: &mut Parts,
    address: &Address,
    signing: &Signing,
    now: Timestamp,
) -> Result<(), Error> {
    let method = match head.method.as_str() {
        "GET" => rusty_s3::Method::Get,
        "HEAD" => rusty_s3::Method::Head,
        "PUT" => rusty_s3::Method::Put,
        "POST" => rusty_s3::Method::Post,
        "DELETE" => rusty_s3::Method::Delete,
        _ => return Err(Error::HttpRequestMethodInvalid),
    };
    // A signature of the backend's own, or what belongs to one.
    for name in ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
        head.headers.remove(name);
    }
    head.headers.remove(header::AUTHORIZATION);
    let url = Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let query = query(url.query().unwrap_or_default())?;
    let mut headers = vec![("host".to_owned(), address.host_header())];
    for name in head.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        headers.push((name.as_str().to_owned(), value(head, name)?));
    }
    headers.sort();
    let credentials = signing.credentials.inner();
    let signed = rusty_s3::signing::sign(
        &now,
        method,
        url,
        credentials.key(),
        credentials.secret(),
        credentials.token(),
        &signing.region,
        VALID,
        query.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
    );
    head.uri = Uri::try_from(signed.as_str()).map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(())
}

/// The parameters, decoded and sorted, without those of a signature.
fn query(query: &str) -> Result<Vec<(String, String)>, Error> {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
        let invalid = |_| Error::HttpRequestUriInvalid;
        let (name, value) = (decode(name).map_err(invalid)?, decode(value).map_err(invalid)?);
        if !name.to_ascii_lowercase().starts_with("x-amz-") {
            pairs.push((name, value));
        }
    }
    pairs.sort();
    Ok(pairs)
}

/// The one value of a header that is to be signed.
fn value(head: &Parts, name: &HeaderName) -> Result<String, Error> {
    let mut values = head.headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    match (value, values.next()) {
        (Some(value), None) => Ok(value.trim().to_owned()),
        _ => Err(Error::HttpProtocolError),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::S3Credentials;
    use super::*;

    fn signed(uri: &str, now: i64) -> Uri {
        let address = Address::of(&uri.parse().unwrap()).unwrap();
        let credentials =
            S3Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let signing = Signing { endpoint: uri.into(), region: "us-east-1".into(), credentials };
        let request = Request::get(uri).header("authorization", "from the backend");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        sign(&mut head, &address, &signing, Timestamp::from_second(now).unwrap()).unwrap();
        assert!(!head.headers.contains_key(header::AUTHORIZATION));
        head.uri
    }

    /// The example of AWS's documentation has another lifetime, so that only the rest can be the
    /// same; that the service accepts the signature is tested on a real one.
    #[test]
    fn a_request_is_signed_once_whatever_the_backend_had_signed() {
        let uri = "https://examplebucket.s3.amazonaws.com/test.txt";
        let once = signed(uri, 1_369_353_600);
        let query = once.query().unwrap();
        assert!(query.starts_with(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F\
             us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=900"
        ));
        assert_eq!(signed(&once.to_string(), 1_369_353_600), once);
        assert!(!once.to_string().contains("wJalr"));
    }

    #[test]
    fn parameters_are_kept_and_sorted() {
        let uri = signed("http://h:1/b?uploads&prefix=a%2Bb%20c&list-type=2", 0);
        let query = uri.query().unwrap();
        assert!(query.contains("list-type=2&prefix=a%2Bb%20c&uploads="), "{query}");
    }
}
