//! A backend buys no time by being busy with an endpoint that it may reach.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, Limits, Result};
use artifact_store_tests::{guest, logged};

const STEP: Duration = Duration::from_secs(1);

/// A server that does `answer` with each connection, once it has the header of a request. Its threads
/// end with the process.
fn server(answer: fn(TcpStream)) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut header = Vec::new();
                let mut byte = [0];
                while !header.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap_or(0) > 0
                {
                    header.push(byte[0]);
                }
                answer(connection);
            });
        }
    });
    endpoint
}

/// Takes all and says nothing.
fn swallow(mut connection: TcpStream) {
    let _ = std::io::copy(&mut connection, &mut std::io::sink());
}

fn begin(connection: &mut TcpStream) {
    let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
}

fn trickle(mut connection: TcpStream) {
    begin(&mut connection);
    while connection.write_all(b"7").is_ok() {
        thread::sleep(STEP / 10);
    }
}

fn flood(mut connection: TcpStream) {
    begin(&mut connection);
    while connection.write_all(&[7; 1 << 16]).is_ok() {}
}

fn is_ended(
    what: &str,
    endpoint: String,
    call: impl FnOnce(&ArtifactStore) -> Result<()> + Send + 'static,
) {
    let (done, is_done) = mpsc::channel();
    let begun = Instant::now();
    thread::spawn(move || {
        let limits = Limits::default().call_timeout(STEP);
        let grants = Grants::none().connect(endpoint);
        let backend = Backend::from_file(guest("posts")).grants(grants).limits(limits);
        let store = ArtifactStore::open(backend).unwrap();
        let _ = done.send(call(&store));
    });
    let outcome = is_done.recv_timeout(Duration::from_secs(120));
    let error = outcome.unwrap_or_else(|_| panic!("{what} does not end")).unwrap_err();
    eprintln!("{what}: {:?}", begun.elapsed());
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{what}: {error:?}");
}

#[test]
fn bytes_that_a_backend_sends_to_an_endpoint_are_no_progress() {
    for pause in ["0", "100"] {
        let endpoint = server(swallow);
        let key = format!("{endpoint} {pause}");
        is_ended(&format!("sending every {pause} ms"), endpoint, move |store| {
            store.put(&key, "a few bytes that it was given").map(drop)
        });
    }
}

#[test]
fn bytes_that_come_from_an_endpoint_are_progress_as_far_as_they_may_be_handed_on() {
    for (what, answer) in [("a trickle", trickle as fn(TcpStream)), ("a flood", flood)] {
        let endpoint = server(answer);
        let key = endpoint.clone();
        is_ended(what, endpoint, move |store| store.get(&key).map(drop));
    }
}

#[test]
fn requests_without_end_are_no_progress() {
    let endpoint = server(|mut connection| {
        let _ = connection
            .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    });
    for pause in ["1", "100"] {
        let key = format!("{endpoint} {pause}");
        is_ended(&format!("asking every {pause} ms"), endpoint.clone(), move |store| {
            store.delete(&key)
        });
    }
}

/// A backend that asks for what it may not have could fill a log with it.
#[test]
fn an_endpoint_that_is_refused_is_logged_once_a_call() {
    let limits = Limits::default().call_timeout(STEP);
    let store = ArtifactStore::open(Backend::from_file(guest("posts")).limits(limits)).unwrap();
    for _ in 0..2 {
        let (outcome, log) = logged(|| store.delete("http://127.0.0.1:9 1"));
        outcome.unwrap_err();
        assert_eq!(log.matches("which is not granted").count(), 1, "{log}");
    }
}
