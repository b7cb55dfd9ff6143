//! AWS Signature Version 4 for S3, in the header `Authorization`. Pure computation: the host and
//! the component behind the backend `s3` compile this same file.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// Stands for the hash of a payload that is not part of the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// What stays as it is in a query, and in a path.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Who signs, and for which region.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    pub key_id: &'a str,
    pub secret: &'a str,
    /// Of temporary credentials.
    pub token: Option<&'a str>,
    pub region: &'a str,
}

/// A request as it is sent.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Encoded, as by [`encoded_path`].
    pub path: &'a str,
    /// Encoded, as by [`encoded_query`].
    pub query: &'a str,
    /// Those that are to be signed, `host` among them: the names in lower case, each once.
    pub headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body in hexadecimal digits, or [`UNSIGNED_PAYLOAD`].
    pub payload: &'a str,
}

/// What a request has to be sent with.
pub struct Signed {
    /// `authorization` and those that it covers besides the request's own.
    pub headers: Vec<(&'static str, String)>,
    /// The signature, which is part of `authorization`.
    pub signature: String,
}

/// The only encoding of a path that every service computes the same signature of.
pub fn encoded_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// The same of a query.
pub fn encoded_query(pairs: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, QUERY);
    let mut pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.sort();
    pairs.join("&")
}

/// Signs a request that is sent at the time `now`.
pub fn sign(signer: &Signer<'_>, request: &Request<'_>, now: Timestamp) -> Signed {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = time.split('T').next().unwrap_or_default();
    let mut headers =
        vec![("x-amz-content-sha256", request.payload.to_owned()), ("x-amz-date", time.clone())];
    headers.extend(signer.token.map(|token| ("x-amz-security-token", token.to_owned())));
    let mut covered = request.headers.to_vec();
    covered.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
    covered.sort();
    let names = covered.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = covered.iter().map(|(name, value)| line(name, value)).collect();
    let Request { method, path, query, payload, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
    let scope = format!("{day}/{}/s3/aws4_request", signer.region);
    let hash = hexadecimal(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let mut key = mac(format!("AWS4{}", signer.secret).as_bytes(), day);
    for part in [signer.region, "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hexadecimal(&mac(&key, &text));
    let credential = format!("{}/{scope}", signer.key_id);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    );
    headers.push(("authorization", authorization));
    Signed { headers, signature }
}

/// A header as it is signed: white space is one blank.
fn line(name: &str, value: &str) -> String {
    let words: Vec<_> = value.split_ascii_whitespace().collect();
    format!("{name}:{}\n", words.join(" "))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// The four examples of Amazon's documentation of the header `Authorization` for S3.
    #[test]
    fn the_examples_of_the_documentation_have_their_signatures() {
        let signer = Signer {
            key_id: "AKIAIOSFODNN7EXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            token: None,
            region: "us-east-1",
        };
        let host = ("host", "examplebucket.s3.amazonaws.com");
        let welcome = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let (path, query) = (encoded_path("/test$file.text"), [("max-keys", "2"), ("prefix", "J")]);
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            host,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let get = [host, ("range", "bytes=0-9")];
        type Case<'a> = (&'a str, &'a str, String, &'a [(&'a str, &'a str)], &'a str, &'a str);
        let cases: [Case<'_>; 4] = [
            (
                "GET",
                "/test.txt",
                String::new(),
                &get,
                EMPTY,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                &path,
                String::new(),
                &put,
                welcome,
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                encoded_query(&[("lifecycle", "")]),
                &[host],
                EMPTY,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                encoded_query(&query),
                &[host],
                EMPTY,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ];
        let now = Timestamp::from_second(1_369_353_600).unwrap();
        for (method, path, query, headers, payload, signature) in cases {
            let request = Request { method, path, query: &query, headers, payload };
            let signed = sign(&signer, &request, now);
            assert_eq!(signed.signature, signature, "{method} {path}?{query}");
        }
    }

    #[test]
    fn the_token_of_a_session_is_covered() {
        let signer = Signer { key_id: "k", secret: "s", token: Some("t"), region: "r" };
        let request = Request {
            method: "GET",
            path: "/",
            query: "",
            headers: &[("x-amz-meta-a", " b   c "), ("host", "h")],
            payload: UNSIGNED_PAYLOAD,
        };
        let signed = sign(&signer, &request, Timestamp::UNIX_EPOCH);
        let names: Vec<_> = signed.headers.iter().map(|(name, _)| *name).collect();
        let all = ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "authorization"];
        assert_eq!(names, all);
        let covered = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token";
        assert!(signed.headers[3].1.contains(&format!("SignedHeaders={covered}, Signature=")));
    }

    #[test]
    fn a_query_is_encoded_and_sorted_as_it_is_signed() {
        let pairs = [("uploads", ""), ("prefix", "a+b c/é"), ("list-type", "2")];
        assert_eq!(encoded_query(&pairs), "list-type=2&prefix=a%2Bb%20c%2F%C3%A9&uploads=");
    }
}
