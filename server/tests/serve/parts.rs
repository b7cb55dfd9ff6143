//! What an object knows of the upload in parts that it was.

use artifact_store::{Backend, Grants};
use artifact_store_server::ServerLimits;
use s3s::crypto::{Checksum, Crc32, Sha256};

use crate::served::client::{Reply, base64};
use crate::served::{Client, Served};
use crate::uploads::{PART, begin, complete, part};

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let mut sum = Sha256::new();
    sum.update(bytes);
    sum.finalize().to_vec()
}

fn crc32(bytes: &[u8]) -> String {
    let mut sum = Crc32::new();
    sum.update(bytes);
    base64(&sum.finalize())
}

fn attributes(client: &Client, query: &str) -> Reply {
    let asked = [("x-amz-object-attributes", "ETag,Checksum,ObjectParts")];
    client.send("GET", &format!("/artifacts/k?attributes={query}"), &asked, b"").ok()
}

/// Sends a part with its checksum, or without.
fn summed(client: &Client, id: &str, number: u32, body: &[u8], header: &[(&str, &str)]) -> Reply {
    let target = format!("/artifacts/k?partNumber={number}&uploadId={id}");
    client.send("PUT", &target, header, body).ok()
}

#[test]
fn an_object_keeps_its_parts_and_their_checksums() {
    let served = Served::start();
    let client = served.client();
    let first = vec![b'x'; PART];
    let sums = [sha256(&first), sha256(b"the end")];
    let composite = format!("{}-2", base64(&sha256(&sums.concat())));
    let sums = sums.map(|sum| base64(&sum));
    let header = "x-amz-checksum-sha256";

    let reply = client.send(
        "POST",
        "/artifacts/k?uploads=",
        &[("x-amz-checksum-algorithm", "SHA256"), ("x-amz-meta-s3-parts", "mine")],
        b"",
    );
    let id = reply.ok().field("UploadId").unwrap();
    // The server computes it where the client does not.
    let one = summed(&client, &id, 2, &first, &[]);
    let two = summed(&client, &id, 5, b"the end", &[(header, &sums[1])]);
    assert_eq!((one.header(header), two.header(header)), (Some(&*sums[0]), Some(&*sums[1])));
    let listed = client.get(&format!("/artifacts/k?uploadId={id}")).ok();
    assert_eq!(listed.fields("ChecksumSHA256"), sums);
    assert_eq!(listed.field("ChecksumType").as_deref(), Some("COMPOSITE"));
    let parts = [(2, &*one.etag()), (5, &*two.etag())];
    for wrong in ["bad", &sums[0], &composite.replace("-2", "-3")] {
        complete(&client, "k", &id, &parts, &[(header, wrong)]).is(400, "BadDigest");
    }
    for _ in 0..2 {
        let done = complete(&client, "k", &id, &parts, &[(header, &composite)]).ok();
        assert_eq!(done.field("ChecksumSHA256").as_deref(), Some(&*composite));
        assert_eq!(done.field("ChecksumType").as_deref(), Some("COMPOSITE"));
    }

    assert_eq!(client.head("/artifacts/k").header(header), None);
    for method in ["HEAD", "GET"] {
        let whole = client.send(method, "/artifacts/k", &[("x-amz-checksum-mode", "ENABLED")], b"");
        assert_eq!(whole.header(header), Some(&*composite));
        assert_eq!(whole.header("x-amz-checksum-type"), Some("COMPOSITE"));
        assert_eq!(whole.header("x-amz-checksum-crc64nvme"), None);
        assert_eq!(whole.header("x-amz-meta-s3-parts"), Some("mine"));
        assert_eq!(whole.header("x-amz-mp-parts-count"), None);
    }
    let got = client.get("/artifacts/k?partNumber=2");
    assert_eq!((got.status, got.text()), (206, "the end".into()));
    assert_eq!(
        got.header("content-range"),
        Some(&*format!("bytes {PART}-{0}/{1}", PART + 6, PART + 7))
    );
    assert_eq!(got.header("x-amz-mp-parts-count"), Some("2"));
    assert_eq!(got.header(header), Some(&*sums[1]));
    assert_eq!(client.get("/artifacts/k?partNumber=1").ok().body, first);
    let head = client.head("/artifacts/k?partNumber=1").ok();
    assert_eq!(head.header("content-length"), Some(&*PART.to_string()));
    for absent in ["3", "0", "10001"] {
        client.get(&format!("/artifacts/k?partNumber={absent}")).is(416, "InvalidPartNumber");
    }

    let all = attributes(&client, "");
    assert_eq!(all.field("ETag").unwrap(), head.etag().replace('"', ""));
    assert_eq!(all.fields("ChecksumSHA256"), [&*composite, &*sums[0], &*sums[1]]);
    assert_eq!(all.fields("Size"), [PART.to_string(), "7".into()]);
    assert_eq!(all.field("PartsCount").as_deref(), Some("2"));
    let asked = [("x-amz-object-attributes", "ObjectParts"), ("x-amz-max-parts", "1")];
    let page = client.send("GET", "/artifacts/k?attributes=", &asked, b"").ok();
    assert_eq!(page.fields("PartNumber"), ["1"]);
    assert_eq!(page.field("IsTruncated").as_deref(), Some("true"));
    assert_eq!(page.field("NextPartNumberMarker").as_deref(), Some("1"));

    // Not even the last part has to have bytes.
    let id = begin(&client, "e", &[]);
    let tags = [part(&client, "e", &id, 1, &first), part(&client, "e", &id, 2, b"")];
    complete(&client, "e", &id, &[(1, &tags[0]), (2, &tags[1])], &[]).ok();
    client.put("/artifacts/empty", b"").ok();
    for target in ["/artifacts/e?partNumber=2", "/artifacts/empty?partNumber=1"] {
        let got = client.get(target);
        assert_eq!((got.status, got.text()), (200, String::new()), "{target}");
        assert_eq!(client.head(target).ok().header("content-length"), Some("0"), "{target}");
    }

    // A copy has the same bytes; what replaces it has others.
    client.send("PUT", "/artifacts/copy", &[("x-amz-copy-source", "/artifacts/k")], b"").ok();
    assert_eq!(client.get("/artifacts/copy?partNumber=2").text(), "the end");
    client.put("/artifacts/k", b"new").ok();
    assert_eq!(client.get("/artifacts/k?partNumber=1").ok().text(), "new");
    client.get("/artifacts/k?partNumber=2").is(416, "InvalidPartNumber");
    assert_eq!(attributes(&client, "").field("ObjectParts"), None);
}

#[test]
fn the_checksum_of_all_bytes_follows_from_those_of_the_parts() {
    let served = Served::start();
    let client = served.client();
    let first = vec![b'x'; PART];
    let whole = crc32(&[&*first, b"the end"].concat());
    let header = "x-amz-checksum-crc32";
    let asked = [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let id = begin(&client, "k", &asked);
    let one = summed(&client, &id, 1, &first, &[(header, &crc32(&first))]).etag();
    // One that is copied has none that was noted.
    client.put("/artifacts/from", b"the end").ok();
    let copied = summed(&client, &id, 2, b"", &[("x-amz-copy-source", "/artifacts/from")]);
    let two = copied.field("ETag").unwrap().replace("&quot;", "\"");
    let parts = [(1, &*one), (2, &*two)];
    complete(&client, "k", &id, &parts, &[(header, "AAAAAA==")]).is(400, "BadDigest");
    let done = complete(&client, "k", &id, &parts, &[(header, &whole)]).ok();
    assert_eq!(done.field("ChecksumCRC32").as_ref(), Some(&whole));
    assert_eq!(done.field("ChecksumType").as_deref(), Some("FULL_OBJECT"));
    let all = attributes(&client, "");
    assert_eq!(all.fields("ChecksumCRC32"), [&*whole, &*crc32(&first), &*crc32(b"the end")]);
    for wrong in [
        &[("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "FULL_OBJECT")][..],
        &[("x-amz-checksum-algorithm", "CRC64NVME"), ("x-amz-checksum-type", "COMPOSITE")],
        &[("x-amz-checksum-algorithm", "MD5")],
    ] {
        client.send("POST", "/artifacts/k?uploads=", wrong, b"").is(400, "InvalidRequest");
    }
}

#[test]
fn a_store_without_attributes_has_uploads_in_parts_all_the_same() {
    let backend = |dir: &std::path::Path| {
        let grants = Grants::none().read_write(dir, "/").env("FAULT", "keeps-no-attributes");
        Backend::from_file(artifact_store_tests::guest("wrong")).grants(grants)
    };
    let served = Served::over(backend, ServerLimits::default());
    let client = served.client();
    let id = begin(&client, "k", &[("x-amz-checksum-algorithm", "SHA256")]);
    let tag = part(&client, "k", &id, 1, b"bytes");
    let done = complete(&client, "k", &id, &[(1, &tag)], &[]).ok();
    assert!(done.field("ChecksumSHA256").unwrap().ends_with("-1"));
    assert_eq!(client.get("/artifacts/k").ok().text(), "bytes");
    let id = begin(&client, "k", &[("content-type", "text/plain")]);
    let tag = part(&client, "k", &id, 1, b"typed");
    complete(&client, "k", &id, &[(1, &tag)], &[]).is(501, "NotImplemented");
}
