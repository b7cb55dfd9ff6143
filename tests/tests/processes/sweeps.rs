//! Sweeps beside writers, beside each other, and in processes that are killed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use artifact_store::WriteOptions;
use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::{artifact_files, eventually};

use super::roles::Role;
use super::{is_tidy, temporaries};

fn set_time(file: &Path, time: SystemTime) {
    fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
}

/// Begins to write `k` and waits until the first bytes are in the file, which is returned.
fn begin(
    store: &ArtifactStore,
    dir: &Path,
) -> (artifact_store::blocking::ArtifactWriter, std::path::PathBuf) {
    let mut writer = store.writer("k", WriteOptions::default()).unwrap();
    go_on(&mut writer);
    let is_there = || {
        let found = temporaries(dir);
        found.len() == 1 && fs::metadata(&found[0]).is_ok_and(|file| file.len() == SENT + HEADER)
    };
    eventually("the first bytes", is_there);
    let file = temporaries(dir).remove(0);
    (writer, file)
}

const PART: usize = 1 << 20;

/// Bytes that [`go_on`] sends.
const SENT: u64 = PART as u64 + 1;

/// Bytes before the payload of `k`, as `docs/format.md` counts them.
const HEADER: u64 = 57;

fn go_on(writer: &mut impl Write) {
    writer.write_all(&vec![7; PART + 1]).unwrap();
    writer.flush().unwrap();
}

const HOUR: Duration = Duration::from_secs(3600);

/// What another process sweeps: how many were removed and kept.
fn swept_elsewhere(dir: &Path, age: Duration) -> String {
    let mut role = Role::start("sweep", dir, &[&age.as_secs().to_string()]);
    role.go();
    role.finish().remove(0)
}

pub fn spare_a_slow_upload() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("k", "old").unwrap();
    let (mut writer, file) = begin(&store, dir.path());
    // It began long ago, but its last bytes are fresh.
    let long_ago = SystemTime::now() - 3 * HOUR;
    set_time(&file, long_ago);
    go_on(&mut writer);
    eventually("a later write", || {
        fs::metadata(&file).unwrap().modified().unwrap() > long_ago + HOUR
    });
    assert_eq!(swept_elsewhere(dir.path(), HOUR), "0 removed, 1 kept");
    writer.commit().unwrap();
    assert_eq!(store.get("k").unwrap(), vec![7; 2 * (PART + 1)]);
    is_tidy(&store, dir.path());
}

pub fn at_once() {
    const LITTER: u64 = 600;
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("k", "old").unwrap();
    // The name of zeros is that of a sweep's own file: any sweep removes it, as the one does that
    // begins when a store is opened, and counts it for nobody here.
    for n in 1..=LITTER {
        fs::write(dir.path().join(format!("tmp/{n:032x}")), "half").unwrap();
    }
    let mut roles = [(); 4].map(|()| Role::start("sweep", dir.path(), &["0"]));
    roles.iter_mut().for_each(Role::go);
    // Who comes too late for a file takes that for no failure.
    let removed = roles.map(|role| {
        let line = role.finish().remove(0);
        line.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    let removed: u64 = removed.iter().sum();
    assert_eq!(removed, LITTER);
    assert_eq!(store.get("k").unwrap(), "old");
    is_tidy(&store, dir.path());
}

/// To open a store sweeps it, at which the process may be killed at any point.
pub fn killed_readers() {
    const ROUNDS: u64 = 120;
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("k", "old").unwrap();
    let young = dir.path().join("tmp").join("a".repeat(32));
    fs::write(&young, "half").unwrap();
    let before = fs::metadata(dir.path().join("tmp")).unwrap().modified().unwrap();
    for round in 0..ROUNDS {
        let mut role = Role::start("glance", dir.path(), &["k"]);
        if round % 3 == 0 {
            // It ends by itself, while its sweep may be at work.
            role.go();
            assert_eq!(role.finish(), ["old"]);
        } else {
            std::thread::sleep(Duration::from_micros(round * 1331 % 60_000));
            role.kill();
        }
        assert_eq!(temporaries(dir.path()), [&*young], "round {round}");
    }
    // As nothing was old, nothing was changed, not even for a moment.
    assert_eq!(fs::metadata(dir.path().join("tmp")).unwrap().modified().unwrap(), before);

    // With something to remove, what a killed sweep left goes with the next one.
    let old = dir.path().join("tmp").join("b".repeat(32));
    for round in 0..ROUNDS {
        fs::write(&old, "half").unwrap();
        set_time(&old, SystemTime::now() - 25 * HOUR);
        let role = Role::start("glance", dir.path(), &["k"]);
        std::thread::sleep(Duration::from_micros(round * 1331 % 60_000));
        role.kill();
    }
    store.sweep(24 * HOUR).unwrap();
    assert_eq!(temporaries(dir.path()), [&*young]);
}

pub fn absurd_times() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let future = SystemTime::now() + 24 * 365 * 200 * HOUR;
    for (time, is_swept) in [(SystemTime::UNIX_EPOCH, true), (future, false)] {
        for file in ["a", "long/".repeat(50).as_str()] {
            store.put(file, "has an absurd time").unwrap();
        }
        store.put("k", "old").unwrap();
        for file in artifact_files(dir.path()) {
            set_time(&file, time);
        }
        let (writer, file) = begin(&store, dir.path());
        set_time(&file, time);
        let expected = if is_swept { "1 removed, 0 kept" } else { "0 removed, 1 kept" };
        assert_eq!(swept_elsewhere(dir.path(), 24 * HOUR), expected);
        match writer.commit() {
            Ok(_) => assert_eq!(store.get("k").unwrap(), vec![7; PART + 1]),
            Err(error) => {
                assert!(is_swept && error.is_retryable(), "{error}");
                assert_eq!(store.get("k").unwrap(), "old");
            }
        }
        for key in ["a", "long/".repeat(50).as_str()] {
            assert_eq!(store.get(key).unwrap(), "has an absurd time");
            store.stat(key).unwrap();
        }
        assert_eq!(store.list("").map(Result::unwrap).count(), 3);
        is_tidy(&store, dir.path());
    }
}
