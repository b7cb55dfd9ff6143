//! The bodies of requests: compared with their checksums, whole or in chunks.

use crate::served::Served;
use crate::served::client::{Client, request};

const MIB: usize = 1 << 20;

/// Checksums of `123456789`, and of nothing else.
pub const SUMS: [(&str, &str); 6] = [
    ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
    ("x-amz-checksum-crc32", "y/Q5Jg=="),
    ("x-amz-checksum-crc32c", "4waSgw=="),
    ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
    ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
];

#[test]
fn a_body_is_compared_with_every_checksum_before_it_is_visible() {
    let served = Served::start();
    let client = served.client();
    // A small body is stored by one call, a large one as it comes.
    let large = vec![b'x'; 300_000];
    for (name, value) in SUMS {
        let reply = client.send("PUT", "/artifacts/right", &[(name, value)], b"123456789").ok();
        if name.starts_with("x-amz") {
            assert_eq!(reply.header(name), Some(value));
        }
        for body in [b"987654321".as_slice(), &large] {
            client.send("PUT", "/artifacts/k", &[(name, value)], body).is(400, "BadDigest");
            client.get("/artifacts/k").is(404, "NoSuchKey");
        }
        let invalid = client.send("PUT", "/artifacts/k", &[(name, "AAAA")], b"123456789");
        assert_eq!(invalid.status, 400, "{name}");
    }
    let unknown = [("x-amz-checksum-xxhash64", "AAAA")];
    client.send("PUT", "/artifacts/k", &unknown, b"123456789").is(501, "NotImplemented");
    let mut signed = request("PUT", "/artifacts/k", &[], b"123456789");
    let other = "0".repeat(64);
    signed.payload = Some(&other);
    client.request(signed).is(400, "XAmzContentSHA256Mismatch");
    client.get("/artifacts/k").is(404, "NoSuchKey");
}

/// A body in chunks without signatures, with a trailer.
pub fn chunked(body: &[u8], trailer: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in body.chunks(70_000) {
        all.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(format!("0\r\n{trailer}\r\n\r\n").as_bytes());
    all
}

pub fn send_chunked(
    client: &Client,
    length: usize,
    body: &[u8],
    trailer: &str,
) -> crate::served::client::Reply {
    let length = length.to_string();
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", &*length),
        ("x-amz-trailer", trailer),
    ];
    let mut chunks = request("PUT", "/artifacts/k", &headers, body);
    chunks.payload = Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    client.request(chunks)
}

#[test]
fn a_checksum_that_follows_the_body_counts_as_one_before_it() {
    let served = Served::start();
    let client = served.client();
    for (name, value) in &SUMS[1..] {
        let right = format!("{name}:{value}");
        send_chunked(&client, 9, &chunked(b"123456789", &right), name).ok();
        let got = client.get("/artifacts/k").ok();
        assert_eq!((got.text().as_str(), got.header("content-encoding")), ("123456789", None));
        client.delete("/artifacts/k").ok();
        let large = vec![b'x'; 300_000];
        let wrong = send_chunked(&client, large.len(), &chunked(&large, &right), name);
        wrong.is(400, "BadDigest");
        let wrong = send_chunked(&client, 9, &chunked(b"987654321", &right), name);
        wrong.is(400, "BadDigest");
        let missing = chunked(b"123456789", "x-amz-other:1");
        send_chunked(&client, 9, &missing, name).is(400, "InvalidRequest");
        // Fewer and more bytes than announced.
        for length in [8, 10] {
            let body = chunked(b"123456789", &right);
            send_chunked(&client, length, &body, name).is(400, "IncompleteBody");
        }
        client.get("/artifacts/k").is(404, "NoSuchKey");
    }
}

#[test]
fn a_body_may_come_without_a_length_if_that_of_its_content_is_known() {
    let served = Served::start();
    let client = served.client();
    let send = |length: Option<&str>, body: &[u8]| {
        let mut headers = vec![("x-amz-trailer", "x-amz-checksum-crc32")];
        headers.extend(length.map(|length| ("x-amz-decoded-content-length", length)));
        let mut chunks = request("PUT", "/artifacts/k", &headers, body);
        chunks.payload = Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        let head = client.signed_head(&chunks);
        let with_length = format!("content-length: {}\r\n", body.len());
        let mut all = head.replace(&with_length, "transfer-encoding: chunked\r\n").into_bytes();
        all.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        all.extend_from_slice(body);
        all.extend_from_slice(b"\r\n0\r\n\r\n");
        client.raw(&all)
    };
    let body = chunked(b"123456789", "x-amz-checksum-crc32:y/Q5Jg==");
    send(None, &body).is(411, "MissingContentLength");
    for length in ["8", "10"] {
        send(Some(length), &body).is(400, "IncompleteBody");
    }
    client.get("/artifacts/k").is(404, "NoSuchKey");
    send(Some("9"), &body).ok();
    assert_eq!(client.get("/artifacts/k").text(), "123456789");
}

#[test]
fn one_chunk_may_have_any_size_unless_it_is_signed() {
    let served = Served::start();
    let client = served.client();
    let large = vec![b'x'; 20 * MIB];
    let mut body = format!("{:x}\r\n", large.len()).into_bytes();
    body.extend_from_slice(&large);
    body.extend_from_slice(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    send_chunked(&client, large.len(), &body, "x-amz-checksum-crc32").is(400, "BadDigest");
    let end = body.len() - "\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n".len();
    body.truncate(end);
    body.extend_from_slice(b"\r\nx-amz-other:1\r\n\r\n");
    send_chunked(&client, large.len(), &body, "x-amz-other").ok();
    assert_eq!(client.head("/artifacts/k").header("content-length"), Some("20971520"));
    let body = format!("1400000;chunk-signature={}\r\n", "0".repeat(64));
    let headers = [("x-amz-decoded-content-length", "20971520")];
    let mut signed = request("PUT", "/artifacts/k", &headers, body.as_bytes());
    signed.payload = Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    client.request(signed).is(400, "EntityTooLarge");
}

/// Everything of a request but its body, on a connection that goes on.
fn head(client: &Client, headers: &[(&str, &str)], body: &[u8]) -> String {
    let head = client.signed_head(&request("PUT", "/artifacts/k", headers, body));
    head.replace("connection: close\r\n", "")
}

/// A client of AWS holds a body back until it is told to go on. If it gets an error instead, it
/// must not send its next request on a connection that the server gives up.
#[test]
fn a_refusal_in_front_of_the_body_says_that_the_connection_ends() {
    let served = Served::start();
    let client = served.client();
    let tag = client.put("/artifacts/k", b"1").ok().etag();
    let large = vec![b'x'; MIB];
    for (expect, body) in [(true, b"2".as_slice()), (true, &large), (false, &large)] {
        let mut headers = vec![("if-match", "\"another\"")];
        headers.extend(expect.then_some(("expect", "100-continue")));
        let reply = client.raw(head(&client, &headers, body).as_bytes());
        reply.is(412, "PreconditionFailed");
        assert_eq!(reply.header("connection"), Some("close"));
    }
    // It goes on with what is small and was not held back, and where the body was wanted.
    let refused = head(&client, &[("if-match", "\"another\"")], b"2") + "2";
    let stored = head(&client, &[("if-match", &tag)], b"2") + "2";
    let last = client.signed_head(&request("GET", "/artifacts/k", &[], b""));
    let replies = client.raw((refused + &stored + &last).as_bytes());
    let text = String::from_utf8_lossy(&replies.body).into_owned();
    assert_eq!(replies.status, 412);
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert!(text.ends_with("2"), "{text}");
}
