//! What operators ask for: health, metrics, and the line of each request.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{KEY, Serving, eventually, refused, serve, tell_to_end};
use crate::served::Client;
use crate::served::client::{Reply, read_reply, request};

const ARGUMENTS: [&str; 5] = ["serve", "--s3", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

fn ask(serving: &Serving, method: &str, path: &str) -> Reply {
    let admin = Client::new(serving.admin.expect("its address"), "", "");
    let head = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    let mut stream = admin.connect();
    stream.write_all(head.as_bytes()).unwrap();
    read_reply(&mut stream, method == "HEAD")
}

#[test]
fn a_server_that_serves_is_healthy_until_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut serving = serve(dir.path(), &ARGUMENTS, &KEY);
    let health = ask(&serving, "GET", "/healthz");
    assert_eq!((health.status, &*health.text()), (200, "ok\n"));
    assert_eq!(ask(&serving, "HEAD", "/healthz").ok().body, b"");
    assert_eq!(ask(&serving, "POST", "/healthz").status, 405);
    // Nothing of the buckets is here, and nothing of this is in a bucket.
    assert_eq!(ask(&serving, "GET", "/artifacts/k").status, 404);
    serving.client.get("/healthz").is(404, "NoSuchBucket");
    // While a request goes on after the signal, nobody should send another one here.
    let client = serving.client.clone();
    let head = client.signed_head(&request("PUT", "/artifacts/k", &[], b"slow"));
    let mut put = client.connect();
    put.write_all(format!("{head}sl").as_bytes()).unwrap();
    // The first byte of it has to be there before the signal.
    eventually("a connection", || ask(&serving, "GET", "/metrics").text().contains("active 1"));
    tell_to_end(&serving);
    eventually("it stops", || ask(&serving, "GET", "/healthz").status == 503);
    assert!(ask(&serving, "GET", "/healthz").text().contains("does not serve"));
    put.write_all(b"ow").unwrap();
    read_reply(&mut put, false).ok();
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

const STORES: &str = r#"
[stores.artifacts]
backend = "fs"
directories = [{ host = "artifacts" }]

[stores.away]
backend = "s3"
env = { AWS_ENDPOINT_URL = "http://127.0.0.1:PORT", S3_BUCKET = "bucket", AWS_ACCESS_KEY_ID = "a", AWS_SECRET_ACCESS_KEY = "s" }
limits = { call-timeout = "1s" }

[serve]
admin = "127.0.0.1:0"
"#;

fn configured(dir: &Path, port: u16) -> Serving {
    std::fs::create_dir(dir.join("artifacts")).unwrap();
    let stores = STORES.replace("PORT", &port.to_string());
    std::fs::write(dir.join("stores.toml"), stores).unwrap();
    let arguments = ["--config", "stores.toml", "serve", "--s3", "127.0.0.1:0"];
    serve(dir, &arguments, &KEY)
}

#[test]
fn a_store_that_is_away_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens there.
    let serving = configured(dir.path(), 1);
    let health = ask(&serving, "GET", "/healthz");
    assert_eq!(health.status, 503);
    // The other one is not named.
    let text = health.text();
    assert!(["store `away`: unavailable\n", "store `away`: timeout\n"].contains(&&*text), "{text}");
}

#[test]
fn a_store_whose_directory_was_removed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let serving = serve(dir.path(), &ARGUMENTS, &KEY);
    ask(&serving, "GET", "/healthz").ok();
    std::fs::remove_dir_all(dir.path().join("artifacts")).unwrap();
    // Another directory of that name is not the store's.
    std::fs::create_dir(dir.path().join("artifacts")).unwrap();
    let health = ask(&serving, "GET", "/healthz");
    assert_eq!(health.status, 503);
    assert_eq!(health.text(), "store `artifacts`: its directory was removed\n");
}

#[test]
fn a_store_that_is_silent_is_asked_once_however_many_ask() {
    let dir = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let serving = configured(dir.path(), silent.local_addr().unwrap().port());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let health = ask(&serving, "GET", "/healthz");
                assert_eq!(health.status, 503);
                assert!(health.text().starts_with("store `away`: "), "{}", health.text());
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
    silent.set_nonblocking(true).unwrap();
    let connections = silent.incoming().map_while(Result::ok).count();
    // One question may take more than one attempt.
    assert!((1..10).contains(&connections), "{connections}");
}

#[test]
fn metrics_are_those_of_the_store_and_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let serving = serve(dir.path(), &ARGUMENTS, &KEY);
    serving.client.put("/artifacts/k", b"12345").ok();
    serving.client.get("/artifacts/none").is(404, "NoSuchKey");
    Client::new(serving.client.address, "id", "wrong")
        .get("/artifacts/k")
        .is(403, "SignatureDoesNotMatch");
    let expected = [
        "artifact_store_server_requests_total{operation=\"PutObject\",status=\"200\"} 1",
        "artifact_store_server_requests_total{operation=\"GetObject\",status=\"404\"} 1",
        "artifact_store_server_requests_total{operation=\"unknown\",status=\"403\"} 1",
        "artifact_store_server_received_bytes_total{operation=\"PutObject\"} 5",
        "artifact_store_server_request_duration_seconds_bucket{operation=\"PutObject\",le=\"30\"} 1",
        "artifact_store_server_connections_active ",
        "artifact_store_calls_total{store=\"\",backend=\"fs\",operation=\"put\"} 1",
    ];
    let metrics = || ask(&serving, "GET", "/metrics").ok();
    for line in expected {
        eventually(line, || metrics().text().contains(line));
    }
    let answer = metrics();
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    lint(&answer.text());
}

/// The rules of Prometheus for names, as `promtool check metrics` has them.
fn lint(text: &str) {
    let (mut helped, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name)) => assert!(helped.insert(name.to_owned())),
            (Some("#"), Some("TYPE"), Some(name)) => {
                let kind = words.next().unwrap();
                assert!(helped.contains(name), "no help for {name}");
                assert!(seen.insert(name.to_owned()), "{name} twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
                let unit = name.trim_end_matches("_total").rsplit('_').next().unwrap();
                assert!(kind != "histogram" || unit == "seconds", "{name} is a {kind}");
                let is_fine = |c: char| c.is_ascii_lowercase() || c == '_';
                assert!(name.chars().all(is_fine), "{name}");
                for word in ["milliseconds", "kilobytes", "counter", "gauge", "histogram"] {
                    assert!(!name.contains(word), "{name}");
                }
            }
            _ => {}
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

#[test]
fn each_request_is_a_line_that_tells_who_did_what_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let serving = serve(dir.path(), &[&["-v"], &ARGUMENTS[..]].concat(), &KEY);
    let reply = serving.client.put("/artifacts/confidential", b"12345").ok();
    let id = reply.header("x-amz-request-id").expect("its id").to_owned();
    assert_eq!(id.len(), 16);
    let other = serving.client.get("/artifacts/confidential").ok();
    assert_ne!(other.header("x-amz-request-id"), Some(&*id));
    eventually("its line", || serving.lines(&id) == 1);
    let absent = serving.client.get("/artifacts/absent");
    assert_eq!(absent.field("RequestId").as_deref(), absent.header("x-amz-request-id"));
    let presigned = serving.client.presigned("GET", "/artifacts/confidential", 60, 0);
    assert_eq!(
        serving
            .client
            .raw(
                format!(
                    "GET {presigned} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
                    serving.client.address
                )
                .as_bytes()
            )
            .status,
        200
    );
    let signature = presigned.rsplit_once('=').unwrap().1;
    eventually("three lines", || serving.lines("operation=GetObject") == 3);
    let said = serving.later.lock().unwrap().clone();
    let line = said.iter().find(|line| line.contains(&id)).unwrap();
    for part in [
        "method=PUT",
        "bucket=artifacts",
        "operation=PutObject",
        "status=200",
        "received=5",
        "sent=",
        "cut=false",
        "ms=",
        "access_key=id",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    for hidden in ["confidential", "hush", signature] {
        assert!(!said.iter().any(|line| line.contains(hidden)), "{hidden}: {said:#?}");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--s3", "127.0.0.1:0", "--admin", &address];
    let (code, text) = refused(dir.path(), &arguments, &KEY);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("cannot listen on `{address}`")), "{text}");
    assert!(!dir.path().join("artifacts").exists());
}
