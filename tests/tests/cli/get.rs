//! `get` of several artifacts: one after another, or each a file below a directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use artifact_store_tests::{expect, run};
use serde_json::Value;

/// A store with three artifacts.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (key, text) in [("builds/1", "one"), ("builds/2", "two"), ("a//b", "odd")] {
        expect(dir.path(), &["put", key], text.as_bytes(), 0);
    }
    dir
}

/// The exit code, standard output and standard error.
fn said(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(dir, arguments, b"");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn several_artifacts_are_written_one_after_another() {
    let dir = store();
    let dir = dir.path();
    for (keys, expected) in [
        (&["builds/1", "builds/2"][..], "onetwo"),
        (&["builds/2", "a//b", "builds/2"], "twooddtwo"),
        (&["builds/1", "builds/2", "-o", "-"], "onetwo"),
    ] {
        assert_eq!(expect(dir, &[&["get"], keys].concat(), b"", 0), expected, "{keys:?}");
    }
    // What is missing is named, and the rest follows.
    let (code, out, error) = said(dir, &["get", "no/1", "builds/1", "no/2", "builds/2"]);
    assert_eq!((code, &*out), (Some(3), "onetwo"), "{error}");
    assert!(error.contains("`no/1`") && error.contains("`no/2`"), "{error}");
    // The exit code is that of the first failure.
    assert_eq!(said(dir, &["get", "builds/1", "", "no"]).0, Some(2));
}

#[test]
fn several_artifacts_become_files_below_a_directory() {
    let dir = store();
    let dir = dir.path();
    let text = expect(dir, &["get", "builds/1", "builds/2", "-o", "new/out/"], b"", 0);
    assert!(text.starts_with("2 artifacts copied, 6 B"), "{text}");
    assert_eq!(fs::read_to_string(dir.join("new/out/builds/1")).unwrap(), "one");
    // A directory that is there needs no `/`, also for one artifact, and this one holds the store.
    expect(dir, &["get", "builds/2", "-o", "."], b"", 0);
    assert_eq!(fs::read_to_string(dir.join("builds/2")).unwrap(), "two");
    // A name without a `/` is a file's.
    expect(dir, &["get", "builds/2", "-o", "file"], b"", 0);
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "two");

    // Who names a key gets its bytes, also where a file of the same size has its time.
    let stale = fs::File::options().write(true).open(dir.join("new/out/builds/1")).unwrap();
    let time = stale.metadata().unwrap().modified().unwrap();
    fs::write(dir.join("new/out/builds/1"), "old").unwrap();
    stale.set_modified(time).unwrap();
    expect(dir, &["get", "builds/1", "-o", "new/out/"], b"", 0);
    assert_eq!(fs::read_to_string(dir.join("new/out/builds/1")).unwrap(), "one");

    let line = ["get", "no", "builds/1", "a//b", "builds/2", "-o", "part/", "--json"];
    let (code, out, error) = said(dir, &line);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("`no`") && error.contains("`a//b`"), "{error}");
    let summary: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!([&summary["copied"], &summary["failed"]], [2, 2], "{out}");
    assert_eq!(fs::read_dir(dir.join("part/builds")).unwrap().count(), 2);

    assert_eq!(said(dir, &["get", "no", "-o", "none/"]).0, Some(3));
    assert!(!dir.join("none").exists());
}

#[test]
fn what_could_mean_two_things_is_wrong_usage() {
    let dir = store();
    let dir = dir.path();
    for arguments in [
        &["builds/1", "builds/2", "-o", "file"][..],
        &["builds/1", "builds/2", "--offset", "1"],
        &["builds/1", "--length", "1", "-o", "./"],
        &["builds/1", "builds/2", "--json"],
        &["-r", "builds"],
        &["-r", "builds", "out", "more"],
        // Into the store.
        &["builds/1", "-o", "artifacts/"],
    ] {
        let (code, _, error) = said(dir, &[&["get"], arguments].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
    }
    assert!(!dir.join("file").exists() && !dir.join("artifacts/builds").exists());
}

#[test]
fn a_file_of_the_store_is_never_the_output() {
    let dir = store();
    let dir = dir.path();
    expect(dir, &["put", "b"], b"kept", 0);
    symlink("artifacts/_b", dir.join("to-artifact")).unwrap();
    symlink("artifacts/_new", dir.join("to-nothing")).unwrap();
    symlink("artifacts", dir.join("to-store")).unwrap();
    let config = "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'artifacts' }]\n";
    std::fs::write(dir.join("stores.toml"), config).unwrap();
    for store in [&[][..], &["--config", "stores.toml"], &["--store", "dir:artifacts"]] {
        for file in ["artifacts/_b", "artifacts/_new", "to-artifact", "to-nothing", "to-store/_b"] {
            let (code, _, error) = said(dir, &[store, &["get", "builds/1", "-o", file]].concat());
            assert!(code == Some(2) && error.contains("directory of the store"), "{file}: {error}");
        }
        for arguments in [["get", "-r", "", "artifacts/x"], ["put", "-r", "to-store", "x"]] {
            let (code, _, error) = said(dir, &[store, &arguments].concat());
            assert!(code == Some(2) && error.contains("have to be apart"), "{error}");
        }
    }
    assert_eq!(expect(dir, &["list", "--sort", "name"], b"", 0), "a//b\nb\nbuilds/1\nbuilds/2\n");
    assert_eq!(expect(dir, &["get", "b"], b"", 0), "kept");
    // Beside it, and with a name that only begins like it.
    expect(dir, &["get", "b", "-o", "artifacts_b"], b"", 0);
}

/// The key, the state and the size of each line, and the summary.
fn lines(out: &str) -> (Vec<String>, Value) {
    let mut lines: Vec<Value> = out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let summary = lines.pop().unwrap();
    let shown = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("key"), text("state"), line["size"])
    };
    (lines.iter().map(shown).collect(), summary)
}

#[test]
fn a_key_that_is_named_twice_is_one_file() {
    let dir = store();
    for more in [&[][..], &["--dry-run"]] {
        let line = [&["get", "builds/1", "builds/2", "builds/1", "-o", "out/", "--json"], more];
        let out = expect(dir.path(), &line.concat(), b"", 0);
        let (mut told, summary) = lines(&out);
        told.sort();
        let state = if more.is_empty() { "copied" } else { "would-copy" };
        assert_eq!(told, [format!("builds/1 {state} 3"), format!("builds/2 {state} 3")]);
        assert_eq!(summary["failed"], 0);
        fs::remove_dir_all(dir.path().join("out")).ok();
    }
}

#[test]
fn a_dry_run_promises_no_more_files_than_there_can_be() {
    let dir = store();
    let dir = dir.path();
    expect(dir, &["put", "builds"], b"file", 0);
    let line = ["get", "builds/1", "builds", "builds/2", "-o", "out/", "--json"];
    let (code, out, error) = said(dir, &[&line[..], &["--dry-run"]].concat());
    let (mut told, summary) = lines(&out);
    told.sort();
    assert_eq!(told, ["builds failed 4", "builds/1 would-copy 3", "builds/2 would-copy 3"]);
    assert_eq!((code, &summary["would_copy"]), (Some(1), &2.into()));
    assert!(error.contains("would be a directory"), "{error}");
    assert!(!dir.join("out").exists());
    // Whichever is written first: not all of them.
    let (code, out, _) = said(dir, &line);
    assert_eq!(code, Some(1));
    assert_ne!(lines(&out).1["failed"], 0);
}

#[test]
fn the_exit_code_is_that_of_the_first_key_that_fails() {
    let dir = store();
    let dir = dir.path();
    expect(dir, &["put", "bad"], b"bytes", 0);
    fs::write(dir.join("artifacts/_bad"), "no artifact").unwrap();
    // It has an artifact, and no file can have its name.
    expect(dir, &["put", "../x"], b"1", 0);
    for (keys, expected) in [
        (["../x", "no", "bad"], 1),
        (["no", "../x", "bad"], 3),
        (["bad", "no", "../x"], 5),
        (["builds/1", "bad", "no"], 5),
    ] {
        let (code, out, error) =
            said(dir, &[&["get"], &keys[..], &["-o", "out/", "--json"]].concat());
        assert_eq!(code, Some(expected), "{keys:?}: {error}");
        let (told, _) = lines(&out);
        // What was not seen has no size.
        assert!(
            !told.iter().any(|line| line.starts_with("no") && line != "no failed null"),
            "{out}"
        );
    }
}
