//! The command line, through the real binary.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use artifact_store_tests::{cli, expect, guest, run};

/// The file of the artifact `k`, as `docs/format.md` names it.
const FILE_OF_K: &str = "_k";

#[test]
fn a_file_goes_in_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("readme"), "read me\n").unwrap();
    expect(dir, &["put", "docs/readme", "readme"], b"", 0);
    expect(dir, &["put", "piped"], b"123456789", 0);
    assert_eq!(expect(dir, &["get", "docs/readme"], b"", 0), "read me\n");
    assert_eq!(expect(dir, &["get", "piped", "--offset", "2", "--length", "3"], b"", 0), "345");
    expect(dir, &["get", "piped", "-o", "out"], b"", 0);
    assert_eq!(std::fs::read(dir.join("out")).unwrap(), b"123456789");

    let mut keys: Vec<_> = expect(dir, &["list"], b"", 0).lines().map(str::to_owned).collect();
    keys.sort();
    assert_eq!(keys, ["docs/readme", "piped"]);
    let listed = expect(dir, &["list", "d", "--json"], b"", 0);
    let start = r#"{"type":"artifact","key":"docs/readme","size":8,"modified":"20"#;
    assert!(listed.starts_with(start) && listed.ends_with("Z\",\"version\":null}\n"), "{listed}");
    let stat = expect(dir, &["stat", "piped", "--json"], b"", 0);
    let start = "{\"type\":\"artifact\",\"key\":\"piped\",\"size\":9,\
                 \"checksum\":\"ae8b14860a799888\",\"modified\":\"20";
    assert!(stat.starts_with(start) && stat.ends_with("\"attributes\":{}}\n"), "{stat}");

    expect(dir, &["delete", "piped", "docs/readme", "never-there"], b"", 0);
    assert_eq!(expect(dir, &["list"], b"", 0), "");
}

#[test]
fn exit_codes_say_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let message = expect(dir, &["get", "k"], b"", 3);
    assert!(message.contains("`k`") && message.contains("not found"), "{message}");
    expect(dir, &["list"], b"", 3);
    expect(dir, &["delete", "k"], b"", 3);
    assert!(!dir.join("artifacts").exists(), "only a put makes the directory");
    expect(dir, &["put", "k", "--create"], b"first", 0);
    expect(dir, &["put", "k", "--create"], b"second", 4);
    expect(dir, &["put", "k", "no-such-file"], b"", 1);
    assert_eq!(expect(dir, &["get", "k"], b"", 0), "first");
    expect(dir, &["put"], b"", 2);
    expect(dir, &["frobnicate"], b"", 2);
    expect(dir, &["get", "a\nb"], b"", 2);

    // One flipped bit in the payload.
    let file = dir.join("artifacts").join(FILE_OF_K);
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(dir.join("out"), "old").unwrap();
    expect(dir, &["get", "k", "-o", "out"], b"", 5);
    assert_eq!(std::fs::read(dir.join("out")).unwrap(), b"old");
    let left = std::fs::read_dir(dir).unwrap().count();
    assert_eq!(left, 2, "a failed get leaves nothing behind");
    expect(dir, &["put", "k"], b"repaired", 0);
    assert_eq!(expect(dir, &["get", "k"], b"", 0), "repaired");
}

#[test]
fn any_key_can_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for key in ["-h", "--", "--help", "a b", "..", "a/../b", "😀", "*"] {
        expect(dir, &["put", "--", key], key.as_bytes(), 0);
        assert_eq!(expect(dir, &["get", "--", key], b"", 0), key);
        // Global options stand before or after the command.
        assert_eq!(expect(dir, &["get", "--dir", "artifacts", "--", key], b"", 0), key);
        assert_eq!(expect(dir, &["--dir", "artifacts", "get", "--", key], b"", 0), key);
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let dir = tempfile::tempdir().unwrap();
    expect(dir.path(), &["put", "k"], &vec![7; 3_000_000], 0);
    for arguments in [&["get", "k"][..], &["list"], &["--help"]] {
        let mut child = cli()
            .args(arguments)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 1]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn another_backend_is_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let plain = guest("plain");
    let plain = plain.to_str().unwrap();
    expect(dir, &["--backend", plain, "put", "k"], b"elsewhere", 0);
    assert_eq!(expect(dir, &["--backend", plain, "get", "k"], b"", 0), "elsewhere");
    expect(dir, &["get", "k"], b"", 3);
    expect(dir, &["--backend", plain, "list"], b"", 1);
    expect(dir, &["--backend", plain, "delete", "k"], b"", 0);
    expect(dir, &["--backend", plain, "get", "k"], b"", 3);
    // Both streamed and not, each in its own way.
    expect(dir, &["extract", "fs", "-o", "fs.wasm"], b"", 0);
    expect(dir, &["--backend", "fs.wasm", "put", "k"], b"as a file", 0);
    assert_eq!(expect(dir, &["get", "k"], b"", 0), "as a file");
}

#[test]
fn a_file_that_is_no_backend_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, bytes) in
        [("page.html", &b"<html>"[..]), ("core.wasm", b"\0asm\x01\0\0\0"), ("empty.wasm", b"")]
    {
        std::fs::write(dir.join(name), bytes).unwrap();
        let message = expect(dir, &["--backend", name, "get", "k"], b"", 1);
        assert!(message.contains("not a WebAssembly component"), "{message}");
        let lines = message.lines().filter(|line| !line.starts_with("hint:")).count();
        assert_eq!(lines, 1, "{message}");
    }
    for name in ["later_version", "other_world"] {
        let file = guest(name);
        let message = expect(dir, &["--backend", file.to_str().unwrap(), "get", "k"], b"", 1);
        assert!(message.contains("does not export"), "{message}");
    }
}

#[test]
fn what_a_backend_says_cannot_drive_or_flood_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let file = guest("hostile");
    let arguments = ["--backend", file.to_str().unwrap(), "get", "loud"];
    let message = expect(dir.path(), &arguments, b"", 1);
    assert!(!message.contains('\x1b') && message.contains("loud"), "{message:.200}");
    assert!(message.len() < 64 << 10, "{} bytes", message.len());
}

/// Calls at `-v`, their keys and the backend's own lines at `-vv`, and nothing without.
#[test]
fn verbose_shows_what_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let error = |arguments: &[&str]| {
        let output = run(dir, arguments, b"x");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!error.contains('\x1b') && !error.contains("hush"), "{error}");
        error
    };
    let secret = ["--env", "TOKEN=hush"];
    let with = |more: &[&'static str]| [&secret[..], more].concat();
    assert_eq!(error(&with(&["put", "confidential"])), "");
    let calls = error(&with(&["put", "confidential", "-v"]));
    assert!(calls.contains(r#"operation="put""#) && calls.contains(r#"outcome="ok""#), "{calls}");
    assert!(!calls.contains("confidential"), "{calls}");
    for arguments in [["-vv", "get", "confidential"], ["-v", "get", "confidential"]] {
        let calls = error(&with(&arguments));
        assert_eq!(calls.contains("confidential"), arguments[0] == "-vv", "{calls}");
    }
    let file = guest("hostile");
    let backend = ["--backend", file.to_str().unwrap()];
    let said = error(&[&backend[..], &["delete", "say", "-vv"]].concat());
    assert!(said.contains(r"\u{1b}[2Jout") && said.contains("without an end"), "{said}");
    let said = error(&[&backend[..], &["delete", "say", "-v"]].concat());
    assert!(said.contains("called") && !said.contains("out\\"), "{said}");
}

#[test]
fn an_interrupted_put_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"old", 0);
    let mut child = cli()
        .args(["put", "k", "-"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![7; 3_000_000]).unwrap();
    let temporaries = dir.join("artifacts/tmp");
    while std::fs::read_dir(&temporaries).unwrap().count() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    // Standard input is still open: the signal alone ends it.
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdin);
    assert_eq!(std::fs::read_dir(&temporaries).unwrap().count(), 0);
    assert_eq!(expect(dir, &["get", "k"], b"", 0), "old");
}

/// The peak memory in KiB of putting and getting `size` bytes through pipes.
#[cfg(target_os = "linux")]
fn peaks(dir: &Path, size: usize) -> [i64; 2] {
    let (mut put, mut get) = (cli(), cli());
    put.args(["put", "k", "-"]).current_dir(dir);
    get.args(["get", "k"]).current_dir(dir);
    [artifact_store_tests::peak(&mut put, size), artifact_store_tests::peak(&mut get, 0)]
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_artifact() {
    let dir = tempfile::tempdir().unwrap();
    // So short a run may be looked at too early: the highest of several counts.
    let runs = (0..5).map(|_| peaks(dir.path(), 1 << 10));
    let small = runs.reduce(|a, b| [a[0].max(b[0]), a[1].max(b[1])]).unwrap();
    let large = peaks(dir.path(), 256 << 20);
    for (small, large) in small.into_iter().zip(large) {
        assert!(large - small < 16 << 10, "{large} KiB for 256 MiB, {small} KiB for 1 KiB");
    }
}
