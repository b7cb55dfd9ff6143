//! The checksum that the client of a single put states is kept, and sent back.

use artifact_store::{Backend, Grants};
use artifact_store_server::ServerLimits;
use s3s::crypto::{Checksum, Sha256};

use crate::bodies::{SUMS, chunked, send_chunked};
use crate::served::client::{Reply, base64};
use crate::served::{Client, Served};

const SHA256: &str = "x-amz-checksum-sha256";
const CRC64: &str = "x-amz-checksum-crc64nvme";

pub fn sha256(bytes: &[u8]) -> String {
    let mut sum = Sha256::new();
    sum.update(bytes);
    base64(&sum.finalize())
}

/// GET and HEAD of a client that wants to compare.
fn read(client: &Client, target: &str) -> [Reply; 2] {
    let asked = [("x-amz-checksum-mode", "ENABLED")];
    ["GET", "HEAD"].map(|method| client.send(method, target, &asked, b"").ok())
}

#[test]
fn a_checksum_that_a_put_states_is_sent_back() {
    let served = Served::start();
    let client = served.client();
    for (name, value) in &SUMS[1..] {
        let kept = [(*name, *value), ("x-amz-meta-a", "1")];
        client.send("PUT", "/artifacts/k", &kept, b"123456789").ok();
        client.send("PUT", "/others/copy", &[("x-amz-copy-source", "/artifacts/k")], b"").ok();
        for target in ["/artifacts/k", "/others/copy"] {
            for reply in read(&client, target) {
                assert_eq!(reply.header(name), Some(*value));
                assert_eq!(reply.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
                let sums = reply.headers.iter().filter(|(it, _)| it.starts_with("x-amz-checksum-"));
                assert_eq!(sums.count(), 2, "{:?}", reply.headers);
                assert_eq!(reply.header("x-amz-meta-a"), Some("1"));
                assert_eq!(reply.header("x-amz-meta-s3-checksum"), None);
                assert_eq!(reply.header("x-amz-mp-parts-count"), None);
            }
            assert_eq!(client.get(target).header(name), None);
            let asked = [("x-amz-object-attributes", "Checksum,ObjectParts")];
            let all = client.send("GET", &format!("{target}?attributes="), &asked, b"").ok();
            assert!(all.text().contains(&format!(">{value}</Checksum")), "{}", all.text());
            assert_eq!(all.field("ChecksumType").as_deref(), Some("FULL_OBJECT"));
            assert_eq!(all.field("ObjectParts"), None);
        }
        // A range has other bytes.
        let asked = [("x-amz-checksum-mode", "ENABLED"), ("range", "bytes=0-3")];
        assert_eq!(client.send("GET", "/artifacts/k", &asked, b"").ok().header(name), None);
    }
    // Of several the strongest.
    client.send("PUT", "/artifacts/k", &SUMS, b"123456789").ok();
    assert_eq!(read(&client, "/artifacts/k")[0].header(SHA256), Some(SUMS[5].1));
    // So of a large one, beside what else belongs to it.
    let large = vec![b'x'; 70_000];
    let sum = sha256(&large);
    let kept = [(SHA256, &*sum), ("content-type", "text/plain")];
    client.send("PUT", "/artifacts/large", &kept, &large).ok();
    assert_eq!(read(&client, "/artifacts/large")[0].header(SHA256), Some(&*sum));
    // It goes with the bytes.
    client.put("/artifacts/k", b"123456789").ok();
    for reply in read(&client, "/artifacts/k") {
        assert_eq!((reply.header(SHA256), reply.header(CRC64)), (None, Some(SUMS[3].1)));
    }
}

#[test]
fn what_is_not_known_in_time_or_has_no_room_is_not_kept() {
    let served = Served::start();
    let client = served.client();
    let (name, value) = SUMS[5];
    let body = chunked(b"123456789", &format!("{name}:{value}"));
    send_chunked(&client, 9, &body, name).ok();
    assert_eq!(read(&client, "/artifacts/k")[0].header(CRC64), Some(SUMS[3].1));
    let large = "x".repeat(1500);
    let full = [(name, value), ("x-amz-meta-a", &*large)];
    client.send("PUT", "/artifacts/k", &full, b"123456789").ok();
    for reply in read(&client, "/artifacts/k") {
        assert_eq!((reply.header(name), reply.header(CRC64)), (None, Some(SUMS[3].1)));
        assert_eq!(reply.header("x-amz-meta-a"), Some(&*large));
    }
}

#[test]
fn a_store_without_attributes_keeps_the_bytes_all_the_same() {
    let wrong = |dir: &std::path::Path| {
        let grants = Grants::none().read_write(dir, "/").env("FAULT", "keeps-no-attributes");
        Backend::from_file(artifact_store_tests::guest("wrong")).grants(grants)
    };
    let plain = |dir: &std::path::Path| artifact_store_tests::guest_on("plain", dir);
    for served in
        [Served::over(wrong, ServerLimits::default()), Served::over(plain, ServerLimits::default())]
    {
        let client = served.client();
        // Large ones are written as they come, and cannot be tried again.
        for size in [9, 70_000, 700_000] {
            let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let sum = sha256(&body);
            let put = client.send("PUT", "/artifacts/k", &[(SHA256, &*sum)], &body).ok();
            assert_eq!(put.header(SHA256), Some(&*sum));
            let [got, _] = read(&client, "/artifacts/k");
            assert!(got.body == body, "{size}");
            assert_eq!(got.header(SHA256), None);
            let wrong = client.send("PUT", "/artifacts/k", &[(SHA256, SUMS[5].1)], &body[1..]);
            wrong.is(400, "BadDigest");
            assert!(client.get("/artifacts/k").ok().body == body, "{size}");
        }
    }
}
