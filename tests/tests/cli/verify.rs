//! `verify` on a store that takes long: bounded in what it reads, and resumed where it stopped.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{at_a_terminal, cli};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SIZE: usize = 512 << 10;

/// Eight artifacts of 512 KiB.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        store.put(key, vec![7; SIZE]).unwrap();
    }
    dir
}

fn verify(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = cli();
    command.arg("--dir").arg(dir).arg("verify").args(arguments).stdin(Stdio::null());
    command
}

/// The exit code, the lines of `--json`, and standard error.
fn ended(mut command: Command) -> (Option<i32>, Vec<Value>, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn it_reads_no_more_in_a_second_than_it_may() {
    let dir = store();
    for jobs in ["1", "8"] {
        let begun = Instant::now();
        let (code, lines, _) =
            ended(verify(dir.path(), &["--json", "--rate", "2MiB", "--jobs", jobs]));
        assert_eq!((code, &lines[0]["sound"]), (Some(0), &8.into()));
        // 4 MiB in all.
        assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
    }
}

#[test]
fn what_is_before_a_key_is_left_out() {
    let dir = store();
    let (code, lines, _) = ended(verify(dir.path(), &["--json", "--start-after", "c"]));
    assert_eq!((code, &lines[0]["sound"]), (Some(0), &5.into()));
    let (code, lines, _) = ended(verify(dir.path(), &["--json", "--start-after", "bb", "c"]));
    assert_eq!((code, &lines[0]["sound"]), (Some(0), &1.into()));
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let dir = store();
    let mut slow = verify(dir.path(), &["--json", "--rate", "1MiB", "--jobs", "2"]);
    let child = slow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["type"], "stopped", "{text}");
    let key = line["start_after"].as_str().unwrap();
    assert!(("a".."h").contains(&key), "{key}");

    let (code, lines, _) = ended(verify(dir.path(), &["--json", "--start-after", key]));
    let left = u64::from(b'h' - key.as_bytes()[0]);
    assert_eq!((code, &lines[0]["sound"]), (Some(0), &left.into()));
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let dir = store();
    for (arguments, text) in [
        (["--rate", "1KiB"], "at least 1MiB"),
        (["--rate", "fast"], "--rate"),
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "65"], "--jobs"),
    ] {
        let (code, _, error) = ended(verify(dir.path(), &arguments));
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(text), "{error}");
    }
}

/// As a copy does.
#[test]
fn a_terminal_shows_how_much_there_is_and_the_time_that_is_left() {
    let dir = store();
    let line = "\"$A\" --dir . verify --rate 2MiB --start-after b";
    let Some(text) = at_a_terminal(dir.path(), line, "") else { return };
    assert!(text.contains("/6 ") && text.contains("/3.00 MiB"), "{text:?}");
    assert!(text.contains(" left"), "{text:?}");
    assert!(text.contains("6 artifacts are sound, 3.00 MiB in "), "{text:?}");
    let (_, lines, _) =
        ended(verify(dir.path(), &["--json", "--rate", "2MiB", "--start-after", "d"]));
    assert!(lines[0]["seconds"].as_f64().unwrap() > 0.9, "{lines:?}");
}
