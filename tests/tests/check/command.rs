//! What an author and an operator do with the file of a backend, through the real binary.

use std::path::Path;
use std::process::Output;

use artifact_store_tests::{bare_component, cli, guest};

fn run(dir: &Path, arguments: &[&str]) -> Output {
    cli().args(arguments).current_dir(dir).output().unwrap()
}

fn expect(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(dir, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}{error}");
    text
}

fn path(name: &str) -> String {
    guest(name).display().to_string()
}

#[test]
fn the_built_in_backend_keeps_every_rule() {
    let dir = tempfile::tempdir().unwrap();
    let text = expect(dir.path(), &["check", "fs"], 0);
    assert!(text.contains("keeps every rule"), "{text}");
    // The host copies for it, and compares the bytes on the way.
    assert!(text.contains("copying       13 not offered\n"), "{text}");
    assert!(text.contains(" 0 failed, 0 advice, 13 not offered"), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_not_offered_is_not_passed() {
    let dir = tempfile::tempdir().unwrap();
    let text = expect(dir.path(), &["check", &path("plain"), "--dir", "below"], 0);
    assert!(text.contains("listing       21 not offered\n"), "{text}");
    // Each check cleared its own directory.
    assert_eq!(std::fs::read_dir(dir.path().join("below")).unwrap().count(), 0);
}

#[test]
fn a_broken_rule_is_shown_with_its_calls() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = path("wrong");
    let arguments = [
        "--env",
        "FAULT=delete-of-absent-fails",
        "check",
        &wrong,
        "--only",
        "round-trip",
        "--junit",
        "report.xml",
        "--seed",
        "7",
    ];
    let text = expect(dir.path(), &arguments, 1);
    for part in [
        "FAILED  a_delete_of_an_absent_key_is_ok",
        "delete-1: A delete of an absent key MUST return ok.",
        "delete(\"never/was\") -> err(not-found: not found)",
        "expected: ok",
        "breaks 1 rule: delete-1\n12 checks: 11 passed, 1 failed, ",
        "(seed 7)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("listing"), "{text}");
    let junit = std::fs::read_to_string(dir.path().join("report.xml")).unwrap();
    assert!(
        junit.contains("<testsuite name=\"round-trip\"") && junit.contains("<failure"),
        "{junit}"
    );

    let arguments = [
        "check",
        &wrong,
        "--only",
        "round-trip",
        "--json",
        "--env",
        "FAULT=delete-of-absent-fails",
    ];
    let json = expect(dir.path(), &arguments, 1);
    assert!(json.contains("\"failed\":1,") && json.contains("\"outcome\":\"failed\""), "{json}");
}

#[test]
fn crashes_are_tried_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let text = expect(dir.path(), &["check", "fs", "--crash", "--only", "errors"], 0);
    assert!(text.contains("\ncrash ") && text.contains("\nfailures "), "{text}");
    assert!(!text.contains("not observed"), "{text}");
    let careless = path("careless");
    let env = ["--env", "CARELESS=sync of the directory"];
    let arguments =
        [&["check", &careless, "--crash", "--only", "errors", "--json"][..], &env].concat();
    let json = expect(dir.path(), &arguments, 1);
    assert!(
        json.contains("\"group\":\"crash\"") && json.contains("an acknowledged change survives"),
        "{json}"
    );
    // In the words of who wrote the backend.
    let moment = r#"a crash after put(\"crash/key\") was acknowledged; of what was not synced: "#;
    assert!(json.contains(moment), "{json}");
    assert!(!json.contains("Acknowledge("), "{json}");
}

#[test]
fn what_is_no_backend_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("page"), "<html>").unwrap();
    for file in ["page", "absent"] {
        expect(dir.path(), &["check", file], 1);
        expect(dir.path(), &["inspect", file], 1);
    }
    expect(dir.path(), &["check", "fs", "--only", "nothing"], 2);
    // A bucket is no empty store, unless each check has a part of it.
    expect(dir.path(), &["extract", "s3", "-o", "copy.wasm"], 0);
    expect(dir.path(), &["check", "copy.wasm"], 2);
    expect(dir.path(), &["check", "copy.wasm", "--fresh-env", "S3_PREFIX=always-this"], 2);
}

#[test]
fn a_component_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let text = expect(dir.path(), &["inspect", "fs"], 0);
    for part in [
        "artifact:storage/maintenance@0.1.0",
        "read and write in granted directories",
        "wasi:filesystem/types@0.3",
        "SHA-256    ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("sockets"), "{text}");
    assert!(text.contains("language   Rust\n"), "{text}");
    // Its sockets stay closed, whatever it imports.
    let text = expect(dir.path(), &["inspect", &path("raids")], 0);
    assert!(text.contains("  use sockets, which stay closed\n"), "{text}");
    assert!(!text.contains("connections"), "{text}");
    // Of one that no tool has signed, nothing is claimed.
    std::fs::write(dir.path().join("bare.wasm"), bare_component(&[])).unwrap();
    let text = expect(dir.path(), &["inspect", "bare.wasm"], 0);
    assert!(text.contains("language   not stated\n"), "{text}");
    let json = expect(dir.path(), &["inspect", "fs", "--json"], 0);
    assert!(json.contains("\"digest\":\"") && json.contains("\"access\":\"read clocks"), "{json}");
    // Whether it is built in makes no difference to what it says of itself.
    expect(dir.path(), &["extract", "s3", "-o", "s3.wasm"], 0);
    for file in ["s3", "s3.wasm"] {
        let text = expect(dir.path(), &["inspect", file], 0);
        assert!(text.contains("  S3_BUCKET (required)\n      the bucket"), "{text}");
        assert!(text.contains("  AWS_SECRET_ACCESS_KEY (secret)\n"), "{text}");
        assert!(text.contains("  S3_PART_SIZE (default `8388608`)\n"), "{text}");
    }
    let sync = r#"{"name":"ARTIFACT_STORE_SYNC","description":"`on`: a change survives"#;
    assert!(json.contains(sync) && json.contains(r#""secret":false,"default":"on"}"#), "{json}");
    // One without the interface is not run.
    let json = expect(dir.path(), &["inspect", &path("plain"), "--json"], 0);
    assert!(!json.contains("\"settings\":"), "{json}");
    // A component that this host would not load is described all the same.
    let text = expect(dir.path(), &["inspect", &path("asks_for_more")], 0);
    assert!(text.contains("does not know or offer"), "{text}");
    // The other half of a bundle.
    expect(dir.path(), &["extract", "command", "-o", "command.wasm"], 0);
    let text = expect(dir.path(), &["inspect", "command.wasm"], 0);
    assert!(text.contains("store and read through another backend"), "{text}");
}

#[test]
fn new_access_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, more) = (path("plain"), path("asks_for_more"));
    let same = ["inspect", &plain, &plain, "--fail-on-new-access"];
    let text = expect(dir.path(), &same, 0);
    assert!(text.contains("could not before\n  nothing"), "{text}");
    let text = expect(dir.path(), &["inspect", &plain, &more], 0);
    assert!(text.contains("\n+ "), "{text}");
    expect(dir.path(), &["inspect", &plain, &more, "--fail-on-new-access"], 1);
    // What asks for less is no reason to fail.
    expect(dir.path(), &["inspect", &more, "fs", "--json"], 0);
}
