//! What a write or a deletion has come to, where the service answered otherwise than it did.

use std::sync::Mutex;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Error, ErrorKind, Info};
use artifact_store_tests::scripted::{Answer, Request, Scripted, answer, error};

const WRITE: &str = "x-amz-meta-artifact-write";
const LARGE: usize = 9 << 20;

/// One object of a service that does what it is asked, and the number of the write that stored it.
#[derive(Default)]
struct Service {
    stored: Mutex<Option<String>>,
    /// The write to which the upload belongs, while there is one.
    upload: Mutex<Option<String>>,
}

impl Service {
    /// Stores or removes the object; the service's own answer.
    fn answer(&self, request: &Request) -> Vec<u8> {
        let (mut stored, mut upload) = (self.stored.lock().unwrap(), self.upload.lock().unwrap());
        let is_new = request.header("if-none-match") == Some("*");
        match (request.method.as_str(), request.query.as_str()) {
            ("PUT", "") if is_new && stored.is_some() => error(412, "PreconditionFailed"),
            ("PUT", "") => {
                *stored = request.header(WRITE).map(str::to_owned);
                answer(200, "etag: \"1\"\r\n", "")
            }
            ("PUT", _) => answer(200, "etag: \"1\"\r\n", ""),
            ("POST", "uploads=") => {
                *upload = request.header(WRITE).map(str::to_owned);
                let id = "<UploadId>u</UploadId>";
                let name = "InitiateMultipartUploadResult";
                answer(200, "", &format!("<{name}>{id}</{name}>"))
            }
            ("POST", _) if upload.is_none() => error(404, "NoSuchUpload"),
            ("POST", _) if is_new && stored.is_some() => error(412, "PreconditionFailed"),
            ("POST", _) => {
                *stored = upload.take();
                answer(200, "", "<CompleteMultipartUploadResult/>")
            }
            ("DELETE", "") => {
                *stored = None;
                answer(204, "", "")
            }
            ("DELETE", _) => {
                *upload = None;
                answer(204, "", "")
            }
            ("HEAD" | "GET", _) => match &*stored {
                Some(write) => answer(200, &format!("etag: \"1\"\r\n{WRITE}: {write}\r\n"), ""),
                None if request.method == "HEAD" => answer(404, "", ""),
                None => error(404, "NoSuchKey"),
            },
            _ => error(405, "MethodNotAllowed"),
        }
    }

    /// The last step of a write, or a deletion.
    fn is_decisive(request: &Request) -> bool {
        match request.method.as_str() {
            "PUT" => request.query.is_empty(),
            "POST" => request.query.starts_with("uploadId="),
            "DELETE" => request.query.is_empty(),
            _ => false,
        }
    }
}

/// A service that does what it is asked, and answers the decisive request for the first `times`
/// times by what `instead` makes of it.
fn server(times: usize, instead: fn(u16) -> Answer, status: u16) -> Scripted {
    let (service, seen) = (Service::default(), Mutex::new(0));
    Scripted::start(move |request, _| {
        let own = service.answer(request);
        let mut seen = seen.lock().unwrap();
        *seen += usize::from(Service::is_decisive(request));
        match Service::is_decisive(request) && *seen <= times {
            true => instead(status),
            false => Answer::Send(own),
        }
    })
}

fn refusal(status: u16) -> Answer {
    let code = match status {
        400 => "InvalidPart",
        403 => "AccessDenied",
        404 => "NoSuchUpload",
        408 => "RequestTimeout",
        409 => "ConditionalRequestConflict",
        412 => "PreconditionFailed",
        429 => "TooManyRequests",
        503 => "SlowDown",
        _ => "InternalError",
    };
    Answer::Send(error(status, code))
}

fn reset(_: u16) -> Answer {
    Answer::Reset(Vec::new())
}

fn page(status: u16) -> Answer {
    Answer::Send(answer(status, "", "<html><body>a proxy's own words</body></html>"))
}

fn open(server: &Scripted) -> ArtifactStore {
    ArtifactStore::open(server.backend()).unwrap()
}

type Call = fn(&ArtifactStore) -> Result<Info, Error>;
const WRITES: [Call; 4] = [
    |store| store.put_new("k", "x"),
    |store| store.put_new("k", vec![7; LARGE]),
    |store| store.put("k", "x"),
    |store| store.put("k", vec![7; LARGE]),
];

#[test]
fn a_write_that_was_stored_and_answered_otherwise_has_succeeded() {
    type Case = (usize, fn(u16) -> Answer, u16);
    let cases: [Case; 12] = [
        (1, refusal, 503),
        (1, refusal, 408),
        (1, refusal, 409),
        (1, refusal, 429),
        (1, refusal, 500),
        (1, refusal, 502),
        (1, reset, 0),
        (1, page, 502),
        (1, page, 504),
        (3, refusal, 503),
        (2, reset, 0),
        // A proxy that sent the request twice by itself.
        (1, refusal, 412),
    ];
    for (number, call) in WRITES.iter().enumerate() {
        for (times, instead, status) in cases {
            // Without a condition there is no such answer.
            if status == 412 && number > 1 {
                continue;
            }
            let server = server(times, instead, status);
            call(&open(&server)).unwrap_or_else(|e| panic!("{number}: {times} x {status}: {e}"));
        }
    }
}

#[test]
fn a_write_that_was_stored_and_then_refused_for_good_has_succeeded() {
    for call in WRITES {
        let service = Service::default();
        let seen = Mutex::new(0);
        let server = Scripted::start(move |request, _| {
            let own = service.answer(request);
            let mut seen = seen.lock().unwrap();
            *seen += usize::from(Service::is_decisive(request));
            match (Service::is_decisive(request), *seen) {
                (true, 1) => refusal(503),
                (true, _) => refusal(403),
                _ => Answer::Send(own),
            }
        });
        call(&open(&server)).unwrap();
    }
}

/// The other one's object was there before, or came between two tries.
#[test]
fn a_create_that_meets_anothers_object_stores_nothing() {
    for status in [503, 409, 429, 500] {
        for call in &WRITES[..2] {
            let service = Service::default();
            let seen = Mutex::new(0);
            let server = Scripted::start(move |request, _| {
                if !Service::is_decisive(request) {
                    return Answer::Send(service.answer(request));
                }
                *seen.lock().unwrap() += 1;
                match *seen.lock().unwrap() {
                    1 => {
                        *service.stored.lock().unwrap() = Some("another".into());
                        refusal(status)
                    }
                    _ => Answer::Send(service.answer(request)),
                }
            });
            let error = call(&open(&server)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{status}: {error}");
        }
    }
}

/// With a key that may write and not look.
#[test]
fn who_cannot_find_out_says_so() {
    for (first, is_known) in [(412, true), (503, false)] {
        let seen = Mutex::new(0);
        let server = Scripted::start(move |request, _| {
            if request.method != "PUT" {
                return refusal(403);
            }
            *seen.lock().unwrap() += 1;
            if *seen.lock().unwrap() == 1 { refusal(first) } else { refusal(412) }
        });
        let error = open(&server).put_new("k", "x").unwrap_err();
        match is_known {
            true => assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}"),
            false => assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}"),
        }
    }
}

#[test]
fn a_create_in_parts_needs_no_right_to_look() {
    let service = Service::default();
    let server = Scripted::start(move |request, _| match request.method.as_str() {
        "HEAD" | "GET" => refusal(403),
        _ => Answer::Send(service.answer(request)),
    });
    open(&server).put_new("k", vec![7; LARGE]).unwrap();
    assert!(!open(&server).put_new("k", vec![7; LARGE]).unwrap_err().is_retryable());
}

#[test]
fn a_deletion_is_ok_where_the_object_has_gone() {
    type Case = (usize, fn(u16) -> Answer, u16);
    let cases: [Case; 9] = [
        (1, refusal, 503),
        (1, refusal, 429),
        (1, reset, 0),
        (2, refusal, 409),
        (1, page, 200),
        (1, page, 404),
        (1, |_| Answer::Send(answer(404, "", "")), 404),
        (1, |_| Answer::Send(answer(200, "", "<DeleteResult/>")), 200),
        (1, |_| Answer::Send(answer(202, "", "done")), 202),
    ];
    for (times, instead, status) in cases {
        let server = server(times, instead, status);
        let store = open(&server);
        store.delete("k").unwrap_or_else(|e| panic!("{times} x {status}: {e}"));
    }
}

#[test]
fn a_deletion_that_left_the_object_is_none() {
    for status in [200, 404] {
        let server = Scripted::start(move |request, _| match request.method.as_str() {
            "DELETE" => page(status),
            _ => Answer::Send(answer(200, "etag: \"1\"\r\n", "")),
        });
        open(&server).delete("k").unwrap_err();
    }
}

/// A read changes nothing: an earlier failure leaves no doubt about a later answer.
#[test]
fn a_refusal_to_read_is_final_whatever_came_before() {
    let server = Scripted::start(|_, before| refusal(if before == 0 { 503 } else { 403 }));
    let error = open(&server).get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
}
