//! Attributes as headers of an object.
//!
//! An attribute is kept as metadata, of which a service changes nothing. One with the meaning of an
//! HTTP header is sent as that header, too, so that other programs find it; it is never read from
//! there, because services add such headers by themselves and write values in their own way.

use artifact_store_backend::attributes::{STANDARD, check};
use percent_encoding::percent_decode_str;

/// The prefix of the headers of metadata.
const METADATA: &str = "x-amz-meta-";

/// The prefix of the names that this backend gives its own metadata.
const OWN: &str = "artifact-";

/// The prefix of the names of attributes that could be mistaken: for the backend's own metadata,
/// and for an HTTP header.
const ESCAPED: &str = "artifact-attribute-";

/// Stands for the empty value: some services drop a header without one.
const EMPTY: &str = "%";

/// The headers that store an attribute.
#[must_use]
pub fn headers(name: &str, value: &str) -> Vec<(String, String)> {
    let is_standard = STANDARD.contains(&name);
    let mut headers = vec![(header(name), encode(value))];
    // The last one would tell the service to decode the body.
    if is_standard && !value.is_empty() && !value.to_ascii_lowercase().contains("aws-chunked") {
        headers.push((name.to_owned(), value.to_owned()));
    }
    headers
}

/// The attributes in these headers, whose names are in lower case. What another program stored and
/// the contract does not allow is left out.
pub fn parse<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        found.extend(parse_one(name, value));
        if check(found.iter().map(|(name, value)| (name.as_str(), value.as_str()))).is_err() {
            found.pop();
        }
    }
    found
}

fn parse_one(header_name: &str, value: &str) -> Option<(String, String)> {
    let metadata = header_name.strip_prefix(METADATA)?;
    let name = metadata.strip_prefix(ESCAPED).unwrap_or(metadata);
    let is_own = header(name) == header_name;
    is_own.then(|| Some((name.to_owned(), decode(value)?)))?
}

/// The header that stores the attribute of this name.
fn header(name: &str) -> String {
    match STANDARD.contains(&name) || name.starts_with(OWN) {
        true => format!("{METADATA}{ESCAPED}{name}"),
        false => format!("{METADATA}{name}"),
    }
}

/// A value in printable ASCII. An ordinary one stays as it is: `%` and two hexadecimal digits stand
/// only for other bytes, and for what services or proxies change: `%` itself, a further blank in a
/// row, and what looks like an encoded word of a mail.
fn encode(value: &str) -> String {
    if value.is_empty() {
        return EMPTY.to_owned();
    }
    let mut encoded = String::with_capacity(value.len());
    let mut before = b' ';
    for byte in value.bytes() {
        let is_plain = match byte {
            b' ' => before != b' ',
            b'?' => before != b'=',
            b'%' => false,
            byte => byte.is_ascii_graphic(),
        };
        match is_plain {
            true => encoded.push(char::from(byte)),
            false => encoded += &format!("%{byte:02X}"),
        }
        before = byte;
    }
    encoded
}

fn decode(value: &str) -> Option<String> {
    match value {
        EMPTY => Some(String::new()),
        value => Some(percent_decode_str(value).decode_utf8().ok()?.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(headers: &[(String, String)]) -> Vec<(String, String)> {
        parse(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    #[test]
    fn ordinary_attributes_are_stored_as_they_are() {
        let of = |name, value| headers(name, value);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(of("build", "17 of 20"), [pair("x-amz-meta-build", "17 of 20")]);
        let (own, value) = ("x-amz-meta-artifact-attribute-content-type", "text/x; a=\"b\"");
        assert_eq!(of("content-type", value), [pair(own, value), pair("content-type", value)]);
        assert_eq!(of("a", ""), [pair("x-amz-meta-a", "%")]);
        assert_eq!(of("a", "50 %  é"), [pair("x-amz-meta-a", "50 %25 %20%C3%A9")]);
        assert_eq!(of("a", "=?utf-8?q?a?="), [pair("x-amz-meta-a", "=%3Futf-8?q?a?=")]);
        // Neither an empty header nor a body that the service decodes.
        assert_eq!(of("content-type", "").len(), 1);
        assert_eq!(of("content-encoding", "gzip, AWS-chunked").len(), 1);
    }

    #[test]
    fn what_nobody_wrote_is_no_attribute() {
        for name in [
            "content-type",
            "cache-control",
            "x-amz-meta-content-type",
            "x-amz-meta-artifact-write",
            "x-amz-meta-artifact-key",
            "x-amz-meta-artifact-checksum",
            "x-amz-meta-artifact-attribute-",
            "x-amz-meta-artifact-attribute-build",
            "x-amz-meta-",
            "x-amz-meta-a_b",
            "x-amz-id-2",
        ] {
            assert_eq!(parse([(name, "x")]), [], "{name}");
        }
        for value in ["%FF", "%0A", "%20x"] {
            assert_eq!(parse([("x-amz-meta-a", value)]), [], "{value}");
        }
        let twice = [("x-amz-meta-a", "1"), ("x-amz-meta-a", "2"), ("x-amz-meta-b", "3")];
        assert_eq!(parse(twice).len(), 2);
    }

    fn name() -> impl Strategy<Value = String> {
        let standard = proptest::sample::select(&STANDARD[..]).prop_map(str::to_owned);
        prop_oneof!["[a-z][a-z0-9-]{0,20}", "artifact-(attribute-|write|key|)[a-z-]{0,9}", standard]
    }

    proptest! {
        #[test]
        fn every_attribute_comes_back(
            name in name(),
            value in prop_oneof!["\\PC{0,40}", "[ %=?a]{0,9}"],
        ) {
            prop_assume!(check([(&*name, &*value)]).is_ok());
            let headers = headers(&name, &value);
            for (_, value) in &headers {
                prop_assert!(value.bytes().all(|c| c == b' ' || c.is_ascii_graphic()));
            }
            prop_assert_eq!(parsed(&headers), [(name, value)]);
        }

        #[test]
        fn different_names_have_different_headers(one in name(), other in name()) {
            prop_assert_eq!(one == other, header(&one) == header(&other));
        }
    }
}
