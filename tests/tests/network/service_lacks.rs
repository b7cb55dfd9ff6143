//! What a service, or a proxy before it, lacks or does wrong: it is named, it is nobody else's
//! fault, and only what passes by itself is said to pass.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Error, ErrorKind, Limits, ReadOptions, Sign, SwapOptions};
use artifact_store_tests::scripted::{Answer, Scripted, answer, error};
use artifact_store_tests::{cli, ports};

const TAG: &str = "etag: \"1\"\r\n";

fn open(server: &Scripted) -> ArtifactStore {
    ArtifactStore::open(server.backend()).unwrap()
}

/// The same with this much time for a step.
fn open_within(server: &Scripted, call_timeout: Duration) -> ArtifactStore {
    let limits = Limits::default().call_timeout(call_timeout);
    ArtifactStore::open(server.backend().limits(limits)).unwrap()
}

/// All verbs, in this order: get, read, stat, put, put in parts, create, delete, list, sweep.
fn all_fail(store: &ArtifactStore) -> Vec<Error> {
    vec![
        store.get("k").unwrap_err(),
        store.read("k", ReadOptions::default()).map(drop).unwrap_err(),
        store.stat("k").unwrap_err(),
        store.put("k", "x").unwrap_err(),
        store.put("k", vec![7; 9 << 20]).unwrap_err(),
        store.put_new("k", "x").unwrap_err(),
        store.delete("k").unwrap_err(),
        store.list("").next().unwrap().unwrap_err(),
        store.sweep(Duration::ZERO).unwrap_err(),
    ]
}

#[test]
fn a_service_that_hangs_is_unavailable_and_named() {
    let server = Scripted::start(|_, _| Answer::Hang);
    let store = open_within(&server, Duration::from_secs(3));
    for error in all_fail(&store) {
        assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
        assert!(error.to_string().contains(&server.endpoint()), "{error}");
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}

/// The trial of a new backend is about the backend.
#[test]
fn a_service_that_hangs_is_no_fault_of_a_new_backend() {
    let server = Scripted::start(|_, _| Answer::Hang);
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("k", "of the old one").unwrap();
    let limits = Limits::default().call_timeout(Duration::from_secs(2));
    let options = SwapOptions::default().trial_calls(2);
    store.swap(server.backend().limits(limits), options).unwrap();
    for _ in 0..3 {
        let error = store.get("k").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
    }
}

/// Of a small artifact that is known when it is opened, of a larger one when it is read.
#[test]
fn a_body_that_comes_to_a_halt_is_unavailable_and_named() {
    for size in [9, 100_000] {
        let server = Scripted::start(move |request, _| match request.method.as_str() {
            // The connection stays open, and the rest does not come.
            "GET" => Answer::Send(
                format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n{TAG}\r\nhello").into(),
            ),
            _ => Answer::Hang,
        });
        let store = open_within(&server, Duration::from_secs(3));
        let halted = |error: Error| {
            assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
            assert!(error.to_string().contains(&server.endpoint()), "{error}");
        };
        halted(store.get("k").unwrap_err());
        halted(match store.read("k", ReadOptions::default()) {
            Ok(mut reader) => {
                assert_eq!(size, 100_000);
                reader.read_to_end(&mut Vec::new()).unwrap_err().downcast().unwrap()
            }
            Err(error) => {
                assert_eq!(size, 9);
                error
            }
        });
    }
}

/// It is the caller who takes its time, longer than the service may.
#[test]
fn a_reader_that_pauses_does_not_make_the_service_slow() {
    const SIZE: usize = 32 << 20;
    let server = Scripted::start(|_, _| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n{TAG}\r\n");
        bytes.push_str(&"x".repeat(SIZE));
        Answer::Send(bytes.into())
    });
    let store = open_within(&server, Duration::from_secs(2));
    let mut reader = store.read("k", ReadOptions::default()).unwrap();
    let mut read = vec![0; 1000];
    for _ in 0..3 {
        reader.read_exact(&mut read).unwrap();
        std::thread::sleep(Duration::from_millis(2500));
    }
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), SIZE - 3000);
}

/// Each piece is progress, however long the whole takes.
#[test]
fn a_slow_upload_is_no_silence() {
    const SIZE: usize = 32 << 20;
    const STEP: Duration = Duration::from_secs(4);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        // What the system takes in advance is over long before a step is.
        let mut piece = vec![0; 512 << 10];
        for _ in 0..SIZE / piece.len() {
            connection.read_exact(&mut piece).unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{TAG}\r\n");
        connection.write_all(answer.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_secs(60));
    });
    let variables = [
        ("AWS_ENDPOINT_URL", &*endpoint),
        ("S3_BUCKET", "bucket"),
        // All by one request.
        ("S3_PART_SIZE", "67108864"),
    ];
    let limits = Limits::default().call_timeout(STEP);
    let backend = Backend::s3(variables, Sign::Host).unwrap().limits(limits);
    let begun = Instant::now();
    ArtifactStore::open(backend).unwrap().put("k", vec![7; SIZE]).unwrap();
    assert!(begun.elapsed() > STEP, "it was not slow: {:?}", begun.elapsed());
}

#[test]
fn a_dead_endpoint_is_unavailable_within_a_short_step() {
    let endpoint = format!("http://127.0.0.1:{}", ports::free(1)[0]);
    let variables = [("AWS_ENDPOINT_URL", &*endpoint), ("S3_BUCKET", "bucket")];
    let limits = Limits::default().call_timeout(Duration::from_secs(10));
    let backend = Backend::s3(variables, Sign::Host).unwrap().limits(limits);
    let error = ArtifactStore::open(backend).unwrap().get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

#[test]
fn a_length_that_only_the_bytes_tell_is_asked_of_them() {
    let server = Scripted::start(|request, _| match request.method.as_str() {
        "HEAD" => Answer::Close(format!("HTTP/1.1 200 OK\r\n{TAG}\r\n").into()),
        _ => Answer::Send(answer(200, TAG, "hello")),
    });
    assert_eq!(open(&server).stat("k").unwrap().size, 5);
    let mut read = Vec::new();
    let options = ReadOptions::default().offset(5).length(0);
    open(&server).read("k", options).unwrap().read_to_end(&mut read).unwrap();
    assert!(read.is_empty());
}

#[test]
fn a_service_that_tells_no_length_is_not_to_be_tried_again() {
    let server = Scripted::start(|request, _| {
        let body = if request.method == "HEAD" { "" } else { "5\r\nhello\r\n0\r\n\r\n" };
        let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{TAG}\r\n");
        Answer::Close((head + body).into())
    });
    let error = open(&server).stat("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Other(_)) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("Content-Length"), "{error}");
    assert!(error.to_string().contains(&server.endpoint()), "{error}");
}

#[test]
fn a_proxy_that_wants_credentials_is_named_at_once() {
    let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    for refusal in [&refusal[..], b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"] {
        let proxy = Scripted::start(move |_, _| Answer::Send(refusal.to_vec()));
        for endpoint in ["http://s3.example.invalid", "https://s3.example.invalid"] {
            let variables = [("AWS_ENDPOINT_URL", endpoint), ("S3_BUCKET", "bucket")];
            let backend = Backend::s3(variables, Sign::Host).unwrap();
            let backend = backend.map_grants(|grants| grants.proxy(proxy.endpoint()));
            let before = proxy.requests().len();
            let error = ArtifactStore::open(backend).unwrap().get("k").unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
            assert!(error.to_string().contains("proxy"), "{error}");
            assert!(error.to_string().contains("407"), "{error}");
            assert_eq!(proxy.requests().len(), before + 1, "{error}");
        }
    }
    // One that nobody named, and that answers in the place of the service.
    for page in ["", "<html><body>log in</body></html>"] {
        let server = Scripted::start(move |_, _| Answer::Send(answer(407, "", page)));
        let error = open(&server).get("k").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
        assert!(error.to_string().contains("proxy"), "{error}");
        assert_eq!(server.requests().len(), 1, "{error}");
    }
}

#[test]
fn a_proxy_that_cannot_reach_the_service_may_later() {
    let answers = [&b"HTTP/1.1 502 Bad Gateway\r\n\r\n"[..], b"SSH-2.0-OpenSSH\r\n\r\n", b""];
    for wrong in answers {
        let proxy = Scripted::start(move |_, before| match before {
            0 => Answer::Close(wrong.to_vec()),
            _ if before % 2 == 1 => Answer::Send(b"HTTP/1.1 200 Connected\r\n\r\n".to_vec()),
            _ => Answer::Send(answer(200, TAG, "hello")),
        });
        let variables =
            [("AWS_ENDPOINT_URL", "http://s3.example.invalid"), ("S3_BUCKET", "bucket")];
        let backend = Backend::s3(variables, Sign::Host).unwrap();
        let backend = backend.map_grants(|grants| grants.proxy(proxy.endpoint()));
        assert_eq!(ArtifactStore::open(backend).unwrap().get("k").unwrap(), "hello");
    }
}

#[test]
fn an_answer_that_is_compressed_is_named_and_is_not_corrupt() {
    let headers = format!("{TAG}content-encoding: gzip\r\n");
    let server = Scripted::start(move |_, _| Answer::Send(answer(200, &headers, "not the bytes")));
    let store = open(&server);
    for error in [
        store.get("k").unwrap_err(),
        store.read("k", ReadOptions::default()).map(drop).unwrap_err(),
        store.stat("k").unwrap_err(),
        store.list("").next().unwrap().unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
        assert!(error.to_string().contains("Content-Encoding: gzip"), "{error}");
    }
    // Whether it was stored all the same, nobody knows.
    assert!(store.put("k", "x").unwrap_err().is_retryable());
    // It was asked for as it is.
    let is_asked = |request: &artifact_store_tests::scripted::Request| {
        request.header("accept-encoding") == Some("identity")
    };
    assert!(server.requests().iter().all(is_asked));
    let headers = format!("{TAG}content-encoding: identity\r\n");
    let server = Scripted::start(move |_, _| Answer::Send(answer(200, &headers, "hello")));
    assert_eq!(open(&server).get("k").unwrap(), "hello");
}

#[test]
fn a_clock_that_stays_wrong_is_named_without_a_hint_about_directories() {
    let dir = tempfile::tempdir().unwrap();
    for date in ["", "date: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "date: yesterday\r\n"] {
        let server = Scripted::start(move |_, _| {
            let body = String::from_utf8(error(403, "RequestTimeTooSkewed")).unwrap();
            Answer::Send(answer(403, date, body.split_once("\r\n\r\n").unwrap().1))
        });
        let error = open(&server).get("k").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
        assert!(error.to_string().contains("clock"), "{error}");
        assert!(server.requests().len() <= 2, "{error}");
        let mut command = cli();
        command.args(["--backend", "s3", "get", "k"]).current_dir(dir.path());
        command.env("AWS_ENDPOINT_URL", server.endpoint()).env("S3_BUCKET", "bucket");
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "hush");
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("clock") && !error.contains("--dir"), "{error}");
    }
}
