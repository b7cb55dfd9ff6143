//! Clients that are slow, broken or hostile: bounded, a clear answer, and the others are served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::served::client::{Reply, read_reply, request};
use crate::served::{Client, Served};
use artifact_store_server::ServerLimits;

const SECOND: Duration = Duration::from_secs(1);

fn impatient() -> ServerLimits {
    let limits = ServerLimits::default().header_timeout(SECOND).body_timeout(SECOND);
    limits.answer_timeout(SECOND).patience(SECOND * 20)
}

/// A request that announces `length` bytes and sends `sent` of them.
fn begun(client: &Client, length: usize, sent: usize) -> TcpStream {
    let body = vec![b'x'; length];
    let head = client.signed_head(&request("PUT", "/artifacts/k", &[], &body));
    let mut stream = client.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..sent]).unwrap();
    stream
}

/// How long it takes until the server ends this connection.
fn ended(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new());
    begun.elapsed()
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let served = Served::with(impatient());
    let client = served.client();
    for start in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-a"] {
        let mut stream = client.connect();
        stream.write_all(start.as_bytes()).unwrap();
        assert!(ended(stream) < SECOND * 20);
    }
    // And one that comes byte by byte.
    let mut stream = client.connect();
    let begun = Instant::now();
    while stream.write_all(b"x").is_ok() {
        assert!(begun.elapsed() < SECOND * 20);
        std::thread::sleep(SECOND / 10);
    }
}

#[test]
fn a_body_that_stops_stores_nothing() {
    let served = Served::with(impatient());
    let client = served.client();
    for (length, sent) in [(100, 0), (100, 50), (1 << 20, 0), (1 << 20, 300_000)] {
        let mut stalled = begun(&client, length, sent);
        // Others are served meanwhile.
        client.put("/artifacts/other", b"1").ok();
        read_reply(&mut stalled, false).is(400, "RequestTimeout");
        let cut = begun(&client, length, sent);
        cut.shutdown(Shutdown::Both).unwrap();
        let mut cut = begun(&client, length, sent);
        cut.shutdown(Shutdown::Write).unwrap();
        let reply = read_reply(&mut cut, false);
        assert!(!(200..300).contains(&reply.status), "{}", reply.status);
        client.get("/artifacts/k").is(404, "NoSuchKey");
    }
    let tmp = served.folder().join("tmp");
    let left = || std::fs::read_dir(&tmp).map_or(0, Iterator::count);
    let begun = Instant::now();
    while left() > 0 && begun.elapsed() < SECOND * 20 {
        std::thread::sleep(SECOND / 20);
    }
    assert_eq!(left(), 0);
}

#[test]
fn a_body_that_comes_byte_by_byte_is_given_up() {
    let served = Served::with(impatient());
    let mut slow = begun(&served.client(), 1 << 20, 1000);
    let begun = Instant::now();
    while slow.write_all(b"x").is_ok() {
        assert!(begun.elapsed() < SECOND * 20);
        std::thread::sleep(SECOND / 10);
    }
    served.client().get("/artifacts/k").is(404, "NoSuchKey");
}

#[test]
fn a_client_that_takes_nothing_keeps_its_place_for_a_while_only() {
    let served = Served::with(impatient().connections(1));
    let client = served.client();
    let large = vec![b'x'; 64 << 20];
    let mut put = request("PUT", "/artifacts/k", &[], &large);
    put.payload = Some("UNSIGNED-PAYLOAD");
    client.request(put).ok();
    let head = client.signed_head(&request("GET", "/artifacts/k", &[], b""));
    let mut greedy = client.connect();
    greedy.write_all(head.as_bytes()).unwrap();
    let begun = Instant::now();
    client.head("/artifacts/k").ok();
    assert!(begun.elapsed() < SECOND * 30, "{:?}", begun.elapsed());
    drop(greedy);
}

#[test]
fn more_clients_than_places_wait_for_one() {
    let served = Served::with(impatient().connections(2));
    let client = served.client();
    let idle: Vec<_> = (0..10).map(|_| client.connect()).collect();
    client.put("/artifacts/k", b"1").ok();
    drop(idle);
}

#[test]
fn heads_are_bounded_and_unambiguous() {
    let served = Served::start();
    let client = served.client();
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: y\r\n".repeat(5000));
    for head in [&*huge, &many] {
        let status = client.raw(head.as_bytes()).status;
        assert!([0, 400, 431].contains(&status), "{status}");
    }
    let long = format!("/artifacts/{}", "x".repeat(100_000));
    let status = client.get(&long).status;
    assert!([0, 400, 414, 431].contains(&status), "{status}");
    for lengths in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: -1\r\n",
        "content-length: x\r\n",
        "content-length: 1, 2\r\n",
        "content-length: 99999999999999999999999\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let head = format!("PUT /artifacts/k HTTP/1.1\r\nhost: x\r\n{lengths}\r\nxx");
        let status = client.raw(head.as_bytes()).status;
        assert!((400..500).contains(&status), "{lengths}: {status}");
    }
    client.put("/artifacts/k", b"1").ok();
}

#[test]
fn any_key_is_one_object_within_its_bucket() {
    let served = Served::start();
    let client = served.client();
    let keys = [
        "..",
        "../..",
        "../../etc/passwd",
        "a/../b",
        "./a",
        "//",
        "a//b",
        "/a",
        "a/",
        "~",
        "-h",
        "%25",
        "%2A",
        "%F0%9F%98%80",
        "a%3Fb",
        "a%23b",
        "%5C..%5C",
        "con",
        "tmp",
        "_a",
        ",a",
    ];
    for key in keys {
        let target = format!("/artifacts/{key}");
        client.put(&target, key.as_bytes()).ok();
    }
    for key in keys {
        let target = format!("/artifacts/{key}");
        assert_eq!(client.get(&target).ok().text(), key);
    }
    let listed = client.get("/artifacts?list-type=2").ok().fields("Key");
    assert_eq!(listed.len(), keys.len());
    let beside: Vec<_> = std::fs::read_dir(served.dir.path()).unwrap().collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
    for key in keys {
        assert_eq!(client.delete(&format!("/artifacts/{key}")).status, 204);
    }
    for key in ["%01", "a%0Ab", "%7F", "%C2%85"] {
        client.put(&format!("/artifacts/{key}"), b"1").is(400, "InvalidArgument");
    }
    client.put(&format!("/artifacts/{}", "x".repeat(1024)), b"1").ok();
    client.put(&format!("/artifacts/{}", "x".repeat(1025)), b"1").is(400, "KeyTooLongError");
    let status = client.put("/artifacts/%FF", b"1").status;
    assert_eq!(status, 400);
}

/// With a status, or without an answer.
#[track_caller]
fn assert_refused(reply: &Reply, body: &str) {
    let Reply { status, .. } = *reply;
    assert!((400..500).contains(&status) || status == 0, "{status} {body:.60} {}", reply.text());
}

#[test]
fn documents_are_bounded() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/k", b"1").ok();
    let entities: String = (1..30)
        .map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10)))
        .collect();
    let bomb = format!(
        "<!DOCTYPE d [<!ENTITY e0 \"x\">{entities}]><Delete><Object><Key>&e29;</Key></Object></Delete>"
    );
    let deep = format!("<Delete>{}", "<Object>".repeat(200_000));
    let outside = "<!DOCTYPE d [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>\
                   <Delete><Object><Key>&e;</Key></Object></Delete>";
    let large = format!("<Delete>{}</Delete>", " ".repeat(5 << 20));
    for body in [&*bomb, &deep, outside, &large, "", "<Delete>", "no document"] {
        let reply = client.send("POST", "/artifacts?delete=", &[], body.as_bytes());
        assert_refused(&reply, body);
        assert!(!reply.text().contains("root:"));
    }
    let begun = client.send("POST", "/artifacts/u?uploads=", &[], b"").ok();
    let target = format!("/artifacts/u?uploadId={}", begun.field("UploadId").unwrap());
    for body in [&*bomb, &deep, outside, &large, "", "<CompleteMultipartUpload>"] {
        let reply = client.send("POST", &target, &[], body.as_bytes());
        assert_refused(&reply, body);
    }
    assert_eq!(client.get("/artifacts/k").ok().text(), "1");
}

#[test]
fn a_stop_lets_requests_end() {
    let mut served = Served::with(impatient().body_timeout(SECOND * 20));
    let client = served.client();
    let body = vec![b'x'; 1 << 20];
    let mut late = begun(&client, body.len(), 300_000);
    let idle = client.connect();
    std::thread::sleep(SECOND / 5);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SECOND / 2);
            late.write_all(&body[300_000..]).unwrap();
            read_reply(&mut late, false).ok();
        });
        served.stop();
    });
    assert!(TcpStream::connect(client.address).is_err());
    drop(idle);
    let stored = served.runtime.block_on(served.store.get("k")).unwrap();
    assert_eq!(stored.len(), body.len());
}
