//! What the S3 backend makes of answers that a real service gives only on its worst days.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, ReadOptions, WriteOptions};
use artifact_store_tests::scripted::{Answer, Request, Scripted, answer, error};

const TAG: &str = "etag: \"1\"\r\n";

fn open(server: &Scripted) -> ArtifactStore {
    ArtifactStore::open(server.backend()).unwrap()
}

fn ok(headers: &str) -> Answer {
    Answer::Send(answer(200, &format!("{TAG}{headers}"), ""))
}

fn is_unavailable(error: &artifact_store::Error) {
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
}

/// Answers like S3 to a multipart upload; `complete` to its last step.
fn multipart(request: &Request, complete: impl FnOnce() -> Answer) -> Answer {
    match request.method.as_str() {
        "POST" if request.query.contains("uploads=") => Answer::Send(answer(
            200,
            "",
            "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
        )),
        "POST" => complete(),
        "PUT" => ok(""),
        "DELETE" => Answer::Send(answer(204, "", "")),
        _ => Answer::Send(error(404, "NoSuchKey")),
    }
}

const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>";

const LARGE: usize = 9 << 20;

#[test]
fn a_body_that_is_cut_is_no_artifact() {
    // The length is stated, and does not come.
    for end in
        [(|bytes| Answer::Close(bytes)) as fn(Vec<u8>) -> Answer, |bytes| Answer::Reset(bytes)]
    {
        let server = Scripted::start(move |_, _| {
            end(format!("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n{TAG}\r\nhello").into())
        });
        let store = open(&server);
        is_unavailable(&store.get("k").unwrap_err());
        let mut read = Vec::new();
        let outcome = match store.read("k", ReadOptions::default()) {
            Ok(mut reader) => reader.read_to_end(&mut read).map(drop),
            Err(error) => Err(error.into()),
        };
        outcome.unwrap_err();
    }
}

#[test]
fn a_body_of_unknown_length_is_refused() {
    let server = Scripted::start(|_, _| {
        Answer::Close(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{TAG}\r\nhello").into())
    });
    is_unavailable(&open(&server).get("k").unwrap_err());
}

#[test]
fn bytes_that_are_not_the_ones_that_were_put_are_corrupt() {
    let server = Scripted::start(|_, _| {
        let headers = format!("{TAG}x-amz-meta-artifact-checksum: 0123456789abcdef\r\n");
        Answer::Send(answer(200, &headers, "hello"))
    });
    let error = open(&server).get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
}

#[test]
fn a_part_that_was_not_asked_for_is_not_taken_for_it() {
    for (status, range) in [(200, ""), (206, "content-range: bytes 0-4/10\r\n"), (206, "")] {
        let server = Scripted::start(move |_, _| {
            Answer::Send(answer(status, &format!("{TAG}{range}"), "hello"))
        });
        let options = ReadOptions::default().offset(3).length(2);
        let outcome = open(&server).read("k", options).map(drop);
        assert!(outcome.is_err(), "{status} {range}");
    }
}

#[test]
fn a_web_page_is_no_answer_of_s3() {
    let page = "<html><body>Please log in</body></html>";
    let server = Scripted::start(move |_, _| Answer::Send(answer(200, "", page)));
    let store = open(&server);
    is_unavailable(&store.get("k").unwrap_err());
    is_unavailable(&store.stat("k").unwrap_err());
    is_unavailable(&store.put("k", "x").unwrap_err());
    is_unavailable(&store.delete("k").unwrap_err());
    is_unavailable(&store.list("").next().unwrap().unwrap_err());
    // Nor does its 404 say that there is no artifact.
    let server = Scripted::start(move |_, _| Answer::Send(answer(404, "", page)));
    for error in [open(&server).get("k").unwrap_err(), open(&server).stat("k").unwrap_err()] {
        assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
    }
}

#[test]
fn an_error_with_status_200_is_an_error() {
    let failed = "<Error><Code>InternalError</Code><Message>try again</Message></Error>";
    let server = Scripted::start(move |request, _| {
        multipart(request, || Answer::Send(answer(200, "", failed)))
    });
    is_unavailable(&open(&server).put("k", vec![7; LARGE]).unwrap_err());
    // And the parts are not left behind.
    assert!(is_removed(&server));

    let server = Scripted::start(move |_, _| Answer::Send(answer(200, TAG, failed)));
    is_unavailable(&open(&server).put("k", "x").unwrap_err());
}

#[test]
fn a_burst_of_503_passes() {
    let server = Scripted::start(|_, before| match before {
        0..3 => Answer::Send(error(503, "SlowDown")),
        _ => ok(""),
    });
    open(&server).put("k", "x").unwrap();
    assert_eq!(server.requests().len(), 4);
    assert!(server.requests().iter().all(|request| request.body == b"x"));
}

#[test]
fn a_service_that_stays_overloaded_is_unavailable() {
    let server = Scripted::start(|_, _| Answer::Send(error(503, "SlowDown")));
    let error = open(&server).get("k").unwrap_err();
    is_unavailable(&error);
    assert!(error.is_retryable() && error.to_string().contains("SlowDown"), "{error}");
    assert!(server.requests().len() > 1);
}

#[test]
fn a_put_that_is_reset_on_the_way_is_sent_again() {
    let server = Scripted::start_cutting(1 << 20, |request, before| match before {
        0 => Answer::Reset(Vec::new()),
        // The rest of the body is left unread, so this connection is of no more use.
        _ if request.body.len() == 1 << 20 => Answer::Close(answer(200, TAG, "")),
        _ => Answer::Hang,
    });
    open(&server).put("k", vec![7; 2 << 20]).unwrap();
    // What is left unread may cost the client the answer, too.
    assert!(server.requests().len() >= 2);
}

#[test]
fn a_kept_connection_that_has_gone_stale_is_no_failure() {
    let server = Scripted::start(|_, _| Answer::Close(answer(200, TAG, "")));
    let store = open(&server);
    for _ in 0..5 {
        store.put("k", "x").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The first try stores the artifact, but its answer is lost; what the second one meets is then
/// the first.
fn create_meets(own: bool) -> artifact_store::Result<artifact_store::Info> {
    let write = Arc::new(Mutex::new(String::new()));
    let server = Scripted::start(move |request, before| match (request.method.as_str(), before) {
        ("PUT", 0) => {
            assert_eq!(request.header("if-none-match"), Some("*"));
            let sent = request.header("x-amz-meta-artifact-write").unwrap();
            *write.lock().unwrap() = if own { sent.to_owned() } else { "another".into() };
            Answer::Reset(Vec::new())
        }
        ("PUT", _) => Answer::Send(error(412, "PreconditionFailed")),
        _ => {
            let write = write.lock().unwrap();
            ok(&format!("x-amz-meta-artifact-write: {write}\r\n"))
        }
    });
    open(&server).put_new("k", "x")
}

#[test]
fn a_create_that_meets_its_own_success_has_succeeded() {
    create_meets(true).unwrap();
    let error = create_meets(false).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
}

#[test]
fn a_completion_whose_answer_is_lost_has_succeeded() {
    let (write, completions) = (Mutex::new(String::new()), AtomicUsize::new(0));
    let server = Scripted::start(move |request, _| {
        if let Some(sent) = request.header("x-amz-meta-artifact-write") {
            *write.lock().unwrap() = sent.to_owned();
        }
        if request.method == "HEAD" {
            return ok(&format!("x-amz-meta-artifact-write: {}\r\n", write.lock().unwrap()));
        }
        multipart(request, || match completions.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Reset(Vec::new()),
            _ => Answer::Send(error(404, "NoSuchUpload")),
        })
    });
    open(&server).put("k", vec![7; LARGE]).unwrap();
    assert!(server.requests().iter().all(|request| request.method != "DELETE"));
}

/// Whether the upload was. A part may have been on its way then, and be seen later.
fn is_removed(server: &Scripted) -> bool {
    let requests = server.requests();
    requests
        .iter()
        .any(|request| request.method == "DELETE" && request.query.contains("uploadId=u1"))
}

#[test]
fn an_upload_that_fails_or_is_given_up_is_removed() {
    let server = Scripted::start(|request, _| match request.query.contains("partNumber=2&") {
        true => Answer::Send(error(403, "AccessDenied")),
        false => multipart(request, || Answer::Hang),
    });
    let store = open(&server);
    let refused = store.put("k", vec![7; 3 * LARGE]).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::AccessDenied(_)), "{refused}");
    assert!(is_removed(&server));

    let server = Scripted::start(|request, _| multipart(request, || Answer::Hang));
    let mut writer = open(&server).writer("k", WriteOptions::default()).unwrap();
    writer.write_all(&vec![7; 3 * LARGE]).unwrap();
    writer.abort();
    assert!(is_removed(&server));
}

#[test]
fn an_upload_that_cannot_be_removed_is_left_to_a_sweep_and_the_error_says_so() {
    let server = Scripted::start(|request, _| {
        let is_refused = request.query.contains("partNumber=2&") || request.method == "DELETE";
        match is_refused {
            true => Answer::Send(error(403, "AccessDenied")),
            false => multipart(request, || Answer::Hang),
        }
    });
    let refused = open(&server).put("k", vec![7; 3 * LARGE]).unwrap_err();
    assert!(is_removed(&server) && refused.to_string().contains("left to a sweep"), "{refused}");
}

/// So that 10 000 of them suffice.
#[test]
fn parts_grow_with_the_size_that_is_announced() {
    let server = Scripted::start(|request, _| multipart(request, || Answer::Hang));
    let store = open(&server);
    for (announced, part) in
        [(9 << 20, 8 << 20), (80_000 << 20, 8 << 20), (200_000 << 20, 20 << 20)]
    {
        // Of the one before, a part may still be on its way.
        let (key, object) = (announced.to_string(), format!("/artifacts/_/{announced}_"));
        let options = WriteOptions::default().size(announced);
        let mut writer = store.writer(&key, options).unwrap();
        // More than a part, so that one is sent.
        writer.write_all(&vec![7; part + (1 << 20)]).unwrap();
        let sent = loop {
            writer.flush().unwrap();
            let is_part = |request: &Request| request.method == "PUT" && request.path == object;
            if let Some(sent) = server.requests().into_iter().find(is_part) {
                break sent;
            }
        };
        assert_eq!(sent.body.len(), part, "{announced}");
        writer.abort();
    }
    let options = WriteOptions::default().size((5 << 40) + 1);
    let error = store.writer("k", options).and_then(|writer| writer.commit()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
}

#[test]
fn parts_are_sent_whole_and_completed_in_order() {
    let server = Scripted::start(|request, _| {
        multipart(request, || Answer::Send(answer(200, "", COMPLETED)))
    });
    let info = open(&server).put("k", vec![7; 3 * LARGE]).unwrap();
    assert_eq!(info.size, 3 * LARGE as u64);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.header("transfer-encoding").is_none()));
    let mut parts: Vec<_> = requests.iter().filter(|request| request.method == "PUT").collect();
    parts.sort_by_key(|part| part.query.clone());
    let sizes: Vec<_> = parts.iter().map(|part| part.body.len() >> 20).collect();
    assert_eq!(sizes, [8, 8, 8, 3]);
    let body = String::from_utf8(requests.last().unwrap().body.clone()).unwrap();
    assert_eq!(body.matches("<PartNumber>").count(), 4);
    assert!(body.find("<PartNumber>1<").unwrap() < body.find("<PartNumber>4<").unwrap());
}

#[test]
fn redirects_lead_nowhere_and_the_region_is_named() {
    let other = Scripted::start(|_, _| ok(""));
    for to in ["http://169.254.169.254/".into(), format!("{}/", other.endpoint())] {
        for status in [301, 307, 308] {
            let headers = format!("location: {to}\r\nx-amz-bucket-region: eu-north-1\r\n");
            let server = Scripted::start(move |_, _| Answer::Send(answer(status, &headers, "")));
            let store = open(&server);
            for error in [store.get("k").unwrap_err(), store.put("k", "x").unwrap_err()] {
                assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
                assert!(error.to_string().contains("eu-north-1"), "{error}");
            }
        }
    }
    assert!(other.requests().is_empty());
}

#[test]
fn a_listing_that_is_cut_is_none() {
    let whole = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>\
        <Contents><Key>_/a_</Key><Size>1</Size></Contents></ListBucketResult>";
    for (body, is_whole) in [
        (whole, true),
        (&whole[..whole.len() - 10], false),
        (&whole[..whole.len() / 2], false),
        ("<ListBucketResult></ListBucketResult>", false),
        ("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", false),
        ("", false),
    ] {
        let server = Scripted::start(move |_, _| Answer::Send(answer(200, "", body)));
        let listed: Result<Vec<_>, _> = open(&server).list("").collect();
        assert_eq!(listed.is_ok(), is_whole, "{body}");
    }
}

#[test]
fn a_refusal_says_who_can_act() {
    type Case = (u16, &'static str, fn(&ErrorKind) -> bool);
    let cases: [Case; 13] = [
        (403, "AccessDenied", |kind| matches!(kind, ErrorKind::AccessDenied(_))),
        (403, "InvalidAccessKeyId", |kind| matches!(kind, ErrorKind::AccessDenied(_))),
        (403, "SignatureDoesNotMatch", |kind| matches!(kind, ErrorKind::AccessDenied(_))),
        (403, "RequestTimeTooSkewed", |kind| matches!(kind, ErrorKind::AccessDenied(_))),
        (400, "ExpiredToken", |kind| matches!(kind, ErrorKind::AccessDenied(_))),
        (404, "NoSuchBucket", |kind| matches!(kind, ErrorKind::Other(_))),
        (400, "AuthorizationHeaderMalformed", |kind| matches!(kind, ErrorKind::Other(_))),
        (400, "EntityTooLarge", |kind| matches!(kind, ErrorKind::NoSpace(_))),
        (507, "StorageFull", |kind| matches!(kind, ErrorKind::NoSpace(_))),
        (501, "NotImplemented", |kind| matches!(kind, ErrorKind::Unsupported(_))),
        (400, "MetadataTooLarge", |kind| matches!(kind, ErrorKind::Other(_))),
        (400, "BadDigest", |kind| matches!(kind, ErrorKind::Unavailable(_))),
        (409, "OperationAborted", |kind| matches!(kind, ErrorKind::Unavailable(_))),
    ];
    for (status, code, is_right) in cases {
        let server = Scripted::start(move |_, _| Answer::Send(error(status, code)));
        let refused = open(&server).put("k", "x").unwrap_err();
        assert!(is_right(refused.kind()), "{code}: {refused}");
        assert!(refused.to_string().contains(code), "{code}: {refused}");
    }
}

#[test]
fn no_message_shows_a_secret() {
    let server = Scripted::start(|_, _| Answer::Reset(Vec::new()));
    let hushed = "hush/hush+hush";
    for sign in [artifact_store::Sign::Host, artifact_store::Sign::Backend] {
        let variables = [
            ("AWS_ENDPOINT_URL", server.endpoint()),
            ("AWS_ACCESS_KEY_ID", "AKIATEST".into()),
            ("AWS_SECRET_ACCESS_KEY", hushed.into()),
            ("AWS_SESSION_TOKEN", "hush-token".into()),
            ("S3_BUCKET", "bucket".into()),
        ];
        let backend = Backend::s3(variables, sign).unwrap();
        let shown = format!("{backend:?}");
        let error = ArtifactStore::open(backend).unwrap().get("k").unwrap_err();
        for text in [shown, format!("{error:?}"), error.to_string()] {
            assert!(!text.contains("hush") && !text.contains("Signature"), "{text}");
        }
    }
}

#[test]
fn the_backend_reaches_the_granted_endpoint_alone() {
    let (granted, other) = (Scripted::start(|_, _| ok("")), Scripted::start(|_, _| ok("")));
    let grants = Grants::none()
        .connect(granted.endpoint())
        .env("AWS_ENDPOINT_URL", other.endpoint())
        .env("S3_BUCKET", "bucket");
    let backend = Backend::from_bytes("s3", Backend::s3_component()).grants(grants);
    let error = ArtifactStore::open(backend).unwrap().put("k", "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
    assert!(error.to_string().contains(&other.endpoint()), "{error}");
    assert!(granted.requests().is_empty() && other.requests().is_empty());
}

/// Whatever the key, the wire carries letters, digits and `-_./` alone.
#[test]
fn keys_are_safe_on_the_wire() {
    let server = Scripted::start(|_, _| ok(""));
    let store = open(&server);
    for key in ["..", "a/../b", "a//b", "a+b", "a b", "50%", "%2F", "é", "😀", "a?b#c", "/"] {
        store.put(key, "x").unwrap();
    }
    let long = "/é".repeat(341);
    store.put(&long, "x").unwrap();
    store.delete("k").unwrap();
    for request in server.requests() {
        assert_eq!(request.header("transfer-encoding"), None);
        let name = request.path.strip_prefix("/artifacts/_/").expect(&request.path);
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)), "{name}");
        assert!(name.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{name}");
        assert!(request.path.len() <= 1024 + "/artifacts/".len());
    }
}
