//! AWS Signature Version 4 in the header `Authorization`, verified from the bytes of the request
//! alone.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::scripted::Request;

/// What stays as it is in a canonical query; `/` besides in a canonical path.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Whose signature is taken.
pub struct Signer {
    pub key: &'static str,
    pub secret: &'static str,
}

/// What a right signature says.
pub struct Signed {
    pub region: String,
    pub at: Timestamp,
}

/// The code of S3's refusal where the signature is not right.
pub fn verify(
    request: &Request,
    query: &BTreeMap<String, String>,
    signer: &Signer,
) -> Result<Signed, &'static str> {
    let wrong = "SignatureDoesNotMatch";
    // Some services know no signature in the query, and none takes two.
    if query.keys().any(|name| name.to_ascii_lowercase().starts_with("x-amz-")) {
        return Err("AccessDenied");
    }
    let authorization = request.header("authorization").ok_or("AccessDenied")?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AccessDenied")?;
    let get = |name: &str| {
        let mut fields = fields.split(',').map(str::trim).filter_map(|f| f.split_once('='));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value).ok_or(wrong)
    };
    let header = |name: &str| request.header(name).ok_or("AccessDenied");
    let (key, scope) = get("Credential")?.split_once('/').ok_or(wrong)?;
    if key != signer.key {
        return Err("InvalidAccessKeyId");
    }
    let [day, region, "s3", "aws4_request"] = *scope.split('/').collect::<Vec<_>>() else {
        return Err("AuthorizationHeaderMalformed");
    };
    let (region, time) = (region.to_owned(), header("x-amz-date")?);
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).map_err(|_| wrong)?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong)?.timestamp();
    if !time.starts_with(day) {
        return Err(wrong);
    }
    // A service signs the name that it looks up, encoded by itself once.
    let path = percent_decode_str(&request.path).decode_utf8().map_err(|_| wrong)?;
    let path = utf8_percent_encode(&path, PATH).to_string();
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let mut pairs: Vec<_> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    let names: Vec<_> = get("SignedHeaders")?.split(';').collect();
    // All that S3 wants to be signed.
    let is_bare = |(name, _): &(String, String)| {
        (name == "host" || name == "content-type" || name.starts_with("x-amz-"))
            && !names.contains(&name.as_str())
    };
    if request.headers.iter().any(is_bare) || !names.is_sorted() {
        return Err("AccessDenied");
    }
    let mut headers = String::new();
    for name in &names {
        // White space in a row is signed as one blank.
        let value = request.header(name).ok_or(wrong)?;
        let words: Vec<_> = value.split_ascii_whitespace().collect();
        headers += &format!("{name}:{}\n", words.join(" "));
    }
    let payload = header("x-amz-content-sha256")?;
    if payload != "UNSIGNED-PAYLOAD" && payload != hexadecimal(&Sha256::digest(&request.body)) {
        return Err("XAmzContentSHA256Mismatch");
    }
    let canonical = format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{payload}",
        request.method,
        pairs.join("&"),
        names.join(";")
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hexadecimal(&Sha256::digest(canonical.as_bytes()))
    );
    let mut by = format!("AWS4{}", signer.secret).into_bytes();
    for part in scope.split('/') {
        by = mac(&by, part);
    }
    match hexadecimal(&mac(&by, &text)) == get("Signature")? {
        true => Ok(Signed { region, at }),
        false => Err(wrong),
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
