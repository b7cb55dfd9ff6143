//! Plain HTTP: what requests mean.

use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::time::{Duration, Instant};

use artifact_store::{ArtifactStore, Limits};
use artifact_store_server::ServerLimits;
use artifact_store_tests::bare;

use crate::served::client::{base64, hexadecimal, read_reply};
use crate::served::{Served, damage};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

#[test]
fn requests_mean_what_http_says() {
    let served = Served::start();
    let client = served.plain();
    let digits = "/artifacts/digits";
    let put = client.put(digits, b"0123456789");
    assert_eq!(put.status, 204, "{}", put.text());
    let tag = put.etag();
    let got = client.get(digits);
    assert_eq!((got.status, got.etag(), got.text()), (200, tag.clone(), "0123456789".into()));
    assert_eq!(got.header("content-length"), Some("10"));
    assert_eq!(got.header("accept-ranges"), Some("bytes"));
    let modified = got.header("last-modified").expect("a time").to_owned();
    // A browser must not take what was stored for a page.
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
    assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    let head = client.head(digits);
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    assert_eq!(head.etag(), tag);

    let with = |name: &str, value: &str| client.get_with(digits, &[(name, value)]);
    let listed = format!("\"x\", W/{tag}");
    for (name, value, status) in [
        ("if-none-match", &*tag, 304),
        ("if-none-match", &listed, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
        ("if-match", &tag, 200),
        ("if-match", "*", 200),
        ("if-match", "\"x\"", 412),
        // It would be this one in another form, and what is in quotes is one tag.
        ("if-match", &format!("W/{tag}"), 412),
        ("if-match", "\"x,*,y\"", 412),
        ("if-none-match", "\"x,*,y\"", 200),
        ("if-modified-since", &modified, 304),
        ("if-modified-since", "Tue, 01 Jan 2030 00:00:00 GMT", 304),
        ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT", 200),
        ("if-modified-since", "yesterday", 200),
        ("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT", 412),
        ("if-unmodified-since", &modified, 200),
    ] {
        let got = with(name, value);
        assert_eq!(got.status, status, "{name}: {value}");
        if status == 304 {
            assert_eq!((got.etag(), got.body.len()), (tag.clone(), 0));
        }
        let head = client.send("HEAD", digits, &[(name, value)], b"");
        assert_eq!(head.status, status, "{name}: {value}");
    }

    for _ in 0..2 {
        assert_eq!(client.delete(digits).status, 204);
    }
    for reply in [client.get(digits), client.head(digits), client.get("/artifacts/")] {
        assert_eq!(reply.status, 404);
    }
    assert_eq!(client.get("/absent/k").status, 404);
    let other = client.send("PATCH", digits, &[], b"");
    assert_eq!(other.status, 405);
    assert!(other.header("allow").is_some_and(|allowed| allowed.contains("PUT")));
}

#[test]
fn a_range_is_a_part_or_nothing_or_ignored() {
    let served = Served::start();
    let client = served.plain();
    let digits = "/artifacts/digits";
    let tag = client.put(digits, b"0123456789").etag();
    for (range, expected) in [
        ("bytes=2-4", Some("234")),
        ("bytes=8-", Some("89")),
        ("bytes=-3", Some("789")),
        ("bytes=-99", Some("0123456789")),
        ("bytes=9-99", Some("9")),
        ("bytes=0-9223372036854775807", Some("0123456789")),
        ("bytes=10-", None),
        ("bytes=11-12", None),
        ("bytes=-0", None),
    ] {
        let part = client.get_with(digits, &[("range", range)]);
        let shown = part.header("content-range").map(str::to_owned);
        match expected {
            Some(expected) => {
                let first = "0123456789".find(expected).unwrap();
                let shown_as = format!("bytes {first}-{}/10", first + expected.len() - 1);
                assert_eq!((part.status, part.text()), (206, expected.to_owned()), "{range}");
                assert_eq!(shown, Some(shown_as), "{range}");
            }
            None => {
                assert_eq!((part.status, shown.as_deref()), (416, Some("bytes */10")), "{range}");
            }
        }
    }
    // What is no single range is no range.
    for range in ["bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=x-"] {
        let whole = client.get_with(digits, &[("range", range)]);
        assert_eq!((whole.status, whole.body.len()), (200, 10), "{range}");
    }
    let if_range =
        |range: &str, held: &str| client.get_with(digits, &[("range", range), ("if-range", held)]);
    assert_eq!(if_range("bytes=1-1", &tag).text(), "1");
    for (range, held) in [
        ("bytes=1-1", "\"other\""),
        ("bytes=1-1", &format!("W/{tag}")),
        ("bytes=1-1", "Tue, 01 Jan 2030 00:00:00 GMT"),
        ("bytes=99-", "\"other\""),
    ] {
        let whole = if_range(range, held);
        assert_eq!((whole.status, whole.body.len()), (200, 10), "{range} {held}");
    }
    let large = vec![b'x'; 300_000];
    client.put("/artifacts/large", &large).ok();
    let part = client.get_with("/artifacts/large", &[("range", "bytes=100000-299999")]);
    assert_eq!((part.status, part.body.len(), part.is_whole), (206, 200_000, true));
}

#[test]
fn a_put_is_conditional_where_it_says_so() {
    let served = Served::start();
    let client = served.plain();
    let put = |name: &str, value: &str, body: &[u8]| {
        client.send("PUT", "/artifacts/k", &[(name, value)], body)
    };
    let first = put("if-none-match", "*", b"1");
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(put("if-none-match", "*", b"2").status, 412);
    assert_eq!(put("if-match", "\"x\"", b"2").status, 412);
    let second = put("if-match", &first.etag(), b"2");
    assert_eq!(second.status, 204, "{}", second.text());
    assert_eq!(put("if-match", &first.etag(), b"3").status, 412);
    assert_eq!(put("if-match", "*", b"3").status, 204);
    // What it does not do is refused, and not ignored.
    for (name, value) in [
        ("if-none-match", "\"x\""),
        ("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("content-range", "bytes 0-0/2"),
    ] {
        assert_eq!(put(name, value, b"4").status, 501, "{name}");
    }
    assert_eq!(client.put("/artifacts/k?partNumber=1", b"4").status, 400);
    assert_eq!(client.get("/artifacts/k").text(), "3");
}

#[test]
fn a_deletion_is_conditional_where_it_says_so() {
    let served = Served::start();
    let client = served.plain();
    let delete = |name: &str, value: &str| {
        client.send("DELETE", "/artifacts/k", &[(name, value)], b"").status
    };
    let tags = ["1", "2"].map(|body| {
        assert_eq!(client.put("/artifacts/k", body.as_bytes()).status, 204);
        client.head("/artifacts/k").etag()
    });
    assert_eq!(delete("if-match", "\"x\""), 412);
    assert_eq!(delete("if-match", &tags[0]), 412);
    // What it does not do is refused, and not ignored.
    assert_eq!(delete("if-none-match", "\"x\""), 501);
    assert_eq!(delete("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"), 501);
    assert_eq!(client.get("/artifacts/k").text(), "2");
    assert_eq!(delete("if-match", &format!("\"x\", {}", tags[1])), 204);
    assert_eq!(client.get("/artifacts/k").status, 404);
    // HTTP names what is there, and here is nothing.
    assert_eq!(delete("if-match", &tags[1]), 412);
    assert_eq!(delete("if-match", "*"), 412);
}

#[test]
fn what_is_stored_is_the_same_for_s3() {
    let served = Served::start();
    let (plain, s3) = (served.plain(), served.client());
    let headers = [
        ("content-type", "text/x-nix-narinfo"),
        ("content-encoding", "br"),
        ("content-disposition", "attachment"),
        ("content-language", "de"),
        ("cache-control", "max-age=60"),
    ];
    plain.send("PUT", "/artifacts/a/b", &headers, b"bytes").ok();
    for reply in
        [plain.get("/artifacts/a/b"), plain.head("/artifacts/a/b"), s3.get("/artifacts/a/b")]
    {
        for (name, value) in headers {
            assert_eq!(reply.header(name), Some(value));
        }
    }
    s3.send("PUT", "/artifacts/a/c", &headers, b"others").ok();
    let got = plain.get("/artifacts/a/c");
    assert_eq!((got.header("content-type"), got.text()), (Some(headers[0].1), "others".into()));
    assert_eq!(got.etag(), s3.head("/artifacts/a/c").etag());
    // The parts of unfinished uploads are no artifacts.
    s3.send("POST", "/artifacts/u?uploads=", &[], b"").ok();
    assert_eq!(plain.get("/artifacts/.s3/x").status, 400);
    assert_eq!(plain.put("/artifacts/%2Es3/x", b"1").status, 400);
}

#[test]
fn a_path_is_one_artifact_however_it_is_written() {
    let served = Served::start();
    let client = served.plain();
    for (written, other) in [
        ("a/../b", "a%2F..%2Fb"),
        ("..", "%2e%2e"),
        ("/x", "%2Fx"),
        ("a//b", "a%2f%2fb"),
        ("%F0%9F%98%80%20", "%f0%9f%98%80%20"),
        ("100%25", "100%25"),
    ] {
        client.put(&format!("/artifacts/{written}"), written.as_bytes()).ok();
        assert_eq!(client.get(&format!("/artifacts/{other}")).ok().text(), written);
    }
    for bad in ["%00", "%0a", "%ff", &"k".repeat(1025)] {
        assert_eq!(client.put(&format!("/artifacts/{bad}"), b"x").status, 400, "{bad:.20}");
    }
    let beside = std::fs::read_dir(served.dir.path()).unwrap().count();
    assert_eq!(beside, 2);
}

#[test]
fn a_body_has_the_digests_that_came_with_it() {
    let served = Served::start();
    let client = served.plain();
    let large = vec![b'x'; 300_000];
    client.put("/artifacts/k", b"before").ok();
    for body in [&b"bytes"[..], &large] {
        let sha256 = base64(&Sha256::digest(body));
        let wrong = base64(&Sha256::digest(b"other"));
        let field = |digest: &str| format!("sha-256=:{digest}:");
        let md5 = base64(&{
            use s3s::crypto::{Checksum, Md5};
            let mut md5 = Md5::new();
            md5.update(body);
            md5.finalize()
        });
        for (name, value, status) in [
            ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==".to_owned(), 400),
            ("content-md5", "no".to_owned(), 400),
            ("content-digest", field(&wrong), 400),
            ("content-digest", "sha-256=:no:".to_owned(), 400),
            ("content-digest", "sha-512=:AAAA:".to_owned(), 501),
            ("repr-digest", field(&wrong), 400),
            ("digest", format!("SHA-256={wrong}"), 400),
            ("content-md5", md5, 204),
            ("content-digest", format!("sha-512=:AAAA:, {}", field(&sha256)), 204),
            ("repr-digest", field(&sha256), 204),
            ("digest", format!("SHA-256={sha256}"), 204),
        ] {
            let put = client.send("PUT", "/artifacts/k", &[(name, &value)], body);
            assert_eq!(put.status, status, "{name}: {value} {}", put.text());
            let stored = client.get("/artifacts/k");
            assert_eq!(stored.body == body, status == 204, "{name}: {value}");
        }
        client.put("/artifacts/k", b"before").ok();
    }
}

#[test]
fn what_is_named_by_its_content_has_it_where_that_is_asked_for() {
    let name = hexadecimal(&Sha256::digest(b"bytes"));
    for (is_asked, status) in [(false, 204), (true, 400)] {
        let open =
            |dir: &Path, runtime: &Runtime| runtime.block_on(ArtifactStore::open_dir(dir)).unwrap();
        let served = Served::configured(open, |server| server.verify_cas(is_asked));
        let client = served.plain();
        for path in [format!("/artifacts/cas/{name}"), format!("/artifacts/main/cas/{name}")] {
            assert_eq!(client.put(&path, b"bytes").status, 204);
            assert_eq!(client.put(&path, b"other").status, status);
            assert_eq!(client.get(&path).text() == "bytes", is_asked);
        }
        // Its content in an encoding would be no use to whoever asks for it.
        let encoded = [("content-encoding", "gzip")];
        let put = client.send("PUT", &format!("/artifacts/cas/{name}"), &encoded, b"bytes");
        assert_eq!(put.status, status);
        client.put(&format!("/artifacts/cas/{name}"), b"bytes");
        assert_eq!(client.put("/artifacts/cas/name", b"bytes").status, status);
        assert_eq!(client.put(&format!("/artifacts/ac/{name}"), b"other").status, 204);
    }
}

#[test]
fn a_cut_body_stores_nothing() {
    let second = Duration::from_secs(1);
    let served = Served::with(ServerLimits::default().body_timeout(second));
    let client = served.plain();
    for (length, sent) in [(100, 0), (100, 50), (1 << 20, 300_000)] {
        let begun = || {
            let mut stream = client.begin("PUT", "/artifacts/k", &[], length);
            stream.write_all(&vec![b'x'; sent]).unwrap();
            stream
        };
        let reply = read_reply(&mut begun(), false);
        assert_eq!(reply.status, 408, "{}", reply.text());
        let mut cut = begun();
        cut.shutdown(Shutdown::Write).unwrap();
        assert!(read_reply(&mut cut, false).status >= 400 || cut.peer_addr().is_err());
        drop(begun());
    }
    // In chunks, of which the last one is missing.
    let chunked = [("transfer-encoding", "chunked")];
    let mut cut = client.begin("PUT", "/artifacts/k", &chunked, 0);
    cut.write_all(b"3\r\nabc\r\n").unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    let reply = read_reply(&mut cut, false);
    assert!(!(200..300).contains(&reply.status));
    assert_eq!(client.get("/artifacts/k").status, 404);
    let tmp = served.folder().join("tmp");
    let left = || std::fs::read_dir(&tmp).map_or(0, Iterator::count);
    let begun = Instant::now();
    while left() > 0 && begun.elapsed() < second * 20 {
        std::thread::sleep(second / 20);
    }
    assert_eq!(left(), 0);
    let whole = client.send("PUT", "/artifacts/k", &chunked, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(whole.status, 204, "{}", whole.text());
    assert_eq!(client.get("/artifacts/k").text(), "abcde");
}

#[test]
fn a_wrong_byte_is_never_sent_as_right() {
    for size in [10, 3_000_000] {
        let served = Served::start();
        let client = served.plain();
        client.put("/artifacts/k", &vec![b'x'; size]).ok();
        damage(&served.folder());
        let got = client.get("/artifacts/k");
        // Where it had begun, the connection breaks off before the end.
        match got.status {
            500 => assert_eq!(got.text(), "the stored bytes are damaged\n"),
            _ => assert!(size > 1_000_000 && !got.is_whole),
        }
    }
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let small = |_: &Path| bare(&[]).limits(Limits::default().buffer(1000));
    let served = Served::over(small, ServerLimits::default());
    let client = served.plain();
    for size in [1001, 300_000] {
        assert_eq!(client.put("/artifacts/l", &vec![b'x'; size]).status, 413, "{size}");
    }
}

/// A backend that only puts, gets and deletes is enough.
#[test]
fn any_backend_will_do() {
    let served = Served::over(|_: &Path| bare(&[]), ServerLimits::default());
    let client = served.plain();
    let kind = ("content-type", "text/plain");
    assert_eq!(client.send("PUT", "/artifacts/k", &[kind], b"").status, 204);
    let encoded = client.send("PUT", "/artifacts/k", &[kind, ("content-encoding", "br")], b"");
    assert_eq!(encoded.status, 501);
    // Each of its artifacts is empty.
    for reply in [client.head("/artifacts/k"), client.get("/artifacts/k")] {
        assert_eq!((reply.status, reply.header("content-length")), (200, Some("0")));
    }
    let found = client.send("PROPFIND", "/artifacts/k", &[("depth", "0")], b"");
    assert_eq!((found.status, found.field("D:getcontentlength")), (207, Some("0".into())));
    let part = client.get_with("/artifacts/k", &[("range", "bytes=1-")]);
    assert_eq!((part.status, part.header("content-range")), (416, Some("bytes */0")));
    assert_eq!(client.delete("/artifacts/k").status, 204);
}

#[test]
fn what_cannot_be_kept_as_it_was_meant_is_refused() {
    let served = Served::start();
    let client = served.plain();
    let put = |headers: &[(&str, &str)]| client.send("PUT", "/artifacts/k", headers, b"bytes");
    let sum = |text: &[u8]| base64(&Sha256::digest(text));
    let (right, wrong) = (sum(b"bytes"), sum(b"others"));
    let md5 = ["S3TWZenEKUqh4hhkKkJLQg==", "JfnnlDI7RTiF9RgfG2JNCw=="];
    for headers in [
        &[("digest", &*format!("sha-256={right},sha-256={wrong}"))][..],
        &[("digest", &format!("sha-256={right}")), ("digest", &format!("sha-256={wrong}"))],
        &[
            ("content-digest", &format!("sha-256=:{right}:")),
            ("repr-digest", &format!("sha-256=:{wrong}:")),
        ],
        &[("content-md5", md5[0]), ("content-md5", md5[1])],
    ] {
        assert_eq!(put(headers).status, 400, "{headers:?}");
    }
    let mut stream = std::net::TcpStream::connect(client.address).unwrap();
    let authorization = client.authorization.as_deref().unwrap();
    write!(
        stream,
        "PUT /artifacts/k HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\
         transfer-encoding: gzip, chunked\r\n\r\n5\r\nbytes\r\n0\r\n\r\n"
    )
    .unwrap();
    let coded = read_reply(&mut stream, false);
    assert_eq!(coded.status, 501);
    assert_eq!(client.get("/artifacts/k").status, 404);
    assert_eq!(put(&[("content-digest", &format!("sha-256=:{right}:;a=1"))]).status, 204);
    // Two lines are one list.
    assert_eq!(put(&[("content-encoding", "gzip"), ("content-encoding", "br")]).status, 204);
    assert_eq!(client.get("/artifacts/k").header("content-encoding"), Some("gzip, br"));
}

#[test]
fn an_artifact_without_bytes_has_no_end_to_be_asked_for() {
    let served = Served::start();
    served.client().put("/artifacts/k", b"").ok();
    for range in ["bytes=-5", "bytes=0-", "bytes=-0"] {
        let plain = served.plain().get_with("/artifacts/k", &[("range", range)]);
        let signed = served.client().send("GET", "/artifacts/k", &[("range", range)], b"");
        for reply in [plain, signed] {
            assert_eq!(reply.status, 416, "{range}");
            assert_eq!(reply.header("content-range"), Some("bytes */0"));
        }
    }
    let ignored = served.plain().get_with("/artifacts/k", &[("range", "bytes=-")]);
    assert_eq!(ignored.status, 200);
}
