//! Trees of files to a store and from it (`put -r`, `get -r`, `sync`), through the real binary.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{cli, expect, guest, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

mod names;
mod transfers;

/// A directory, in it a tree `src` of such files.
fn place(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    for (name, bytes) in files {
        write(&dir.path().join("src").join(name), bytes);
    }
    dir
}

/// A file that was modified an hour ago.
fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    date(path, SystemTime::now() - Duration::from_secs(3600));
}

fn date(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// The files of a tree, by their paths in it.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut dirs) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

fn keys(store: &ArtifactStore) -> Vec<String> {
    let mut keys: Vec<_> = store.list("").map(|entry| entry.unwrap().key).collect();
    keys.sort();
    keys
}

/// What a command says: its exit code, its summary, the states of its artifacts, its messages.
struct Said {
    code: Option<i32>,
    summary: Value,
    states: BTreeMap<String, String>,
    error: String,
}

impl Said {
    fn counts(&self) -> [u64; 3] {
        ["copied", "present", "failed"].map(|name| self.summary[name].as_u64().unwrap())
    }

    fn state(&self, key: &str) -> &str {
        self.states.get(key).map_or("", String::as_str)
    }
}

fn said(dir: &Path, arguments: &[&str]) -> Said {
    let output = run(dir, &[arguments, &["--json"]].concat(), b"");
    let error = String::from_utf8(output.stderr).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let artifacts = lines.iter().filter(|line| line["type"] == "artifact");
    let states = artifacts.map(|line| (of(line, "key"), of(line, "state"))).collect();
    let summary = lines.last().cloned().unwrap_or_default();
    assert_eq!(summary["type"], "summary", "{arguments:?}: {text}{error}");
    Said { code: output.status.code(), summary, states, error }
}
