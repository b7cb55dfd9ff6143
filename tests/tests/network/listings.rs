//! Listings of a service that does not do as it is asked: each artifact once, or an error.

use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Entry, Error, ErrorKind};
use artifact_store_tests::expect;
use artifact_store_tests::scripted::{Answer, Request, Scripted, answer, error};

fn open(server: &Scripted) -> ArtifactStore {
    ArtifactStore::open(server.backend()).unwrap()
}

fn contents(keys: impl IntoIterator<Item = usize>) -> String {
    let object = |key| {
        let modified = "<LastModified>2015-10-21T07:28:00.000Z</LastModified>";
        format!("<Contents><Key>_/{key}_</Key>{modified}<Size>1</Size></Contents>")
    };
    keys.into_iter().map(object).collect()
}

/// A page; `next` is the token of the following one.
fn page(contents: &str, next: Option<&str>) -> Answer {
    let more = match next {
        Some(token) => format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        ),
        None => "<IsTruncated>false</IsTruncated>".into(),
    };
    Answer::Send(answer(200, "", &format!("<ListBucketResult>{contents}{more}</ListBucketResult>")))
}

fn token(request: &Request) -> &str {
    let pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == "continuation-token").map_or("", |(_, value)| value)
}

/// Either all keys, or the error that came instead.
fn listed(server: &Scripted) -> Result<Vec<String>, Error> {
    open(server).list("").map(|entry: Result<Entry, Error>| entry.map(|entry| entry.key)).collect()
}

#[track_caller]
fn is_wrong(server: &Scripted, word: &str) {
    let error = listed(server).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
    assert!(error.to_string().contains(word), "{error}");
    // It is the service that lists wrongly, and it is named.
    assert!(error.to_string().contains(&server.endpoint()), "{error}");
}

#[test]
fn more_than_was_asked_for_is_an_error() {
    let server = Scripted::start(|request, _| match request.query.contains("list-type") {
        true => page(&contents(0..1500), None),
        false => Answer::Send(error(404, "NoSuchKey")),
    });
    is_wrong(&server, "1500");
    // Nor does the command line report success.
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "[stores.bucket]\nbackend = 's3'\n\
         env = {{ AWS_ENDPOINT_URL = '{}', S3_BUCKET = 'artifacts' }}\n\
         [stores.disk]\nbackend = 'fs'\ndirectories = [{{ host = 'disk' }}]\n",
        server.endpoint()
    );
    std::fs::write(dir.path().join("stores.toml"), text).unwrap();
    std::fs::create_dir(dir.path().join("disk")).unwrap();
    let config = ["--config", "stores.toml"];
    for command in [
        &["--store", "bucket", "list"][..],
        &["--store", "bucket", "verify"],
        &["copy", "--from", "bucket", "--to", "disk"],
    ] {
        expect(dir.path(), &[&config, command].concat(), b"", 1);
    }
    // A page that is full is none too large.
    let server = Scripted::start(|_, _| page(&contents(0..1000), None));
    assert_eq!(listed(&server).unwrap().len(), 1000);
}

#[test]
fn a_name_that_comes_twice_is_an_error() {
    let server = Scripted::start(|_, _| page(&contents([1, 2, 1]), None));
    is_wrong(&server, "twice");
    // Also at the end of one page and in the next one.
    let server = Scripted::start(|request, _| match token(request) {
        "" => page(&contents([1, 2]), Some("t")),
        _ => page(&contents([2, 3]), None),
    });
    is_wrong(&server, "twice");
    let server = Scripted::start(|request, _| match token(request) {
        "" => page(&contents([1, 2]), Some("t")),
        _ => page(&contents([1, 2]), None),
    });
    is_wrong(&server, "twice");
}

#[test]
fn a_listing_that_goes_in_a_circle_is_an_error() {
    let server = Scripted::start(|_, before| page(&contents([before]), Some("t")));
    is_wrong(&server, "the listing repeats itself");
    let server = Scripted::start(|_, before| {
        page(&contents([before]), Some(if before % 2 == 0 { "a" } else { "b" }))
    });
    is_wrong(&server, "the listing repeats itself");
    let server = Scripted::start(|_, before| page("", Some(&format!("t{}", before % 7))));
    is_wrong(&server, "the listing repeats itself");
}

#[test]
fn a_listing_that_is_cut_is_an_error() {
    for body in [
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken/>",
        "",
    ] {
        let server = Scripted::start(move |_, _| {
            let body = format!("<ListBucketResult>{}{body}</ListBucketResult>", contents(0..3));
            Answer::Send(answer(200, "", &body))
        });
        listed(&server).unwrap_err();
    }
    let grouped = "<CommonPrefixes><Prefix>_/a/</Prefix></CommonPrefixes>";
    let server = Scripted::start(move |_, _| page(grouped, None));
    is_wrong(&server, "groups names");
}

#[test]
fn pages_that_are_right_are_listed_once_each() {
    // A token is sent back as it came.
    let server = Scripted::start(|request, _| match token(request) {
        "" => page(&contents([1, 2]), Some("a+b c/=")),
        "a%2Bb%20c%2F%3D" => page(&contents([3]), None),
        _ => Answer::Send(error(400, "InvalidArgument")),
    });
    assert_eq!(listed(&server).unwrap(), ["1", "2", "3"]);
    let server = Scripted::start(|request, _| match token(request) {
        "" => page(&contents([1, 2]), Some("s")),
        "s" => page("", Some("t")),
        "t" => page(&contents([3]), Some("u")),
        // As some services do it: in an order of their own.
        _ => page(&contents([0]), None),
    });
    assert_eq!(listed(&server).unwrap(), ["1", "2", "3", "0"]);
}

/// A long key stands in the object's metadata; its size is that of the listing, so that nothing
/// that a service leaves out makes a hole.
#[test]
fn a_long_key_is_listed_although_its_length_is_not_told() {
    use base64::Engine;
    let key = "é".repeat(512);
    let encoded = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&key);
    let server = Scripted::start(|_, _| Answer::Send(answer(200, "etag: \"1\"\r\n", "")));
    open(&server).put(&key, "x").unwrap();
    let object = server.requests()[0].path.strip_prefix("/artifacts/").unwrap().to_owned();
    let server = Scripted::start(move |request, _| match request.method.as_str() {
        "HEAD" => Answer::Close(
            format!("HTTP/1.1 200 OK\r\netag: \"1\"\r\nx-amz-meta-artifact-key: {encoded}\r\n\r\n")
                .into(),
        ),
        _ => page(&format!("<Contents><Key>{object}</Key><Size>1</Size></Contents>"), None),
    });
    assert_eq!(listed(&server).unwrap(), [key]);
}

/// Answers to the listings of uploads and of parts; `uploads` and `parts` are what stands in them.
fn maintained(
    uploads: impl Fn(&Request) -> String + Send + Sync + 'static,
    parts: impl Fn(&Request) -> String + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |request, _| {
        let wrap = |name: &str, text: String| {
            Answer::Send(answer(200, "", &format!("<{name}>{text}</{name}>")))
        };
        match request.method.as_str() {
            "DELETE" => Answer::Send(answer(204, "", "")),
            _ if request.query.contains("list-type") => page("", None),
            _ if request.query.contains("uploadId=") => wrap("ListPartsResult", parts(request)),
            _ => wrap("ListMultipartUploadsResult", uploads(request)),
        }
    })
}

fn upload(number: usize) -> String {
    let begun = "<Initiated>2015-10-21T07:28:00.000Z</Initiated>";
    format!("<Upload><Key>_/{number}_</Key><UploadId>u{number}</UploadId>{begun}</Upload>")
}

fn part(number: usize) -> String {
    format!(
        "<Part><PartNumber>{number}</PartNumber><Size>5</Size>\
         <LastModified>2015-10-21T07:28:00.000Z</LastModified></Part>"
    )
}

const ALL: &str = "<IsTruncated>false</IsTruncated>";

fn more_uploads(number: usize) -> String {
    format!(
        "<IsTruncated>true</IsTruncated><NextKeyMarker>_/{number}_</NextKeyMarker>\
         <NextUploadIdMarker>u{number}</NextUploadIdMarker>"
    )
}

fn more_parts(number: usize) -> String {
    format!("<IsTruncated>true</IsTruncated><NextPartNumberMarker>{number}</NextPartNumberMarker>")
}

#[track_caller]
fn sweeps_nothing_by(server: &Scripted) {
    for error in [
        open(server).sweep(Duration::ZERO).map(drop).unwrap_err(),
        open(server).audit().collect::<Result<Vec<_>, _>>().map(drop).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Other(_)), "{error}");
        assert!(error.to_string().contains(&server.endpoint()), "{error}");
    }
}

#[test]
fn uploads_are_found_once_each_or_the_listing_is_an_error() {
    let no_parts = |_: &Request| ALL.to_owned();
    let right = maintained(
        |request| match request.query.contains("upload-id-marker=u2") {
            true => upload(3) + ALL,
            false => upload(1) + &upload(2) + &more_uploads(2),
        },
        no_parts,
    );
    assert_eq!(open(&right).audit().map(Result::unwrap).count(), 3);
    assert_eq!(open(&right).sweep(Duration::ZERO).unwrap().removed, 3);
    for wrong in [
        maintained(|_| (0..1500).map(upload).collect::<String>() + ALL, no_parts),
        maintained(|_| upload(1) + &upload(1) + ALL, no_parts),
        maintained(|_| upload(1), no_parts),
        maintained(|_| upload(1) + &more_uploads(1), no_parts),
        maintained(|_| more_uploads(1), no_parts),
    ] {
        sweeps_nothing_by(&wrong);
    }
}

/// An upload of which not all parts were seen may be young.
#[test]
fn parts_are_counted_once_each_or_the_upload_stays() {
    let one = |_: &Request| upload(1) + ALL;
    let right = maintained(one, |request| match request.query.contains("part-number-marker=2") {
        true => part(7) + ALL,
        false => part(1) + &part(2) + &more_parts(2),
    });
    assert_eq!(open(&right).sweep(Duration::ZERO).unwrap().bytes, 15);
    for wrong in [
        maintained(one, |_| part(1)),
        maintained(one, |_| part(1) + &part(1) + ALL),
        maintained(one, |_| part(2) + &part(1) + ALL),
        maintained(one, |_| part(1) + &more_parts(1)),
        maintained(one, |_| more_parts(1)),
        maintained(one, |_| part(1) + "<IsTruncated>true</IsTruncated>"),
    ] {
        sweeps_nothing_by(&wrong);
        let is_removed = |request: &Request| request.method == "DELETE";
        assert!(!wrong.requests().iter().any(is_removed));
    }
}
