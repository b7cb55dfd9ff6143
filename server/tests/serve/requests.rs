//! What single requests of S3 do.

use crate::served::client::Client;
use crate::served::{Served, damage};
use artifact_store_server::ServerLimits;

const MIB: usize = 1 << 20;

#[test]
fn an_object_is_stored_read_described_listed_and_deleted() {
    let served = Served::start();
    let client = served.client();
    let headers = [("content-type", "text/plain"), ("x-amz-meta-test_key", "a b")];
    let put = client.send("PUT", "/artifacts/a/b%20c", &headers, b"123456789").ok();
    let tag = put.etag();
    assert!(tag.ends_with("-1\""), "{tag}");
    assert_eq!(put.header("x-amz-checksum-crc64nvme"), Some("rosUhgp5mIg="));
    let got = client.get("/artifacts/a/b%20c").ok();
    assert_eq!((got.text().as_str(), got.is_whole), ("123456789", true));
    for reply in [&got, &client.head("/artifacts/a/b%20c").ok()] {
        assert_eq!(reply.etag(), tag);
        assert_eq!(reply.header("content-length"), Some("9"));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
        assert_eq!(reply.header("x-amz-meta-test_key"), Some("a b"));
        assert!(reply.header("last-modified").is_some());
    }
    let listed = client.get("/artifacts?list-type=2&prefix=a%2F").ok();
    assert_eq!(listed.fields("Key"), ["a/b c"]);
    assert_eq!(listed.fields("Size"), ["9"]);
    assert_eq!(listed.field("ETag").unwrap().replace("&quot;", "\""), tag);
    for _ in 0..2 {
        assert_eq!(client.delete("/artifacts/a/b%20c").ok().status, 204);
    }
    client.get("/artifacts/a/b%20c").is(404, "NoSuchKey");
    assert_eq!(client.head("/artifacts/a/b%20c").status, 404);
}

#[test]
fn attributes_of_an_object_are_those_that_are_asked_for() {
    let served = Served::start();
    let client = served.client();
    let tag = client.put("/artifacts/k", b"123456789").ok().etag();
    let asked = [("x-amz-object-attributes", "ETag, Checksum,ObjectSize,StorageClass")];
    let reply = client.send("GET", "/artifacts/k?attributes=", &asked, b"").ok();
    // As on AWS, without its quotes.
    assert_eq!(reply.field("ETag"), Some(tag.replace('"', "")));
    assert_eq!(reply.field("ChecksumCRC64NVME").as_deref(), Some("rosUhgp5mIg="));
    assert_eq!(reply.field("ObjectSize").as_deref(), Some("9"));
    assert_eq!(reply.field("StorageClass").as_deref(), Some("STANDARD"));
    let asked = [("x-amz-object-attributes", "ObjectSize")];
    let reply = client.send("GET", "/artifacts/k?attributes=", &asked, b"").ok();
    assert_eq!(reply.field("ETag"), None);
}

#[test]
fn ranges_and_conditions_are_those_of_http() {
    let served = Served::start();
    let client = served.client();
    let tag = client.put("/artifacts/k", b"0123456789").ok().etag();
    client.put("/artifacts/empty", b"").ok();
    for (range, body, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-30", "0123456789", "bytes 0-9/10"),
        ("bytes=4-400", "456789", "bytes 4-9/10"),
    ] {
        let reply = client.send("GET", "/artifacts/k", &[("range", range)], b"");
        assert_eq!((reply.status, reply.text().as_str()), (206, body), "{range}");
        assert_eq!(reply.header("content-range"), Some(content_range));
    }
    for (target, range) in [
        ("/artifacts/k", "bytes=10-"),
        ("/artifacts/k", "bytes=99-"),
        ("/artifacts/k", "bytes=-0"),
        ("/artifacts/empty", "bytes=0-"),
    ] {
        let reply = client.send("GET", target, &[("range", range)], b"");
        reply.is(416, "InvalidRange");
        assert!(reply.header("content-range").unwrap().starts_with("bytes */"));
    }
    let (past, future) = ("Thu, 01 Jan 2004 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT");
    for (status, headers) in [
        (200, &[("if-match", tag.as_str())][..]),
        (200, &[("if-match", "*")]),
        (412, &[("if-match", "\"other\"")]),
        (304, &[("if-none-match", &tag)]),
        (200, &[("if-none-match", "\"other\"")]),
        (200, &[("if-modified-since", past)]),
        (304, &[("if-modified-since", future)]),
        (200, &[("if-unmodified-since", future)]),
        (412, &[("if-unmodified-since", past)]),
        (200, &[("if-match", &tag), ("if-unmodified-since", past)]),
        (200, &[("if-none-match", "\"other\""), ("if-modified-since", future)]),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = client.send(method, "/artifacts/k", headers, b"");
            assert_eq!(reply.status, status, "{method} {headers:?}");
        }
    }
    let whole = client.get("/artifacts/k?partNumber=1").ok();
    assert_eq!(whole.text(), "0123456789");
    client.get("/artifacts/k?partNumber=2").is(416, "InvalidPartNumber");
    let typed = client.get("/artifacts/k?response-content-type=text%2Fcsv").ok();
    assert_eq!(typed.header("content-type"), Some("text/csv"));
}

#[test]
fn a_write_meets_its_condition_or_changes_nothing() {
    let served = Served::start();
    let client = served.client();
    let put = |key: &str, name: &str, value: &str, body: &[u8]| {
        client.send("PUT", &format!("/artifacts/{key}"), &[(name, value)], body)
    };
    let first = put("k", "if-none-match", "*", b"1").ok().etag();
    put("k", "if-none-match", "*", b"2").is(412, "PreconditionFailed");
    put("k", "if-match", "\"other\"", b"2").is(412, "PreconditionFailed");
    let second = put("k", "if-match", &first, b"2").ok().etag();
    assert_ne!(first, second);
    put("k", "if-match", &first, b"3").is(412, "PreconditionFailed");
    put("k", "if-match", "*", b"3").ok();
    put("absent", "if-match", "*", b"3").is(404, "NoSuchKey");
    put("k", "if-none-match", &second, b"4").is(501, "NotImplemented");
    assert_eq!(client.get("/artifacts/k").text(), "3");
    // A large body, which is written as it comes.
    let large = vec![b'x'; MIB];
    put("k", "if-none-match", "*", &large).is(412, "PreconditionFailed");
    assert_eq!(client.get("/artifacts/k").text(), "3");
}

#[test]
fn a_deletion_meets_its_condition_or_removes_nothing() {
    let served = Served::start();
    let client = served.client();
    let delete =
        |name: &str, value: &str| client.send("DELETE", "/artifacts/k", &[(name, value)], b"");
    let first = client.put("/artifacts/k", b"1").ok().etag();
    let second = client.put("/artifacts/k", b"22").ok().etag();
    for (name, value) in [
        ("if-match", &*first),
        ("if-match", "\"other\""),
        ("x-amz-if-match-size", "1"),
        ("x-amz-if-match-last-modified-time", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ] {
        delete(name, value).is(412, "PreconditionFailed");
        assert_eq!(client.get("/artifacts/k").ok().text(), "22", "{name}");
    }
    assert_eq!(delete("if-match", &second).status, 204);
    client.get("/artifacts/k").is(404, "NoSuchKey");
    // As after any deletion, so that a retry succeeds.
    assert_eq!(delete("if-match", &second).status, 204);
    client.put("/artifacts/k", b"3").ok();
    assert_eq!(delete("if-match", "*").status, 204);
    client.put("/artifacts/k", b"4").ok();
    let modified = client.head("/artifacts/k").header("last-modified").unwrap().to_owned();
    let both = [("x-amz-if-match-size", "1"), ("x-amz-if-match-last-modified-time", &*modified)];
    assert_eq!(client.send("DELETE", "/artifacts/k", &both, b"").status, 204);
    client.get("/artifacts/k").is(404, "NoSuchKey");
}

#[test]
fn a_counter_that_eight_clients_increment_loses_no_update() {
    const EACH: u64 = 20;
    let served = Served::start();
    served.client().put("/artifacts/counter", b"0").ok();
    let count = |client: Client| {
        let mut done = 0;
        while done < EACH {
            let reply = client.get("/artifacts/counter").ok();
            let next = reply.text().parse::<u64>().unwrap() + 1;
            let headers = [("if-match", &*reply.etag())];
            let body = next.to_string();
            match client.send("PUT", "/artifacts/counter", &headers, body.as_bytes()).status {
                200 => done += 1,
                status => assert_eq!(status, 412),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| count(served.client()));
        }
    });
    assert_eq!(served.client().get("/artifacts/counter").text(), (8 * EACH).to_string());
}

#[test]
fn what_asks_for_more_than_the_server_does_is_refused() {
    let served = Served::start();
    let client = served.client();
    for header in [
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "id=1"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-website-redirect-location", "/"),
        ("x-amz-write-offset-bytes", "3"),
        ("x-amz-expected-bucket-owner", "111122223333"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ] {
        client.send("PUT", "/artifacts/k", &[header], b"1").is(501, "NotImplemented");
    }
    for target in ["/artifacts/k?tagging=", "/artifacts/k?retention=", "/artifacts/k?versionId=1"] {
        client.get(target).is(501, "NotImplemented");
    }
    for target in ["/artifacts?policy=", "/artifacts?versions=", "/artifacts?lifecycle="] {
        client.get(target).is(501, "NotImplemented");
    }
    client.put("/artifacts/k?X-Amz-Meta-A=b", b"1").is(501, "NotImplemented");
    client.get("/artifacts/k").is(404, "NoSuchKey");
    let harmless = [("x-amz-storage-class", "STANDARD"), ("x-amz-acl", "private")];
    client.send("PUT", "/artifacts/k", &harmless, b"1").ok();
    let large = "x".repeat(2100);
    let reply = client.send("PUT", "/artifacts/l", &[("x-amz-meta-a", &large)], b"1");
    reply.is(400, "MetadataTooLarge");
}

/// A backend that has nothing but put, get and delete.
#[test]
fn what_a_backend_cannot_do_is_an_error_and_changes_nothing() {
    let backend = |dir: &std::path::Path| artifact_store_tests::guest_on("plain", dir);
    let served = Served::over(backend, ServerLimits::default());
    let client = served.client();
    let tag = client.put("/artifacts/k", b"123456789").ok().etag();
    let got = client.get("/artifacts/k").ok();
    assert_eq!((got.text().as_str(), got.is_whole), ("123456789", true));
    // Nothing tells another object of that size from this one.
    assert_eq!(got.header("etag"), None);
    let same = client.send("GET", "/artifacts/k", &[("if-none-match", "\"9-1\"")], b"");
    assert_eq!(same.status, 200);
    for header in [
        ("if-none-match", "*"),
        ("if-match", &*tag),
        ("if-match", "*"),
        ("content-type", "text/plain"),
        ("x-amz-meta-a", "1"),
    ] {
        let large = vec![b'x'; 100_000];
        for body in [b"2".as_slice(), &large] {
            client.send("PUT", "/artifacts/k", &[header], body).is(501, "NotImplemented");
        }
    }
    client.get("/artifacts?list-type=2").is(501, "NotImplemented");
    for value in [&*tag, "*"] {
        let headers = [("if-match", value)];
        client.send("DELETE", "/artifacts/k", &headers, b"").is(501, "NotImplemented");
    }
    let head = client.head("/artifacts/k");
    assert_eq!((head.status, head.header("content-length")), (200, Some("9")));
    assert_eq!(client.head("/artifacts/absent").status, 404);
    let large = vec![b'x'; 100_000];
    client.put("/artifacts/large", &large).ok();
    assert_eq!(client.get("/artifacts/large").ok().body, large);
    assert_eq!(client.get("/artifacts/k").text(), "123456789");
    assert_eq!(client.delete("/artifacts/k").status, 204);
    client.get("/artifacts/k").is(404, "NoSuchKey");
}

#[test]
fn buckets_are_those_of_the_configuration() {
    let served = Served::start();
    let client = served.client();
    assert_eq!(client.get("/").ok().fields("Name"), ["artifacts", "others"]);
    assert_eq!(client.head("/artifacts").status, 200);
    assert_eq!(client.head("/absent").status, 404);
    client.get("/absent?list-type=2").is(404, "NoSuchBucket");
    client.put("/absent/k", b"1").is(404, "NoSuchBucket");
    client.put("/artifacts", b"").is(409, "BucketAlreadyOwnedByYou");
    client.put("/absent", b"").is(501, "NotImplemented");
    client.delete("/artifacts").is(501, "NotImplemented");
    client.get("/artifacts?location=").ok();
    let versioning = client.get("/artifacts?versioning=").ok();
    assert_eq!(versioning.field("Status"), None);
}

#[test]
fn copies_keep_or_replace_what_belongs_to_the_object() {
    let served = Served::start();
    let client = served.client();
    let kept = [("content-type", "text/plain"), ("x-amz-meta-a", "1")];
    let tag = client.send("PUT", "/artifacts/from", &kept, b"bytes").ok().etag();
    let copy = |target: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("x-amz-copy-source", "/artifacts/from")];
        all.extend_from_slice(headers);
        client.send("PUT", target, &all, b"")
    };
    for target in ["/artifacts/to", "/others/to"] {
        let copied = copy(target, &[]).ok();
        let got = client.get(target).ok();
        assert_eq!(copied.field("ETag").unwrap().replace("&quot;", "\""), got.etag());
        assert_eq!(got.text(), "bytes");
        assert_eq!(got.header("content-type"), Some("text/plain"));
        assert_eq!(got.header("x-amz-meta-a"), Some("1"));
    }
    let replace = [("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
    copy("/artifacts/from", &[]).is(400, "InvalidRequest");
    copy("/artifacts/from", &replace).ok();
    let got = client.get("/artifacts/from").ok();
    assert_eq!((got.header("x-amz-meta-a"), got.header("x-amz-meta-b")), (None, Some("2")));
    for (header, value) in [
        ("x-amz-copy-source-if-match", tag.as_str()),
        ("x-amz-copy-source-if-none-match", "*"),
        ("x-amz-copy-source-if-modified-since", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ("x-amz-copy-source-if-unmodified-since", "Thu, 01 Jan 2004 00:00:00 GMT"),
        ("if-none-match", "*"),
        ("if-match", "\"other\""),
    ] {
        copy("/artifacts/to", &[(header, value)]).is(412, "PreconditionFailed");
    }
    copy("/artifacts/new", &[("x-amz-copy-source-if-match", &got.etag())]).ok();
    let absent = [("x-amz-copy-source", "/artifacts/absent")];
    client.send("PUT", "/artifacts/x", &absent, b"").is(404, "NoSuchKey");
    let old = [("x-amz-copy-source", "/artifacts/from?versionId=1")];
    client.send("PUT", "/artifacts/x", &old, b"").is(501, "NotImplemented");
}

#[test]
fn many_objects_are_deleted_at_once() {
    let served = Served::start();
    let client = served.client();
    for key in ["a", "b", "c"] {
        client.put(&format!("/artifacts/{key}"), b"1").ok();
    }
    let delete = |body: &str| client.send("POST", "/artifacts?delete=", &[], body.as_bytes());
    let object = |key: &str| format!("<Object><Key>{key}</Key></Object>");
    let some = format!("<Delete>{}{}</Delete>", object("a"), object("absent"));
    assert_eq!(delete(&some).ok().fields("Key"), ["a", "absent"]);
    let quiet = format!("<Delete><Quiet>true</Quiet>{}</Delete>", object("b"));
    assert_eq!(delete(&quiet).ok().fields("Key"), [""; 0]);
    let d = client.put("/artifacts/d", b"1").ok().etag();
    let tagged =
        |key: &str, tag: &str| format!("<Object><Key>{key}</Key><ETag>{tag}</ETag></Object>");
    let some = format!("<Delete>{}{}</Delete>", tagged("c", "\"x\""), tagged("d", &d));
    let reply = delete(&some).ok();
    assert_eq!(reply.fields("Code"), ["PreconditionFailed"]);
    assert_eq!(reply.fields("Key"), ["d", "c"]);
    let many: String = (0..1001).map(|n| object(&n.to_string())).collect();
    delete(&format!("<Delete>{many}</Delete>")).is(400, "MalformedXML");
    assert_eq!(client.get("/artifacts?list-type=2").ok().fields("Key"), ["c"]);
}

#[test]
fn a_damaged_artifact_is_never_a_whole_answer() {
    let served = Served::start();
    let client = served.client();
    for size in [10, 2 * MIB + 17] {
        client.put("/artifacts/k", &vec![b'x'; size]).ok();
        damage(&served.folder());
        let reply = client.get("/artifacts/k");
        assert!(reply.status == 500 || !reply.is_whole, "{size}: {}", reply.status);
        if size == 10 {
            reply.is(500, "InternalError");
        }
        assert!(!reply.text().contains(&served.dir.path().display().to_string()));
        // Nor does it become one by a copy.
        for headers in [
            &[("x-amz-copy-source", "/artifacts/k")][..],
            &[("x-amz-copy-source", "/artifacts/k"), ("x-amz-metadata-directive", "REPLACE")],
        ] {
            let copied = client.send("PUT", "/others/copy", headers, b"");
            assert_eq!(copied.status, 500);
            client.get("/others/copy").is(404, "NoSuchKey");
        }
        client.put("/artifacts/k", b"1").ok();
        client.delete("/artifacts/k").ok();
    }
}

#[test]
fn a_listing_for_what_no_key_has_is_empty() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/a/b", b"1").ok();
    for query in ["prefix=a%0A", "list-type=2&prefix=%C2%8A"] {
        let listed = client.get(&format!("/artifacts?{query}")).ok();
        assert_eq!(listed.fields("Key"), [""; 0], "{query}");
    }
    let listed = client.get("/artifacts?delimiter=").ok();
    assert_eq!(listed.fields("Key"), ["a/b"]);
    assert_eq!(listed.field("Delimiter"), None);
    client.send("DELETE", "/artifacts", &[], b"").is(409, "BucketNotEmpty");
    client.send("DELETE", "/others", &[], b"").is(501, "NotImplemented");
    client.send("DELETE", "/absent", &[], b"").is(404, "NoSuchBucket");
}
