//! What the command line makes of stores that are configured wrong, refuse, or do not answer.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use artifact_store_tests::scripted::{Answer, Scripted, answer, error};
use artifact_store_tests::{bare_text, cli, expect, guest, run, weed};

fn code_and_error(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A configuration with a directory `disk` and the S3 service at `endpoint`.
fn stores(dir: &Path, endpoint: &str) {
    std::fs::create_dir_all(dir.join("disk")).unwrap();
    let text = format!(
        "[stores.disk]\nbackend = 'fs'\ndirectories = [{{ host = 'disk' }}]\n\
         [stores.bucket]\nbackend = 's3'\n[stores.bucket.env]\nS3_BUCKET = '{}'\n\
         AWS_ENDPOINT_URL = '{endpoint}'\nAWS_ACCESS_KEY_ID = '{}'\nAWS_SECRET_ACCESS_KEY = '{}'\n",
        weed::BUCKET,
        weed::KEY,
        weed::SECRET
    );
    std::fs::write(dir.join("stores.toml"), text).unwrap();
}

fn check(dir: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let arguments = [&["--config", "stores.toml", "config", "check"], more].concat();
    let output = run(dir, &arguments, b"");
    let (code, error) = code_and_error(&output);
    (code, String::from_utf8(output.stdout).unwrap(), error)
}

const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

#[test]
fn a_check_of_the_configuration_asks_each_service_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (script, code, said) in [
        (answer(200, "", EMPTY), 0, ""),
        (error(403, "SignatureDoesNotMatch"), 1, "access denied"),
        (error(404, "NoSuchBucket"), 1, "bucket"),
    ] {
        let server = Scripted::start(move |_, _| Answer::Send(script.clone()));
        stores(dir, &server.endpoint());
        let (found, text, message) = check(dir, &[]);
        assert_eq!(found, Some(code), "{text} {message}");
        assert!(message.contains(said) && message.is_empty() == said.is_empty(), "{message}");
        assert_eq!(message.contains("store `bucket`: "), code == 1, "{message}");
        assert_eq!(server.requests().len(), 1);
        assert!(text.contains(&format!("bucket `{}`", weed::BUCKET)), "{text}");
        assert!(text.contains("us-east-1") && text.contains(&server.endpoint()), "{text}");
        assert!(!format!("{text}{message}").contains(weed::SECRET));
        assert_eq!(check(dir, &["--no-probe"]).0, Some(0));
        assert_eq!(check(dir, &["--no-open"]).0, Some(0));
        assert_eq!(server.requests().len(), 1);
    }
    // Nobody listens there.
    stores(dir, "http://127.0.0.1:1");
    let (code, _, message) = check(dir, &[]);
    assert!(code == Some(1) && message.contains("unavailable"), "{message}");
    // One that cannot list, and one that is broken.
    for (name, key, code) in [("plain", "get", 0), ("hostile", "get", 0)] {
        let text = format!(
            "[stores.{key}]\nbackend = '{}'\ndirectories = [{{ host = 'disk' }}]\n",
            guest(name).display()
        );
        std::fs::write(dir.join("stores.toml"), text).unwrap();
        assert_eq!(check(dir, &[]).0, Some(code), "{name}");
    }
}

#[test]
fn a_misspelt_setting_of_s3_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (line, number) in [
        ("env = { S3_BUCKT = 'b' }", 3),
        ("env-from = ['S3_BUCKT']", 3),
        ("env-from = { S3_BUCKT = 'X' }", 3),
        ("\nenv.S3_BUCKET = 'b'\nenv.S3_PREFX = 'p'", 5),
        ("env = { S3_BUCKET = 'b', AWS_PROFILE = 'p' }", 3),
    ] {
        std::fs::write(dir.join("stores.toml"), format!("[stores.a]\nbackend = 's3'\n{line}\n"))
            .unwrap();
        let (code, _, message) = check(dir, &["--no-open"]);
        assert_eq!(code, Some(1), "{line}: {message}");
        assert!(message.contains(&format!("stores.toml:{number}: ")), "{line}: {message}");
        let meant =
            ["S3_BUCKT", "S3_PREFX", "AWS_PROFILE"].into_iter().find(|name| line.contains(name));
        assert!(message.contains(meant.unwrap()), "{line}: {message}");
        let guessed = message.contains("did you mean `S3_BUCKET`?")
            || message.contains("did you mean `S3_PREFIX`?");
        assert_eq!(guessed, !line.contains("PROFILE"), "{line}: {message}");
    }
    let arguments = ["--backend", "s3", "--env", "S3_BUCKT=hush", "list"];
    let message = expect(dir, &arguments, b"", 1);
    assert!(message.contains("S3_BUCKT") && message.contains("`S3_BUCKET`"), "{message}");
    assert!(!message.contains("hush"), "{message}");
    let mut list = cli();
    list.args(["--backend", "s3", "list"]).env("S3_BUCKT", "hush").current_dir(dir);
    let (code, message) = code_and_error(&list.env_remove("S3_BUCKET").output().unwrap());
    assert!(code == Some(1) && message.contains("S3_BUCKT"), "{message}");
}

#[test]
fn a_copy_stops_where_nothing_can_work() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let server = Scripted::start(|_, _| Answer::Send(error(403, "SignatureDoesNotMatch")));
    stores(dir, &server.endpoint());
    for n in 0..50 {
        expect(dir, &["--dir", "disk", "put", &format!("k{n}")], b"x", 0);
    }
    let copy = [
        "--config",
        "stores.toml",
        "copy",
        "--from",
        "disk",
        "--to",
        "bucket",
        "--jobs",
        "2",
        "--json",
    ];
    let output = run(dir, &copy, b"");
    let (code, message) = code_and_error(&output);
    assert!(code == Some(1) && message.contains("stopped"), "{message}");
    assert!(server.requests().len() < 10, "{} requests", server.requests().len());
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["complete"], false, "{text}");
    // Nobody listens there: each try takes seconds.
    stores(dir, "http://127.0.0.1:1");
    let begun = Instant::now();
    let (code, message) = code_and_error(&run(dir, &copy, b""));
    assert!(code == Some(6) && message.contains("stopped"), "{message}");
    assert!(message.matches("unavailable").count() < 10, "{message}");
    assert!(begun.elapsed() < Duration::from_secs(120));
    // A delete of many keys likewise.
    let keys: Vec<_> = (0..50).map(|n| format!("k{n}")).collect();
    let server = Scripted::start(|_, _| Answer::Send(error(403, "SignatureDoesNotMatch")));
    stores(dir, &server.endpoint());
    let mut arguments = vec!["--config", "stores.toml", "--store", "bucket", "delete", "--"];
    arguments.extend(keys.iter().map(String::as_str));
    let (code, message) = code_and_error(&run(dir, &arguments, b""));
    assert!(code == Some(1) && message.contains("stopped"), "{message}");
    // Two for each key, some of which were on their way.
    assert!(server.requests().len() < 20, "{} requests", server.requests().len());
}

#[test]
fn an_artifact_above_the_buffer_says_which_limit_and_what_takes_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let plain = guest("plain");
    let text = format!(
        "[stores.a]\nbackend = '{}'\ndirectories = [{{ host = 'data' }}]\n",
        plain.display()
    );
    std::fs::create_dir(dir.join("data")).unwrap();
    std::fs::write(dir.join("stores.toml"), format!("{text}limits.buffer = '1KiB'\n")).unwrap();
    let wide = format!("{text}limits.buffer = '1MiB'\n");
    std::fs::write(dir.join("wide.toml"), wide).unwrap();
    expect(dir, &["--config", "wide.toml", "put", "k"], &[7; 4096], 0);
    for (arguments, input) in [
        (["--config", "stores.toml", "get", "k"], &b""[..]),
        (["--config", "stores.toml", "put", "k"], &[7; 4096][..]),
    ] {
        let message = expect(dir, &arguments, input, 1);
        for word in ["1024 bytes", "`buffer`", "`read`", "-o"] {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}

#[test]
fn a_component_for_a_draft_of_wasi_is_told_to_be_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (version, word) in [("0.3.0-rc-2025-09-16", "older"), ("0.9.0", "newer")] {
        let import = format!(
            "(component (import \"wasi:clocks/monotonic-clock@{version}\" \
             (instance (export \"now\" (func (result u64)))))\n"
        );
        let text = bare_text(&[]).replacen("(component\n", &import, 1);
        let file = dir.join("draft.wasm");
        std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
        let message = expect(dir, &["--backend", "draft.wasm", "get", "k"], b"", 1);
        assert!(message.contains(word), "{version}: {message}");
    }
}

#[test]
fn a_service_that_cannot_be_reached_is_named_whatever_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    stores(dir, "http://127.0.0.1:1");
    for timeout in ["1s", "30s"] {
        let line =
            ["--config", "stores.toml", "--store", "bucket", "--timeout", timeout, "get", "k"];
        let (code, message) = code_and_error(&run(dir, &line, b""));
        assert_eq!(code, Some(6), "{message}");
        assert!(message.contains("refused") && message.contains("127.0.0.1:1"), "{message}");
        assert!(!message.contains("backend took longer"), "{message}");
    }
}

/// A hint names what the user wrote.
#[test]
fn a_hint_is_about_options_or_about_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("stores.toml"), "[stores.a]\nbackend = 's3'\n").unwrap();
    let hint = |arguments: &[&str]| {
        let mut command = cli();
        command.args(arguments).current_dir(dir).env_remove("S3_BUCKET");
        let (_, message) = code_and_error(&command.output().unwrap());
        message.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default().to_owned()
    };
    let configured = hint(&["--config", "stores.toml", "list"]);
    assert!(configured.contains("`env-from`") && !configured.contains("--env"), "{configured}");
    let described = hint(&["--backend", "s3", "list"]);
    assert!(described.contains("--env") && !described.contains("env-from"), "{described}");
    let place = hint(&["--store", "dir:absent", "list"]);
    assert!(place.contains("`dir:`") && !place.contains("--dir"), "{place}");
}
