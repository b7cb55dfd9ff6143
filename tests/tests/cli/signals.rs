//! The signals that end the command line, and what they leave.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{alone, cli, expect, guest, shell};
use rustix::process::{Pid, Signal, kill_process};

/// The exit code of a shell line, and what it wrote to standard error.
fn fails(dir: &Path, line: &str) -> (i32, String) {
    let output = shell(dir, line);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("it ends by itself"), error)
}

/// A put that has begun to write.
fn begun(dir: &Path, arguments: &[&str], input: Stdio) -> Child {
    // What the sweep at opening does is none of a put: `maintenance.rs` looks at that.
    let store = "[stores.a]\nbackend = 'fs'\nsweep-older-than = 'never'\n\
                 directories = [{ host = 'artifacts' }]\n";
    let config = dir.join("artifacts").with_extension("toml");
    std::fs::write(&config, store).unwrap();
    let mut put = cli();
    put.arg("--config").arg(config).args(arguments);
    put.current_dir(dir).stdin(input).stderr(Stdio::piped());
    let child = put.spawn().unwrap();
    let temporaries = dir.join("artifacts/tmp");
    while std::fs::read_dir(&temporaries).unwrap().count() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const ENDING: &[(Signal, i32)] = &[
    (Signal::HUP, 129),
    (Signal::INT, 130),
    (Signal::QUIT, 131),
    (Signal::USR1, 138),
    (Signal::USR2, 140),
    (Signal::ALARM, 142),
    (Signal::TERM, 143),
    (Signal::XCPU, 152),
    (Signal::VTALARM, 154),
    (Signal::PROF, 155),
    #[cfg(target_os = "linux")]
    (Signal::IO, 157),
    #[cfg(target_os = "linux")]
    (Signal::POWER, 158),
    #[cfg(target_os = "linux")]
    (Signal::STKFLT, 144),
];

#[test]
fn each_signal_that_ends_a_put_or_get_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"old", 0);
    for &(kind, code) in ENDING {
        let (input, mut feed) = std::io::pipe().unwrap();
        let feeding =
            std::thread::spawn(move || feed.write_all(&vec![7; 3_000_000]).map(|()| feed));
        let mut child = begun(dir, &["put", "k"], input.into());
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{kind:?}");
        drop(feeding.join());
        assert_eq!(names(&dir.join("artifacts/tmp")), [""; 0], "{kind:?}");
        assert_eq!(expect(dir, &["get", "k"], b"", 0), "old");
    }
    // A get that cannot go on, since it waits for what it is to read.
    let file = guest("hostile");
    let endless = ["--backend", file.to_str().unwrap(), "get", "endless", "-o", "out"];
    std::fs::write(dir.join("out"), "old").unwrap();
    for &(kind, code) in ENDING {
        let mut child =
            cli().args(endless).current_dir(dir).stderr(Stdio::piped()).spawn().unwrap();
        while names(dir).len() == 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{kind:?}");
        assert_eq!(names(dir), ["artifacts", "artifacts.toml", "out"], "{kind:?}");
        assert_eq!(std::fs::read(dir.join("out")).unwrap(), b"old");
    }
}

#[test]
fn a_limit_of_the_file_size_is_an_error_that_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], &vec![7; 3_000_000], 0);
    let (code, error) = fails(dir, "ulimit -f 1000; head -c 3000000 /dev/zero | \"$A\" put l");
    assert!(code == 1 && error.contains("no space"), "{code} {error}");
    assert_eq!(names(&dir.join("artifacts/tmp")), [""; 0]);
    let (code, error) = fails(dir, "ulimit -f 1000; \"$A\" get k -o out");
    assert!(code == 1 && error.contains("cannot write `out`: File too large"), "{code} {error}");
    assert_eq!(names(dir), ["artifacts"]);
    let (code, error) = fails(dir, "ulimit -f 1000; \"$A\" get k > out");
    assert!(code == 1 && error.contains("File too large"), "{code} {error}");
}

#[test]
fn a_signal_that_is_ignored_from_the_start_stays_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["put", "k"], b"old", 0);
    for (name, kind) in [("HUP", Signal::HUP), ("INT", Signal::INT), ("QUIT", Signal::QUIT)] {
        let (input, mut feed) = std::io::pipe().unwrap();
        let mut child = Command::new("sh");
        child
            .args(["-c", &format!("trap '' {name}; exec \"$A\" put k")])
            .env("A", cli().get_program());
        alone(&mut child);
        let mut child = child.current_dir(dir).stdin(input).spawn().unwrap();
        feed.write_all(b"new ").unwrap();
        while std::fs::read_dir(dir.join("artifacts/tmp")).unwrap().count() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..3 {
            signal(&child, kind);
            std::thread::sleep(Duration::from_millis(20));
        }
        feed.write_all(name.as_bytes()).unwrap();
        drop(feed);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
        assert_eq!(expect(dir, &["get", "k"], b"", 0), format!("new {name}"));
    }
}

/// The backend listens to nobody, and the first signal waits for it to clean up.
#[test]
fn a_second_signal_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("artifacts")).unwrap();
    let file = guest("hostile");
    let mut put = cli();
    put.args(["--backend", file.to_str().unwrap(), "--timeout", "1h", "put", "spin"]);
    put.current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
    // Nothing tells from outside that the backend has begun. One that has not ends at the first.
    for millis in [500, 2000, 8000, 32_000] {
        let mut child = put.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(b"some");
        std::thread::sleep(Duration::from_millis(millis));
        let begun = Instant::now();
        signal(&child, Signal::TERM);
        let mut said = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        if !said.contains("waiting for the backend") {
            assert_eq!(child.wait().unwrap().code(), Some(143), "{said}");
            continue;
        }
        assert_eq!(child.try_wait().unwrap(), None);
        signal(&child, Signal::HUP);
        assert_eq!(child.wait().unwrap().code(), Some(129));
        assert!(begun.elapsed() < Duration::from_secs(60));
        return;
    }
    panic!("the backend does not begin");
}

#[test]
fn a_copy_and_a_verification_that_are_ended_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let store =
        |name| format!("[stores.{name}]\nbackend = 'fs'\ndirectories = [{{ host = '{name}' }}]\n");
    std::fs::create_dir(dir.join("to")).unwrap();
    std::fs::write(dir.join("stores.toml"), store("from") + &store("to")).unwrap();
    expect(dir, &["--dir", "from", "put", "k"], &vec![7; 1 << 28], 0);
    for (kind, code) in [(Signal::HUP, 129), (Signal::QUIT, 131), (Signal::TERM, 143)] {
        let mut copy = cli();
        copy.args(["--config", "stores.toml", "copy", "--from", "from", "--to", "to"]);
        copy.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = copy.spawn().unwrap();
        let temporaries = dir.join("to/tmp");
        while std::fs::read_dir(&temporaries).map_or(0, Iterator::count) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{kind:?}");
        assert_eq!(names(&temporaries), [""; 0], "{kind:?}");
    }
    let mut verify = cli();
    verify.args(["--dir", "from", "verify"]).current_dir(dir);
    let mut child = verify.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, Signal::TERM);
    // It may be done already.
    assert!([Some(0), Some(143)].contains(&child.wait().unwrap().code()));
}

/// All but what had begun stays, and what was done is told.
#[test]
fn a_delete_that_is_ended_says_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let store = ArtifactStore::open_dir(dir.join("artifacts")).unwrap();
    let count = || names(&dir.join("artifacts/,k")).len();
    for line in [
        &["delete", "--prefix", "k/", "--yes", "--json", "--jobs", "1"][..],
        &["delete", "--prefix", "k/", "--yes", "--jobs", "1"],
    ] {
        for n in 0..500 {
            store.put(&format!("k/{n}"), "1").unwrap();
        }
        let mut delete = cli();
        delete.args(line).current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = delete.spawn().unwrap();
        while count() == 500 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // It is heard as soon as the process goes on.
        for kind in [Signal::STOP, Signal::TERM, Signal::CONT] {
            signal(&child, kind);
        }
        let ended = child.wait_with_output().unwrap();
        let [out, error] = [ended.stdout, ended.stderr].map(|it| String::from_utf8(it).unwrap());
        assert_eq!(ended.status.code(), Some(143), "{error}");
        assert_eq!(error.matches("ended by SIGTERM").count(), 1, "{error}");
        let deleted = 500 - count();
        assert!((1..500).contains(&deleted));
        let last = out.lines().last().unwrap();
        if line.contains(&"--json") {
            let summary: serde_json::Value = serde_json::from_str(last).unwrap();
            assert_eq!(
                (&summary["deleted"], &summary["complete"]),
                (&deleted.into(), &false.into())
            );
            assert_eq!(out.lines().count(), deleted + 1);
        } else {
            assert!(last.starts_with(&format!("{deleted} artifact")), "{deleted} {last}");
            assert!(last.ends_with("incomplete: not all were tried"), "{last}");
        }
    }
}
