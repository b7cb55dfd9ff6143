//! The HTTP server of `host/examples`, as an application that embeds the store: real requests
//! while the backend's file is replaced.
#![cfg(unix)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use artifact_store::Backend;
use artifact_store_tests::{bare_component, server};
use rustix::process::{Pid, Signal, kill_process};
use ureq::http::Response;
use ureq::{Agent, Body};

struct Server {
    process: Child,
    address: String,
    backend: PathBuf,
    dir: tempfile::TempDir,
}

impl Server {
    /// Serves a directory of its own through the component `backend`.
    fn start(backend: &[u8], timeout: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("backend.wasm");
        std::fs::write(&file, backend).unwrap();
        std::fs::create_dir(dir.path().join("artifacts")).unwrap();
        let config = dir.path().join("stores.toml");
        let text = format!(
            "[stores.main]\nbackend = \"backend.wasm\"\n\
             directories = [{{ host = \"artifacts\" }}]\n\
             limits = {{ call-timeout = \"{timeout}\" }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut process = server()
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("it starts").into();
        Self { process, address, backend: file, dir }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn artifacts(&self) -> PathBuf {
        self.dir.path().join("artifacts")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The sum of all series of a metric that have this label.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let text = body(agent().get(self.url("/metrics")).call().unwrap());
        let text = String::from_utf8(text).unwrap();
        let series = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    }

    /// Another component in the file's place.
    fn replace(&self, component: &[u8]) {
        let new = self.backend.with_extension("new");
        std::fs::write(&new, component).unwrap();
        std::fs::rename(&new, &self.backend).unwrap();
    }

    /// The same, and waits until it serves.
    fn swap(&self, component: &[u8]) {
        let swaps = || self.metric("artifact_store_swaps_total", "");
        let before = swaps();
        self.replace(component);
        eventually("it is swapped in", || swaps() > before);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(50).collect();
            eprintln!("the server's last lines, the newest first:\n{}", last.join("\n"));
        }
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < patience, "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

fn body(response: Response<Body>) -> Vec<u8> {
    response.into_body().with_config().limit(u64::MAX).read_to_vec().unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn fs() -> Vec<u8> {
    Backend::fs_component().to_vec()
}

/// The same backend with another digest: a custom section more.
fn other_fs() -> Vec<u8> {
    let mut component = fs();
    component.extend([0, 6, 5, b'o', b't', b'h', b'e', b'r']);
    component
}

#[test]
fn requests_mean_what_http_says() {
    let server = Server::start(&fs(), "30s");
    let agent = agent();
    let at = |path: &str| server.url(path);
    let digits = at("/artifacts/digits");

    let put = agent.put(&digits).send("0123456789").unwrap();
    assert_eq!(put.status(), 204);
    let tag = header(&put, "etag").to_owned();
    assert!(tag.len() > 18 && tag.starts_with('"'), "{tag}");
    let got = agent.get(&digits).call().unwrap();
    assert_eq!((got.status().as_u16(), header(&got, "etag")), (200, &*tag));
    assert_eq!(header(&got, "content-length"), "10");
    // A browser must not take what was stored for a page.
    assert_eq!(header(&got, "content-type"), "application/octet-stream");
    assert_eq!(header(&got, "x-content-type-options"), "nosniff");
    assert_eq!(body(got), b"0123456789");
    let head = agent.head(&digits).call().unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "10"));

    for (range, expected) in [
        ("bytes=2-4", Some("234")),
        ("bytes=8-", Some("89")),
        ("bytes=-3", Some("789")),
        ("bytes=-99", Some("0123456789")),
        ("bytes=9-99", Some("9")),
        ("bytes=0-18446744073709551615", Some("0123456789")),
        ("bytes=10-", None),
        ("bytes=11-12", None),
        ("bytes=-0", None),
    ] {
        let part = agent.get(&digits).header("range", range).call().unwrap();
        match expected {
            Some(expected) => {
                assert_eq!(part.status(), 206, "{range}");
                let shown = header(&part, "content-range").to_owned();
                let first = "0123456789".find(expected).unwrap();
                let last = first + expected.len() - 1;
                assert_eq!(shown, format!("bytes {first}-{last}/10"), "{range}");
                assert_eq!(body(part), expected.as_bytes(), "{range}");
            }
            None => {
                assert_eq!(part.status(), 416, "{range}");
                assert_eq!(header(&part, "content-range"), "bytes */10", "{range}");
            }
        }
    }
    // What is no single range is no range.
    for range in ["bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=x-"] {
        let whole = agent.get(&digits).header("range", range).call().unwrap();
        assert_eq!((whole.status().as_u16(), body(whole).len()), (200, 10), "{range}");
    }
    let if_range = |tag| agent.get(&digits).header("range", "bytes=1-1").header("if-range", tag);
    assert_eq!(if_range(&*tag).call().unwrap().status(), 206);
    assert_eq!(body(if_range("\"other\"").call().unwrap()), b"0123456789");
    let held = agent.get(&digits).header("if-none-match", format!("\"x\", {tag}")).call().unwrap();
    assert_eq!(held.status(), 304);
    let create = || agent.put(at("/artifacts/new")).header("if-none-match", "*");
    assert_eq!(create().send("1").unwrap().status(), 201);
    assert_eq!(create().send("2").unwrap().status(), 412);

    // Each of these is one artifact, however it is written.
    for (written, other) in [
        ("a/../b", "a%2F..%2Fb"),
        ("..", "%2e%2e"),
        ("/x", "%2Fx"),
        ("a//b", "a%2f%2fb"),
        ("%F0%9F%98%80%20", "%f0%9f%98%80%20"),
        ("100%25", "100%25"),
    ] {
        let put = agent.put(at(&format!("/artifacts/{written}"))).send(written).unwrap();
        assert_eq!(put.status(), 204, "{written}");
        let got = agent.get(at(&format!("/artifacts/{other}"))).call().unwrap();
        assert_eq!(String::from_utf8(body(got)).unwrap(), written);
    }
    for bad in ["%00", "%0a", "%ff", &"k".repeat(1025)] {
        let put = agent.put(at(&format!("/artifacts/{bad}"))).send("x").unwrap();
        assert_eq!(put.status(), 400, "{bad:.20}");
    }
    let listed = body(agent.get(at("/artifacts?prefix=a%2F")).call().unwrap());
    let mut lines: Vec<_> = std::str::from_utf8(&listed).unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [r#"{"key":"a/../b","size":6}"#, r#"{"key":"a//b","size":4}"#]);

    for _ in 0..2 {
        assert_eq!(agent.delete(&digits).call().unwrap().status(), 204);
    }
    assert_eq!(agent.get(&digits).call().unwrap().status(), 404);
    assert_eq!(agent.head(&digits).call().unwrap().status(), 404);
    assert_eq!(server.metric("artifact_store_errors_total", "error=\"already-exists\""), 1);
    assert_eq!(server.metric("artifact_store_calls_active", ""), 0);
}

/// The files of the store that hold an artifact or a part of one.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_wrong_byte_is_never_sent_as_right() {
    for size in [10, 3_000_000] {
        let server = Server::start(&fs(), "30s");
        let url = server.url("/artifacts/k");
        let agent = agent();
        assert_eq!(agent.put(&url).send(&vec![7; size][..]).unwrap().status(), 204);
        let [file] = &files(&server.artifacts())[..] else { panic!("one artifact, one file") };
        let mut bytes = std::fs::read(file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(file, bytes).unwrap();
        let got = agent.get(&url).call().unwrap();
        if got.status() == 502 {
            continue;
        }
        // It had begun: the connection breaks off before the end.
        assert!(size > 1_000_000);
        got.into_body().with_config().limit(u64::MAX).read_to_vec().unwrap_err();
    }
}

#[test]
fn a_client_that_goes_away_stores_nothing() {
    let server = Server::start(&fs(), "30s");
    let mut connection = TcpStream::connect(&server.address).unwrap();
    write!(connection, "PUT /artifacts/k HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n")
        .unwrap();
    connection.write_all(&[7; 2_000_000]).unwrap();
    eventually("it has begun", || !files(&server.artifacts()).is_empty());
    drop(connection);
    eventually("nothing is left", || files(&server.artifacts()).is_empty());
    assert_eq!(agent().get(server.url("/artifacts/k")).call().unwrap().status(), 404);
    // It is nobody's fault but the client's.
    assert_eq!(server.metric("artifact_store_errors_total", "error=\"io\""), 1);
}

#[test]
fn a_request_in_flight_is_finished_when_the_server_stops() {
    let mut server = Server::start(&fs(), "30s");
    let mut connection = TcpStream::connect(&server.address).unwrap();
    write!(connection, "PUT /artifacts/k HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n")
        .unwrap();
    connection.write_all(&[7; 1_000_000]).unwrap();
    eventually("it has begun", || !files(&server.artifacts()).is_empty());
    server.signal(Signal::TERM);
    eventually("it takes no more", || TcpStream::connect(&server.address).is_err());
    connection.write_all(&[7; 1_000_000]).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(server.process.wait().unwrap().success());
    let store = artifact_store::blocking::ArtifactStore::open_dir(server.artifacts()).unwrap();
    assert_eq!(store.stat("k").unwrap().size, 2_000_000);
}

#[derive(Default)]
struct Seen {
    /// Requests that each client has made.
    made: [AtomicU64; 4],
    trapped: AtomicU64,
    timed_out: AtomicU64,
    is_over: AtomicBool,
}

impl Seen {
    /// All clients have made some more requests: what they began before has ended.
    fn go_on(&self) {
        let before: Vec<_> = self.made.iter().map(|made| made.load(Relaxed)).collect();
        eventually("all clients go on", || {
            self.made.iter().zip(&before).all(|(made, before)| made.load(Relaxed) >= before + 20)
        });
    }

    fn failed(&self) -> (u64, u64) {
        (self.trapped.load(Relaxed), self.timed_out.load(Relaxed))
    }
}

/// Puts and gets artifacts of its own, and knows what each get has to bring.
fn client(server: &Server, n: usize, seen: &Seen) {
    let agent = agent();
    let mut stored: HashMap<usize, Vec<u8>> = HashMap::new();
    for round in 0_usize.. {
        if seen.is_over.load(Relaxed) {
            break;
        }
        let k = round / 3 % 8;
        let url = server.url(&format!("/artifacts/load/{n}/{k}"));
        let status = if round % 3 == 0 {
            let data = format!("{n} {round} ").repeat(10 + round % 500).into_bytes();
            let put = agent.put(&url).send(&data[..]).unwrap();
            if put.status() == 204 {
                stored.insert(k, data);
            }
            put.status().as_u16()
        } else {
            let request = agent.get(&url);
            let is_part = round % 3 == 2;
            let got = if is_part { request.header("range", "bytes=3-12") } else { request };
            let got = got.call().unwrap();
            let status = got.status().as_u16();
            match stored.get(&k) {
                // The put before it failed, and nothing was there.
                None => assert_ne!(status, 200),
                Some(data) if status == 200 => assert!(body(got) == *data, "client {n}, {k}"),
                Some(data) if status == 206 => assert_eq!(body(got), data[3..13]),
                Some(_) => {}
            }
            status
        };
        match status {
            200 | 204 | 206 => {}
            404 => assert!(!stored.contains_key(&k)),
            502 => drop(seen.trapped.fetch_add(1, Relaxed)),
            504 => drop(seen.timed_out.fetch_add(1, Relaxed)),
            other => panic!("status {other}"),
        }
        seen.made[n].fetch_add(1, Relaxed);
    }
}

/// Exactly the requests that met a bad backend fail, and each with what was wrong with it.
#[test]
fn a_backend_is_replaced_under_load() {
    let server = Server::start(&fs(), "10s");
    let seen = Seen::default();
    // Neither would take its place if it failed its first call, which is for a longer key.
    let fails = |how: &str| {
        let get = format!("(if (i32.lt_u (local.get 1) (i32.const 20)) (then {how}))");
        bare_component(&[("PUT", how), ("GET", &get)])
    };
    let (trap, hang) = (fails("unreachable"), fails("(loop $again (br $again))"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn({
                    let (server, seen) = (&server, &seen);
                    move || client(server, n, seen)
                })
            })
            .collect();
        let script = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            seen.go_on();
            server.swap(&other_fs());
            seen.go_on();
            // What is no backend takes nobody's place.
            server.replace(b"<html>404</html>");
            seen.go_on();
            assert_eq!(seen.failed(), (0, 0), "a good backend fails no request");

            server.swap(&trap);
            eventually("requests trap", || seen.failed().0 >= 40);
            server.swap(&fs());
            seen.go_on();
            let failed = seen.failed();
            assert_eq!(failed.1, 0);
            seen.go_on();
            assert_eq!(seen.failed(), failed, "the bad one is gone");

            server.swap(&hang);
            eventually("requests hang", || seen.failed().1 >= 4);
            server.swap(&other_fs());
            seen.go_on();
            let failed = seen.failed();
            seen.go_on();
            assert_eq!(seen.failed(), failed, "the bad one is gone");
        }));
        seen.is_over.store(true, Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        script.unwrap();
    });
    // Each failed request was one call that met a bad backend, and the other way round.
    let met = |error| server.metric("artifact_store_errors_total", &format!("error=\"{error}"));
    assert_eq!((met("trap"), met("timeout")), seen.failed());
    let others = met("") - met("trap") - met("timeout") - met("not-found");
    assert_eq!(others, 0, "and nothing else went wrong");
    assert_eq!(server.metric("artifact_store_swaps_total", "how=\"swap\""), 5);
    assert_eq!(server.metric("artifact_store_calls_active", ""), 0);
}
