//! What a write or a deletion has come to, where the service answered otherwise than it did.

use std::sync::Mutex;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Error, ErrorKind, Info};
use artifact_store_tests::scripted::{Answer, Request, Scripted, answer, error};

const WRITE: &str = "x-amz-meta-artifact-write";
const LARGE: usize = 9 << 20;

/// One object of a service that does what it is asked, and the number of the write that stored it,
/// which is its tag, too.
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
        let tag = |write: &Option<String>| format!("\"{}\"", write.as_deref().unwrap_or_default());
        let is_unmet = match (request.header("if-none-match"), request.header("if-match")) {
            (Some(_), _) => stored.is_some(),
            (_, Some(asked)) => asked != tag(&stored),
            _ => false,
        };
        match (request.method.as_str(), request.query.as_str()) {
            ("PUT", "") if is_unmet => error(412, "PreconditionFailed"),
            ("PUT", "") => {
                *stored = request.header(WRITE).map(str::to_owned);
                answer(200, &format!("etag: {}\r\n", tag(&stored)), "")
            }
            ("PUT", _) => answer(200, "etag: \"1\"\r\n", ""),
            ("POST", "uploads=") => {
                *upload = request.header(WRITE).map(str::to_owned);
                let id = "<UploadId>u</UploadId>";
                let name = "InitiateMultipartUploadResult";
                answer(200, "", &format!("<{name}>{id}</{name}>"))
            }
            ("POST", _) if upload.is_none() => error(404, "NoSuchUpload"),
            ("POST", _) if is_unmet => error(412, "PreconditionFailed"),
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
                Some(write) => {
                    answer(200, &format!("etag: {}\r\n{WRITE}: {write}\r\n", tag(&stored)), "")
                }
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

/// A service with what a write needs before it: another's object for those that replace it.
fn service(write: &Write) -> Service {
    let stored = write.before.map(str::to_owned);
    Service { stored: Mutex::new(stored), ..Service::default() }
}

/// A `service` that does what it is asked, and answers the decisive request for the first `times`
/// times by what `instead` makes of it.
fn server(service: Service, times: usize, instead: fn(u16) -> Answer, status: u16) -> Scripted {
    let seen = Mutex::new(0);
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

struct Write {
    call: fn(&ArtifactStore) -> Result<Info, Error>,
    /// Whose object it needs.
    before: Option<&'static str>,
}

/// By one request, and in parts.
const CREATES: [Write; 2] = [
    Write { call: |store| store.put_new("k", "x"), before: None },
    Write { call: |store| store.put_new("k", vec![7; LARGE]), before: None },
];
const REPLACES: [Write; 2] = [
    Write { call: |store| store.put_if("k", "x", "before"), before: Some("before") },
    Write { call: |store| store.put_if("k", vec![7; LARGE], "before"), before: Some("before") },
];
const PUTS: [Write; 2] = [
    Write { call: |store| store.put("k", "x"), before: None },
    Write { call: |store| store.put("k", vec![7; LARGE]), before: None },
];

fn writes() -> impl Iterator<Item = Write> {
    CREATES.into_iter().chain(REPLACES).chain(PUTS)
}

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
    for (number, write) in writes().enumerate() {
        for (times, instead, status) in cases {
            // Without a condition there is no such answer.
            if status == 412 && number > 3 {
                continue;
            }
            let server = server(service(&write), times, instead, status);
            let store = open(&server);
            let info = (write.call)(&store)
                .unwrap_or_else(|e| panic!("{number}: {times} x {status}: {e}"));
            // The version is that of what is there, however it became known.
            if number < 4 {
                assert_eq!(info.version, store.stat("k").unwrap().version, "{number}: {status}");
                assert!(info.version.is_some(), "{number}: {status}");
            }
        }
    }
}

#[test]
fn a_write_that_was_stored_and_then_refused_for_good_has_succeeded() {
    for write in writes() {
        let service = service(&write);
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
        (write.call)(&open(&server)).unwrap();
    }
}

/// The other one's object was there before, or came between two tries.
#[test]
fn a_create_that_meets_anothers_object_stores_nothing() {
    for status in [503, 409, 429, 500] {
        for write in CREATES {
            let error = (write.call)(&open(&meets_anothers(&write, status))).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{status}: {error}");
        }
    }
}

/// Refuses the first decisive request, and stores another's object meanwhile.
fn meets_anothers(write: &Write, status: u16) -> Scripted {
    let (service, seen) = (service(write), Mutex::new(0));
    Scripted::start(move |request, _| {
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
    })
}

/// Where the first try may have been stored, the other one may have replaced just that. A conflict
/// is none of those: AWS tells it to one of two that meet, and means that it stored nothing.
#[test]
fn a_replace_that_meets_anothers_object_stores_nothing_or_is_in_doubt() {
    for (status, is_known) in [(412, true), (409, true), (503, false), (429, false), (500, false)] {
        for write in REPLACES {
            let server = meets_anothers(&write, status);
            let error = (write.call)(&open(&server)).unwrap_err();
            match is_known {
                true => assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}"),
                false => assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}"),
            }
        }
    }
}

/// AWS says of an absent object that it is absent, and not that it has another version.
#[test]
fn a_replace_of_an_absent_object_fails_its_condition() {
    for status in [404, 412] {
        let server = Scripted::start(move |request, _| match request.method.as_str() {
            "HEAD" => Answer::Send(answer(404, "", "")),
            _ if status == 404 => Answer::Send(error(404, "NoSuchKey")),
            "GET" => Answer::Send(error(404, "NoSuchKey")),
            _ => Answer::Send(error(412, "PreconditionFailed")),
        });
        for write in REPLACES {
            let error = (write.call)(&open(&server)).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
        }
        // The version of the parts was compared before any was sent.
        assert!(!server.requests().iter().any(|request| request.query.contains("upload")));
    }
}

/// The service does not know the header, and says so.
#[test]
fn a_replace_that_the_service_does_not_offer_is_unsupported() {
    for write in REPLACES {
        let service = service(&write);
        let server = Scripted::start(move |request, _| match request.header("if-match") {
            Some(_) => Answer::Send(error(501, "NotImplemented")),
            None => Answer::Send(service.answer(request)),
        });
        let store = open(&server);
        let error = (write.call)(&store).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
        assert_eq!(store.stat("k").unwrap().version.as_deref(), Some("before"));
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

/// A weak tag, or none but where it has to be: there is no version, and nothing has that one.
#[test]
fn a_service_that_does_not_tell_generations_apart_has_no_versions() {
    let server = Scripted::start(|request, _| match request.method.as_str() {
        "GET" if request.query.contains("list-type") => {
            let entry = "<Key>_/k_</Key><Size>1</Size><ETag>W/&quot;1&quot;</ETag>";
            let entry = format!("<Contents>{entry}</Contents><IsTruncated>false</IsTruncated>");
            Answer::Send(answer(200, "", &format!("<ListBucketResult>{entry}</ListBucketResult>")))
        }
        _ => Answer::Send(answer(200, "etag: W/\"1\"\r\n", "x")),
    });
    let store = open(&server);
    assert_eq!(store.stat("k").unwrap().version, None);
    let entry = store.list("").next().unwrap().unwrap();
    assert_eq!((entry.version, entry.modified), (None, None));
    for version in ["1", "W/\"1\""] {
        let error = store.put_if("k", vec![7; LARGE], version).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
    }
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
        let server = server(Service::default(), times, instead, status);
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
