//! Stores that are named by their place, `dir:PATH` or `s3:BUCKET/PREFIX`, in every command that
//! names one.

use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::scripted::{Answer, Scripted, answer, error};
use artifact_store_tests::{artifact_files, cli, expect, run, shell, weed};

fn keys(dir: &Path) -> Vec<String> {
    let store = ArtifactStore::open_dir(dir).unwrap();
    store.list("").map(|entry| entry.unwrap().key).collect()
}

fn damage(dir: &Path) {
    let file = artifact_files(dir).into_iter().find(|file| file.ends_with("_k")).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn every_command_takes_a_directory_as_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let at = |more: &[&str], input: &[u8]| {
        expect(dir, &[&["--store", "dir:a"], more].concat(), input, 0)
    };
    at(&["put", "k"], b"bytes");
    assert_eq!(at(&["get", "k"], b""), "bytes");
    assert_eq!(at(&["list"], b""), "k\n");
    assert!(at(&["stat", "k"], b"").contains("5 bytes"));
    at(&["copy", "k", "l"], b"");
    at(&["verify"], b"");
    for copy in [
        &["copy", "--from", "dir:a", "--to", "dir:b"][..],
        &["copy", "dir:a", "dir:c"],
        &["cp", "--from", "dir:a", "--to", "dir:d", "l", "--jobs", "1"],
    ] {
        let text = expect(dir, &[copy, &["--dry-run"]].concat(), b"", 0);
        assert!(text.contains("would be copied"), "{text}");
        assert!(!dir.join(copy.last().unwrap().trim_start_matches("dir:")).exists());
        expect(dir, copy, b"", 0);
    }
    assert_eq!(["b", "c", "d"].map(|name| keys(&dir.join(name)).len()), [2, 2, 1]);
    damage(&dir.join("b"));
    let verify = ["--store", "dir:b", "verify", "--repair-from", "dir:a"];
    let text = expect(dir, &verify, b"", 0);
    assert!(text.contains("1 repaired"), "{text}");
    at(&["delete", "l"], b"");
    assert_eq!(keys(&dir.join("a")), ["k"]);
    // Only what writes makes a directory.
    expect(dir, &["--store", "dir:none", "list"], b"", 3);
    expect(dir, &["copy", "dir:none", "dir:made"], b"", 3);
    assert!(!dir.join("none").exists() && !dir.join("made").exists());
    // A shell leaves this `~` alone.
    let output = shell(dir, "HOME=$PWD/a/.. \"$A\" --store dir:~/a list");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "k\n");
}

#[test]
fn a_place_and_a_named_store_go_together_and_a_scheme_is_always_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("disk")).unwrap();
    // The second store has the name of a place.
    let text = "[stores.disk]\nbackend = 'fs'\ndirectories = [{ host = 'disk' }]\n\
                [stores.'dir:a']\nbackend = 'fs'\ndirectories = [{ host = 'wrong' }]\n";
    std::fs::write(dir.join("stores.toml"), text).unwrap();
    let config = ["--config", "stores.toml"];
    let with = |more: &[&str], code: i32| expect(dir, &[&config[..], more].concat(), b"x", code);
    with(&["--store", "disk", "put", "k"], 0);
    with(&["copy", "--from", "disk", "--to", "dir:a"], 0);
    assert_eq!(keys(&dir.join("a")), ["k"]);
    damage(&dir.join("a"));
    with(&["--store", "dir:a", "verify", "--repair-from", "disk"], 0);
    std::fs::create_dir(dir.join("src")).unwrap();
    std::fs::write(dir.join("src/f"), "f").unwrap();
    with(&["sync", "./src", "disk", "--prefix", "t"], 0);
    with(&["sync", "disk", "./out", "--prefix", "t"], 0);
    assert_eq!(std::fs::read(dir.join("out/f")).unwrap(), b"f");
    // With a configuration a bare word is the name of a store.
    with(&["sync", "src", "disk"], 2);
    let mut list = cli();
    list.args(["--store", "dir:a", "list"]).env("ARTIFACT_STORE_CONFIG", "stores.toml");
    let output = list.current_dir(dir).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "k\n");
    // What is neither is said to be.
    let error = expect(dir, &["copy", "--from", "disk", "--to", "dir:b"], b"", 2);
    assert!(error.contains("`disk` is no place") && error.contains("--config"), "{error}");
    for wrong in [
        &["--store", "dir:a", "--dir", "a", "list"][..],
        &["--store", "s3://bucket/prefix", "list"],
        &["copy", "dir:a", "dir:b", "--create"],
        &["copy", "k", "l", "--dry-run"],
        &["copy", "k", "l", "--jobs", "2"],
    ] {
        expect(dir, wrong, b"", 2);
    }
}

const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

#[test]
fn a_bucket_is_a_place_and_the_variables_say_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let server = Scripted::start(|request, _| {
        Answer::Send(match request.method.as_str() {
            "GET" if request.query.contains("list-type") => answer(200, "", EMPTY),
            "PUT" => answer(200, "etag: \"1\"\r\n", ""),
            "HEAD" => answer(404, "", ""),
            _ => error(404, "NoSuchKey"),
        })
    });
    let at = |arguments: &[&str]| {
        let mut command = cli();
        command.args(arguments).current_dir(dir).env("AWS_ENDPOINT_URL", server.endpoint());
        command.env("AWS_ACCESS_KEY_ID", weed::KEY).env("AWS_SECRET_ACCESS_KEY", weed::SECRET);
        // The place counts more.
        command.env("S3_BUCKET", "wrong").env("S3_PREFIX", "wrong");
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    };
    let last = || server.requests().pop().unwrap();
    at(&["--store", "s3:bucket/team/a", "list"]);
    let request = last();
    assert!(request.path.starts_with("/bucket"), "{request:?}");
    assert!(request.query.contains("prefix=team%2Fa%2F_%2F"), "{request:?}");
    assert!(request.header("authorization").is_some_and(|value| value.contains(weed::KEY)));
    at(&["--store", "s3:bucket", "list"]);
    assert!(last().query.contains("prefix=_%2F"), "{:?}", last());
    expect(dir, &["--store", "dir:a", "put", "k"], b"bytes", 0);
    at(&["copy", "dir:a", "s3:bucket/p"]);
    assert!(server.requests().iter().any(|it| it.method == "PUT" && it.path == "/bucket/p/_/k_"));
    std::fs::create_dir(dir.join("src")).unwrap();
    std::fs::write(dir.join("src/f"), "f").unwrap();
    at(&["sync", "src", "s3:bucket/q", "--prefix", "t"]);
    assert!(server.requests().iter().any(|it| it.path == "/bucket/q/_/t/f_"));
    // Without a bucket, or with a prefix that none can have, no request is sent.
    let sent = server.requests().len();
    for wrong in ["s3:", "s3:/p"] {
        assert_eq!(run(dir, &["--store", wrong, "list"], b"").status.code(), Some(2));
    }
    let message = expect(dir, &["--store", "s3:b/../p", "list"], b"", 1);
    assert!(message.contains("S3_PREFIX"), "{message}");
    assert_eq!(server.requests().len(), sent);
}
