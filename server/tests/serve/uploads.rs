//! Uploads in parts, and what clients do not see of them.

use std::path::Path;
use std::time::Duration;

use artifact_store::{Backend, Encryption, KeyPair};

use crate::checksums::sha256;
use crate::served::{Client, Served};
use artifact_store_server::ServerLimits;

pub const PART: usize = 5 << 20;

pub fn begin(client: &Client, key: &str, headers: &[(&str, &str)]) -> String {
    let reply = client.send("POST", &format!("/artifacts/{key}?uploads="), headers, b"").ok();
    reply.field("UploadId").unwrap()
}

pub fn part(client: &Client, key: &str, id: &str, number: u32, body: &[u8]) -> String {
    client.put(&format!("/artifacts/{key}?partNumber={number}&uploadId={id}"), body).ok().etag()
}

pub fn complete(
    client: &Client,
    key: &str,
    id: &str,
    parts: &[(u32, &str)],
    headers: &[(&str, &str)],
) -> crate::served::client::Reply {
    let parts: String = parts
        .iter()
        .map(|(number, tag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
        })
        .collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    client.send("POST", &format!("/artifacts/{key}?uploadId={id}"), headers, body.as_bytes())
}

#[test]
fn objects_of_an_encrypted_store_are_served_whole_in_parts_and_by_range() {
    let pair = KeyPair::generate();
    let encryption = || Encryption::from_identities(pair.identity()).unwrap();
    let backend = |dir: &Path| Backend::fs(dir).layer(encryption());
    let served = Served::over(backend, ServerLimits::default());
    let client = served.client();
    // Its SHA-256 is compared, and must not be found in the storage, where it would tell what it is.
    let sum = sha256(b"secret");
    let stated = [("x-amz-checksum-sha256", &*sum)];
    client.send("PUT", "/artifacts/small", &stated, b"secret").ok();
    client.send("PUT", "/artifacts/small", &stated, b"other").is(400, "BadDigest");
    let got = client.get("/artifacts/small").ok();
    assert_eq!(got.body, b"secret");
    assert!(!got.etag().is_empty());
    let id = begin(&client, "k", &[]);
    let first = part(&client, "k", &id, 1, &vec![b'x'; PART]);
    let last = part(&client, "k", &id, 2, b"the end");
    complete(&client, "k", &id, &[(1, &first), (2, &last)], &[]).ok();
    let got = client.get("/artifacts/k").ok();
    assert!(got.body.len() == PART + 7 && got.body.ends_with(b"xxthe end"));
    let range = [("range", "bytes=-9")];
    let got = client.send("GET", "/artifacts/k", &range, b"");
    assert_eq!(got.body, b"xxthe end");
    let listed = client.get("/artifacts?list-type=2").ok();
    assert_eq!(listed.fields("Size"), [(PART + 7).to_string(), "6".into()]);
    // The storage has it otherwise.
    let below = artifact_store::blocking::ArtifactStore::open_dir(served.folder()).unwrap();
    assert!(below.get("small").unwrap().starts_with(b"Encrypted by artifact-store"));
    assert!(below.stat("small").unwrap().attributes.is_empty());
}

#[test]
fn an_upload_in_parts_becomes_one_object() {
    let served = Served::start();
    let client = served.client();
    let id = begin(&client, "k", &[("content-type", "text/plain"), ("x-amz-meta-a", "1")]);
    let uploads = client.get("/artifacts?uploads=").ok();
    assert_eq!(
        (uploads.fields("Key"), uploads.fields("UploadId")),
        (vec!["k".into()], vec![id.clone()])
    );
    // Parts come in any order, and the last of one number counts.
    let last = part(&client, "k", &id, 7, b"the end");
    part(&client, "k", &id, 2, b"to be replaced");
    let first = part(&client, "k", &id, 2, &vec![b'x'; PART]);
    // A client that did not get the answer sends it again, and may go by either answer.
    assert_eq!(part(&client, "k", &id, 2, &vec![b'x'; PART]), first);
    let listed = client.get(&format!("/artifacts/k?uploadId={id}")).ok();
    assert_eq!(listed.fields("PartNumber"), ["2", "7"]);
    assert_eq!(listed.fields("Size"), [PART.to_string(), "7".into()]);
    let one = client.get(&format!("/artifacts/k?uploadId={id}&max-parts=1")).ok();
    assert_eq!(one.field("IsTruncated").as_deref(), Some("true"));
    assert_eq!(one.field("NextPartNumberMarker").as_deref(), Some("2"));
    let rest = client.get(&format!("/artifacts/k?part-number-marker=2&uploadId={id}")).ok();
    assert_eq!(rest.fields("PartNumber"), ["7"]);

    let try_parts = |parts: &[(u32, &str)]| complete(&client, "k", &id, parts, &[]);
    try_parts(&[]).is(400, "MalformedXML");
    try_parts(&[(7, &last), (2, &first)]).is(400, "InvalidPartOrder");
    try_parts(&[(2, &first), (2, &first)]).is(400, "InvalidPartOrder");
    try_parts(&[(2, &last), (7, &last)]).is(400, "InvalidPart");
    try_parts(&[(2, &first), (3, &last)]).is(400, "InvalidPart");
    let small = part(&client, "k", &id, 1, b"small");
    try_parts(&[(1, &small), (2, &first)]).is(400, "EntityTooSmall");
    client.get("/artifacts/k").is(404, "NoSuchKey");
    let sum = [("x-amz-checksum-crc32", "AAAAAA==")];
    let parts = [(2, first.as_str()), (7, last.as_str())];
    complete(&client, "k", &id, &parts, &sum).is(400, "BadDigest");
    client.get("/artifacts/k").is(404, "NoSuchKey");

    let done = try_parts(&parts).ok();
    let got = client.get("/artifacts/k").ok();
    assert_eq!(done.field("ETag").unwrap().replace("&quot;", "\""), got.etag());
    assert_eq!(got.body.len(), PART + 7);
    assert!(got.body.ends_with(b"xxthe end"));
    assert_eq!(got.header("content-type"), Some("text/plain"));
    assert_eq!(got.header("x-amz-meta-a"), Some("1"));
    // Nobody knows whether an answer arrived: who asks again gets it, and nothing is done.
    client.put("/artifacts/k", b"newer").ok();
    assert_eq!(try_parts(&parts).ok().field("ETag"), done.field("ETag"));
    assert_eq!(client.get("/artifacts/k").ok().text(), "newer");
    complete(&client, "other", &id, &parts, &[]).is(404, "NoSuchUpload");
    // Nothing is left of the upload, once it is swept.
    assert_eq!(served.runtime.block_on(served.server.sweep_uploads(Duration::ZERO)).unwrap(), 0);
    try_parts(&parts).is(404, "NoSuchUpload");
    assert_eq!(client.get("/artifacts?uploads=").ok().fields("UploadId"), [""; 0]);
    let keys: Vec<_> = served.runtime.block_on(async {
        let page = served.store.list_page("", Default::default()).await.unwrap();
        page.entries.into_iter().map(|entry| entry.key).collect()
    });
    assert_eq!(keys, ["k"]);
}

#[test]
fn an_answer_that_takes_long_begins_before_it_is_known() {
    let served = Served::with(ServerLimits::default().answer_after(Duration::ZERO));
    let client = served.client();
    let id = begin(&client, "k", &[]);
    let first = part(&client, "k", &id, 1, &vec![b'x'; 2 * PART]);
    let last = part(&client, "k", &id, 2, b"the end");
    let parts = [(1, first.as_str()), (2, last.as_str())];
    // What can be refused at once is.
    complete(&client, "k", &id, &parts[1..1], &[]).is(400, "MalformedXML");
    let sum = [("x-amz-checksum-crc32", "AAAAAA==")];
    let failed = complete(&client, "k", &id, &parts, &sum);
    assert_eq!(failed.error(), (200, "BadDigest".into()));
    client.get("/artifacts/k").is(404, "NoSuchKey");
    let done = complete(&client, "k", &id, &parts, &[]);
    assert_eq!(done.status, 200);
    for reply in [&failed, &done] {
        assert!(reply.is_whole);
        let text = reply.text();
        assert!(text.starts_with("<?xml"), "{text}");
        assert_eq!(text.matches("<?xml").count(), 1, "{text}");
    }
    let got = client.get("/artifacts/k").ok();
    assert_eq!(done.field("ETag").unwrap().replace("&quot;", "\""), got.etag());
    assert_eq!(got.body.len(), 2 * PART + 7);
}

#[test]
fn an_upload_meets_its_condition_when_it_is_completed() {
    let served = Served::start();
    let client = served.client();
    let old = client.put("/artifacts/k", b"old").ok().etag();
    let id = begin(&client, "k", &[]);
    let tag = part(&client, "k", &id, 1, b"new");
    let try_with = |header: (&str, &str)| complete(&client, "k", &id, &[(1, &tag)], &[header]);
    try_with(("if-none-match", "*")).is(412, "PreconditionFailed");
    try_with(("if-match", "\"other\"")).is(412, "PreconditionFailed");
    assert_eq!(client.get("/artifacts/k").text(), "old");
    try_with(("if-match", &old)).ok();
    assert_eq!(client.get("/artifacts/k").text(), "new");
}

#[test]
fn a_part_has_the_checksums_that_were_sent_with_it() {
    let served = Served::start();
    let client = served.client();
    let id = begin(&client, "k", &[]);
    let target = format!("/artifacts/k?partNumber=1&uploadId={id}");
    let right = [("x-amz-checksum-crc32", "y/Q5Jg==")];
    client.send("PUT", &target, &right, b"987654321").is(400, "BadDigest");
    let tag = client.send("PUT", &target, &right, b"123456789").ok().etag();
    let body = |crc: &str| {
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag>\
             <ChecksumCRC32>{crc}</ChecksumCRC32></Part></CompleteMultipartUpload>"
        )
    };
    let target = format!("/artifacts/k?uploadId={id}");
    client.send("POST", &target, &[], body("AAAAAA==").as_bytes()).is(400, "BadDigest");
    client.send("POST", &target, &[], body("y/Q5Jg==").as_bytes()).ok();
    assert_eq!(client.get("/artifacts/k").text(), "123456789");
}

#[test]
fn parts_are_copies_of_objects_and_of_their_ranges() {
    let served = Served::start();
    let client = served.client();
    let tag = client.put("/others/from", b"0123456789").ok().etag();
    let id = begin(&client, "k", &[]);
    let copy = |headers: &[(&str, &str)]| {
        let mut all = vec![("x-amz-copy-source", "/others/from")];
        all.extend_from_slice(headers);
        client.send("PUT", &format!("/artifacts/k?partNumber=1&uploadId={id}"), &all, b"")
    };
    copy(&[("x-amz-copy-source-range", "bytes=5-10")]).is(416, "InvalidRange");
    copy(&[("x-amz-copy-source-range", "bytes=5-")]).is(400, "InvalidArgument");
    copy(&[("x-amz-copy-source-if-none-match", &tag)]).is(412, "PreconditionFailed");
    let part = copy(&[("x-amz-copy-source-range", "bytes=2-4")]).ok();
    let tag = part.field("ETag").unwrap().replace("&quot;", "\"");
    complete(&client, "k", &id, &[(1, &tag)], &[]).ok();
    assert_eq!(client.get("/artifacts/k").text(), "234");
}

#[test]
fn an_upload_that_is_aborted_or_old_leaves_nothing() {
    let served = Served::start();
    let client = served.client();
    let (one, two) = (begin(&client, "one", &[]), begin(&client, "two", &[]));
    part(&client, "one", &one, 1, b"1");
    part(&client, "two", &two, 1, b"1");
    client.delete(&format!("/artifacts/two?uploadId={one}")).is(404, "NoSuchUpload");
    for id in ["absent", "../../one", &"a".repeat(32)] {
        let target = format!("/artifacts/one?uploadId={}", id.replace('/', "%2F"));
        client.delete(&target).is(404, "NoSuchUpload");
    }
    assert_eq!(client.delete(&format!("/artifacts/one?uploadId={one}")).status, 204);
    let target = format!("/artifacts/one?partNumber=1&uploadId={one}");
    client.put(&target, b"1").is(404, "NoSuchUpload");
    let sweep = |age| served.runtime.block_on(served.server.sweep_uploads(age)).unwrap();
    assert_eq!(sweep(Duration::from_secs(3600)), 0);
    assert_eq!(client.get("/artifacts?uploads=").ok().fields("Key"), ["two"]);
    assert_eq!(sweep(Duration::ZERO), 1);
    assert_eq!(client.get("/artifacts?uploads=").ok().fields("Key"), [""; 0]);
    let page = served.store.list_page("", Default::default());
    assert_eq!(served.runtime.block_on(page).unwrap().entries, []);
}

#[test]
fn uploads_are_listed_page_by_page() {
    let served = Served::start();
    let client = served.client();
    for key in ["b", "a/1", "a/2", "c"] {
        begin(&client, key, &[]);
    }
    let all = client.get("/artifacts?uploads=").ok();
    assert_eq!(all.fields("Key"), ["a/1", "a/2", "b", "c"]);
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let target = format!("/artifacts?delimiter=%2F&max-uploads=1&uploads={marker}");
        let page = client.get(&target).ok();
        seen.extend(page.fields("Key"));
        seen.extend(page.fields("Prefix").into_iter().filter(|prefix| !prefix.is_empty()));
        let (key, id) = (page.field("NextKeyMarker"), page.field("NextUploadIdMarker"));
        let (Some(key), Some(id)) = (key, id) else { break };
        marker = format!("&key-marker={}&upload-id-marker={id}", key.replace('/', "%2F"));
    }
    assert_eq!(seen, ["a/", "b", "c"]);
}

#[test]
fn what_is_hidden_is_out_of_reach() {
    let served = Served::start();
    let client = served.client();
    let id = begin(&client, "k", &[]);
    part(&client, "k", &id, 1, b"hidden");
    client.put("/artifacts/mine", b"mine").ok();
    let hidden = format!("/artifacts/.s3/uploads/{id}.p00001");
    for method in ["GET", "PUT", "DELETE"] {
        client.send(method, &hidden, &[], b"").is(400, "InvalidArgument");
    }
    assert_eq!(client.head(&hidden).status, 400);
    client.send("POST", &format!("{hidden}?uploads="), &[], b"").is(400, "InvalidArgument");
    for target in ["/artifacts/copy", "/others/copy"] {
        let copy = [("x-amz-copy-source", &*hidden)];
        client.send("PUT", target, &copy, b"").is(400, "InvalidArgument");
    }
    let source = [("x-amz-copy-source", &*hidden)];
    let target = format!("/artifacts/k?partNumber=2&uploadId={id}");
    client.send("PUT", &target, &source, b"").is(400, "InvalidArgument");
    let delete = format!(
        "<Delete><Object><Key>.s3/uploads/{id}.p00001</Key></Object>\
         <Object><Key>mine</Key></Object></Delete>"
    );
    let reply = client.send("POST", "/artifacts?delete=", &[], delete.as_bytes()).ok();
    assert_eq!(reply.fields("Code"), ["InvalidArgument"]);
    assert_eq!(reply.fields("Deleted"), ["<Key>mine</Key>"]);
    let parts = client.get(&format!("/artifacts/k?uploadId={id}")).ok();
    assert_eq!(parts.fields("PartNumber"), ["1"]);
}

/// The keys and common prefixes of all pages, in their order.
fn walk(client: &Client, query: &str) -> Vec<String> {
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/artifacts?list-type=2{query}{token}")).ok();
        let keys = page.fields("Key");
        let prefixes = page.fields("CommonPrefixes");
        let count = page.field("KeyCount").unwrap();
        assert_eq!(count, (keys.len() + prefixes.len()).to_string());
        seen.extend(keys);
        seen.extend(prefixes.iter().map(|it| it.replace("<Prefix>", "").replace("</Prefix>", "")));
        let next = page.field("NextContinuationToken");
        assert_eq!(next.is_some(), page.field("IsTruncated").unwrap() == "true");
        let Some(next) = next else { return seen };
        assert!(count != "0", "an empty page has no next");
        token = format!("&continuation-token={next}");
    }
}

#[test]
fn listings_are_right_around_what_is_hidden() {
    let served = Served::start();
    let client = served.client();
    let keys = [" a", ".", ".s", ".s3", ".s30", ".s3x/y", "b", "c/d", "c/e"];
    let id = begin(&client, "k", &[]);
    for number in 1..=30 {
        part(&client, "k", &id, number, b"1");
    }
    assert_eq!(walk(&client, ""), [""; 0]);
    assert_eq!(walk(&client, "&delimiter=3"), [""; 0]);
    for key in keys {
        client.put(&format!("/artifacts/{}", key.replace(' ', "%20")), b"1").ok();
    }
    for limit in [1, 2, 3, 7, 1000] {
        let walk = |query: &str| walk(&client, &format!("{query}&max-keys={limit}"));
        assert_eq!(walk(""), keys);
        assert_eq!(walk("&delimiter=%23"), keys);
        assert_eq!(walk("&prefix=.s3"), [".s3", ".s30", ".s3x/y"]);
        assert_eq!(walk("&prefix=.s3%2F"), [""; 0]);
        assert_eq!(walk("&start-after=.s3"), [".s30", ".s3x/y", "b", "c/d", "c/e"]);
        let mut folded = walk("&delimiter=%2F");
        folded.sort();
        assert_eq!(folded, [" a", ".", ".s", ".s3", ".s30", ".s3x/", "b", "c/"]);
        let mut folded = walk("&delimiter=3");
        folded.sort();
        assert_eq!(folded, [" a", ".", ".s", ".s3", "b", "c/d", "c/e"]);
    }
    // The last of what is visible is in front of what is hidden.
    for key in &keys[4..] {
        client.delete(&format!("/artifacts/{key}")).ok();
    }
    for limit in [1, 4, 5] {
        assert_eq!(walk(&client, &format!("&max-keys={limit}")), keys[..4]);
    }
    let none = client.get("/artifacts?list-type=2&max-keys=0").ok();
    assert_eq!(none.field("IsTruncated").as_deref(), Some("false"));
}

#[test]
fn both_versions_of_a_listing_say_the_same() {
    let served = Served::start();
    let client = served.client();
    for key in ["a%20b", "a%2Bb", "a%26b", "d/1", "d/2"] {
        client.put(&format!("/artifacts/{key}"), b"1").ok();
    }
    let encoded = client.get("/artifacts?encoding-type=url&list-type=2").ok();
    assert_eq!(encoded.fields("Key"), ["a%20b", "a%26b", "a%2Bb", "d/1", "d/2"]);
    let first = client.get("/artifacts?delimiter=%2F&max-keys=2").ok();
    assert_eq!(first.fields("Key"), ["a b", "a&amp;b"]);
    let marker = first.field("NextMarker").unwrap().replace("&amp;", "%26");
    let rest = client.get(&format!("/artifacts?delimiter=%2F&marker={marker}")).ok();
    assert_eq!(rest.fields("Key"), ["a+b"]);
    assert_eq!(rest.fields("CommonPrefixes"), ["<Prefix>d/</Prefix>"]);
    client.get("/artifacts?list-type=2&max-keys=-1").is(400, "InvalidArgument");
    client.get("/artifacts?list-type=2&continuation-token=%21").is(400, "InvalidArgument");
    client.get("/artifacts?encoding-type=xml&list-type=2").is(400, "InvalidArgument");
}

#[test]
fn a_damaged_upload_holds_up_no_other_one() {
    let served = Served::start();
    let client = served.client();
    begin(&client, "damaged", &[]);
    let file = &artifact_store_tests::artifact_files(served.dir.path())[0];
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(7).rposition(|it| it == b"damaged").expect("its key");
    bytes[at] = b'D';
    std::fs::write(file, bytes).unwrap();
    begin(&client, "k", &[]);
    assert_eq!(client.get("/artifacts?uploads=").ok().fields("Key"), ["k"]);
    let sweep = || served.runtime.block_on(served.server.sweep_uploads(Duration::ZERO));
    assert_eq!(sweep().unwrap(), 2);
    let left = artifact_store_tests::artifact_files(served.dir.path());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_upload_that_is_completed_twice_at_once_takes_effect_once() {
    let served = Served::start();
    let client = served.client();
    let id = begin(&client, "k", &[]);
    let tag = part(&client, "k", &id, 1, &vec![b'x'; 4 * PART]);
    let replies: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| complete(&served.client(), "k", &id, &[(1, &tag)], &[]).ok()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let found = client.get("/artifacts/k").ok().etag();
    for reply in replies {
        assert_eq!(reply.field("ETag").unwrap().replace("&quot;", "\""), found);
    }
}
