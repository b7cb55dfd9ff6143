//! Standard input and output of the command line, and files as its input.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use artifact_store_tests::{alone, cli, expect, run, shell};

/// The exit code of a shell line, and what it wrote to standard error.
fn fails(dir: &Path, line: &str) -> (i32, String) {
    let output = shell(dir, line);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("it ends by itself"), error)
}

#[test]
fn a_closed_or_unreadable_standard_input_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "doc"], b"old", 0);
    for (line, why) in [
        ("\"$A\" put doc <&-", "standard input: it is closed"),
        ("\"$A\" put doc - <&-", "standard input: it is closed"),
        ("\"$A\" put doc /dev/stdin <&-", "it is closed"),
        ("\"$A\" put doc /dev/fd/0 <&-", "it is closed"),
        ("\"$A\" put doc --create <&-", "standard input: it is closed"),
        ("\"$A\" put doc 0>/dev/null", "not open for reading"),
        ("\"$A\" put doc < /", "directory"),
        ("\"$A\" put doc /", "directory"),
        // The memory of a process has nothing at its beginning.
        ("\"$A\" put doc < /proc/$$/mem", "error"),
    ] {
        if line.contains("/proc") && !Path::new("/proc/self/mem").exists() {
            continue;
        }
        let (code, error) = fails(dir, line);
        assert!(code == 1 && error.contains(why), "{line}: {code} {error}");
        assert!(error.contains("cannot put `doc`"), "{line}: {error}");
        assert_eq!(expect(dir, &["get", "doc"], b"", 0), "old", "{line}");
    }
    // All three closed: nothing that is opened later takes their places.
    let (code, _) = fails(dir, "\"$A\" put doc <&- >&- 2>&-");
    assert_eq!(code, 1);
    let (code, _) = fails(dir, "echo new | \"$A\" put doc >&- 2>&-");
    assert_eq!((code, expect(dir, &["get", "doc"], b"", 0)), (0, "new\n".into()));
}

#[test]
fn a_closed_or_unwritable_standard_output_is_a_failure_of_every_command_that_writes_there() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"1", 0);
    std::fs::create_dir(dir.join("b")).unwrap();
    let store =
        |name| format!("[stores.{name}]\nbackend = 'fs'\ndirectories = [{{ host = '{name}' }}]\n");
    std::fs::write(dir.join("stores.toml"), store("artifacts") + &store("b")).unwrap();
    for command in [
        "get k",
        "get k -o -",
        "get k -o /dev/stdout",
        "list",
        "list --json",
        "stat k",
        "delete k",
        "verify",
        "check fs --only errors",
        "inspect fs",
        "completions fish",
        "man",
        "extract fs -o -",
        "bundle fs -o -",
        "new-backend mine",
        "new-layer mine",
        "--config stores.toml config check",
        "--config stores.toml copy --from artifacts --to b",
        "--help",
        "put --help",
        "--version",
    ] {
        for redirected in [">&-", "1</dev/null"] {
            let (code, error) = fails(dir, &format!("\"$A\" {command} {redirected}"));
            assert_eq!(code, 1, "{command} {redirected}: {error}");
            assert!(error.contains("standard output"), "{command} {redirected}: {error}");
        }
    }
    assert!(
        !dir.join("mine").exists()
            && run(dir, &["--dir", "b", "get", "k"], b"").status.code() != Some(0)
    );
    if Path::new("/dev/full").exists() {
        for command in ["get k", "list", "verify", "--help"] {
            let (code, error) = fails(dir, &format!("\"$A\" {command} >/dev/full"));
            assert!(code == 1 && error.contains("No space left"), "{command}: {error}");
        }
    }
    // Nothing is written there: it does not matter.
    let (code, error) = fails(dir, "echo 2 | \"$A\" put k >&- && \"$A\" exists k >&-");
    assert_eq!((code, &*error), (0, ""));
}

#[test]
fn a_check_whose_reader_goes_away_still_says_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"1", 0);
    let file = dir.join("artifacts/_k");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut command = Command::new("bash");
    alone(&mut command);
    let output = command
        .args(["-c", "\"$A\" verify | true; echo ${PIPESTATUS[0]}"])
        .env("A", cli().get_program())
        .current_dir(dir)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "5\n");
}

/// Makes a pipe's end non-blocking, as another process that shares it may.
fn non_blocking(end: &impl AsFd) {
    let flags = rustix::fs::fcntl_getfl(end).unwrap();
    rustix::fs::fcntl_setfl(end, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
}

#[test]
fn non_blocking_standard_input_and_output_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let (input, mut feed) = std::io::pipe().unwrap();
    non_blocking(&input);
    let mut put = cli();
    let mut put = put.args(["put", "k"]).current_dir(dir).stdin(input).spawn().unwrap();
    for part in bytes.chunks(1_000_000) {
        std::thread::sleep(Duration::from_millis(100));
        feed.write_all(part).unwrap();
    }
    drop(feed);
    assert_eq!(put.wait().unwrap().code(), Some(0));

    for arguments in [&["get", "k"][..], &["get", "k", "-o", "/dev/stdout"]] {
        let (mut drain, output) = std::io::pipe().unwrap();
        non_blocking(&output);
        let mut get = cli();
        get.args(arguments).current_dir(dir).stdout(output);
        let mut child = get.spawn().unwrap();
        // It holds the pipe's other end, too.
        drop(get);
        std::thread::sleep(Duration::from_millis(200));
        let mut seen = Vec::new();
        drain.read_to_end(&mut seen).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
        assert!(seen == bytes, "{arguments:?}: {} bytes", seen.len());
    }
    // The same of standard error, which is full.
    let (mut drain, mut error) = std::io::pipe().unwrap();
    non_blocking(&error);
    while error.write(&[b'.'; 4096]).is_ok() {}
    let mut get = cli();
    get.args(["get", "absent"]).current_dir(dir).stderr(OwnedFd::from(error));
    let mut child = get.spawn().unwrap();
    drop(get);
    std::thread::sleep(Duration::from_millis(200));
    let mut seen = String::new();
    drain.read_to_string(&mut seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(seen.contains("cannot get `absent`"), "{}", seen.len());
}

#[test]
fn a_size_that_the_system_states_is_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for file in ["/sys/class/net/lo/mtu", "/proc/version", "/proc/sys/kernel/ostype"] {
        if let Ok(text) = std::fs::read_to_string(file) {
            expect(dir, &["put", "k", file], b"", 0);
            assert_eq!(expect(dir, &["get", "k"], b"", 0), text, "{file}");
            let input = File::open(file).unwrap();
            let mut put = cli();
            put.args(["put", "l"]).current_dir(dir).stdin(input);
            assert!(put.status().unwrap().success());
            assert_eq!(expect(dir, &["get", "l"], b"", 0), text, "{file}");
        }
    }
    // Nothing but a hole, and a hole with an end.
    let sparse = dir.join("sparse");
    File::create(&sparse).unwrap().set_len(3_000_000).unwrap();
    expect(dir, &["put", "k", "sparse"], b"", 0);
    assert!(expect(dir, &["stat", "k"], b"", 0).contains("3000000 bytes"));
    File::options().append(true).open(&sparse).unwrap().write_all(b"end").unwrap();
    expect(dir, &["put", "k", "sparse"], b"", 0);
    assert!(expect(dir, &["stat", "k"], b"", 0).contains("3000003 bytes"));
    // The user's own size is exact.
    for (size, why) in [("3000002", "more than the expected"), ("3000004", "only 3000003 of")] {
        let message = expect(dir, &["put", "k", "sparse", "--size", size], b"", 1);
        assert!(message.contains(why), "{message}");
    }
    expect(dir, &["put", "k", "sparse", "--size", "3000003"], b"", 0);
    // Pipes and devices.
    for line in [
        "mkfifo fifo && (printf abc > fifo &) && \"$A\" put f fifo",
        "printf abc | \"$A\" put f /dev/stdin",
        "printf abc > abc && \"$A\" put f /dev/fd/3 3< abc",
        "\"$A\" put n /dev/null",
        "head -c 5 /dev/zero | \"$A\" put z",
    ] {
        let output = shell(dir, line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(expect(dir, &["get", "f"], b"", 0), "abc");
    assert_eq!(expect(dir, &["get", "n"], b"", 0), "");
    assert_eq!(expect(dir, &["get", "z"], b"", 0), "\0\0\0\0\0");
}

/// A put that has begun to write.
fn begun(dir: &Path, arguments: &[&str], input: Stdio) -> Child {
    let mut put = cli();
    put.args(arguments).current_dir(dir).stdin(input).stderr(Stdio::piped());
    let child = put.spawn().unwrap();
    let temporaries = dir.join("artifacts/tmp");
    while std::fs::read_dir(&temporaries).unwrap().count() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"old", 0);
    for change in ["grows", "shrinks", "changes"] {
        let file = File::create(dir.join("log")).unwrap();
        (&file).write_all(b"first\n").unwrap();
        // It takes long to read, and no room on the disk.
        file.set_len(1 << 28).unwrap();
        let child = begun(dir, &["put", "k", "log"], Stdio::null());
        match change {
            "grows" => file.set_len((1 << 28) + 1).unwrap(),
            "shrinks" => file.set_len(1 << 27).unwrap(),
            _ => (&file).write_all(b"second\n").unwrap(),
        }
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{change}: {error}");
        assert!(error.contains("`log` changed while it was read"), "{change}: {error}");
        assert_eq!(std::fs::read_dir(dir.join("artifacts/tmp")).unwrap().count(), 0);
        assert_eq!(expect(dir, &["get", "k"], b"", 0), "old");
    }
}
