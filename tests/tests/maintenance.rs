//! What only the backend sees: stale temporaries, foreign items, damage that no listing shows;
//! through the library and the command line.
#![cfg(unix)]

mod plain_host;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, FindingKind, Grants};
use artifact_store_tests::{cli, guest_on, run};

use plain_host::{Clock, FsPerms, block_on};

const HOUR: Duration = Duration::from_secs(3600);

/// The file of the artifact `k`, as `docs/format.md` names it.
const FILE_OF_K: &str = "_k";

fn unswept(dir: &Path) -> ArtifactStore {
    ArtifactStore::open(Backend::fs(dir).sweep_older_than(None)).unwrap()
}

/// An unfinished write that was last written to `age` ago.
fn leave_temporary(dir: &Path, name: &str, age: Duration) {
    let path = dir.join("tmp").join(name.repeat(32));
    fs::create_dir_all(dir.join("tmp")).unwrap();
    fs::write(&path, "half").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn temporaries(dir: &Path) -> usize {
    fs::read_dir(dir.join("tmp")).unwrap().count()
}

#[test]
fn an_audit_tells_what_is_no_sound_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", "123").unwrap();
    store.put("sound", "456").unwrap();
    assert_eq!(store.audit().count(), 0);

    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::write(dir.path().join(FILE_OF_K), "").unwrap();
    leave_temporary(dir.path(), "a", HOUR);
    let mut found: Vec<_> = store.audit().map(|finding| finding.unwrap()).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let told: Vec<_> = found.iter().map(|f| (f.kind, f.name.as_str(), f.size)).collect();
    let temporary = format!("tmp/{}", "a".repeat(32));
    assert_eq!(
        told,
        [
            (FindingKind::Damaged, FILE_OF_K, Some(0)),
            (FindingKind::Foreign, "notes.txt", Some(4)),
            (FindingKind::Temporary, &*temporary, Some(4)),
        ]
    );
    assert!(found[0].detail.contains("`k`"), "{}", found[0].detail);
    assert!(found[2].modified.unwrap() < SystemTime::now() - HOUR / 2);
}

#[test]
fn a_sweep_takes_old_temporaries_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", "123").unwrap();
    fs::write(dir.path().join("tmp/notes.txt"), "mine").unwrap();
    leave_temporary(dir.path(), "a", 3 * HOUR);
    leave_temporary(dir.path(), "b", HOUR);
    let swept = store.sweep(2 * HOUR).unwrap();
    assert_eq!((swept.removed, swept.bytes, swept.kept), (1, 4, 1));
    assert_eq!(temporaries(dir.path()), 2);
    let again = store.sweep(2 * HOUR).unwrap();
    assert_eq!((again.removed, again.kept), (0, 1));
    assert_eq!(store.get("k").unwrap(), "123");
}

#[test]
fn to_open_a_store_sweeps_it_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    leave_temporary(dir.path(), "a", 25 * HOUR);
    leave_temporary(dir.path(), "b", 23 * HOUR);
    unswept(dir.path()).put("k", "1").unwrap();
    assert_eq!(temporaries(dir.path()), 2);

    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    // Nobody waits for it, so that only its effect can be waited for.
    let patience = Instant::now() + Duration::from_secs(60);
    while temporaries(dir.path()) > 1 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(temporaries(dir.path()), 1);
    assert_eq!(store.sweep(24 * HOUR).unwrap().kept, 1);
}

#[test]
fn a_backend_without_maintenance_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(guest_on("plain", dir.path())).unwrap();
    for error in [store.sweep(HOUR).unwrap_err(), store.audit().next().unwrap().unwrap_err()] {
        assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    }
}

/// The exit code and standard output of `verify` with these arguments.
fn verify(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cli().arg("verify").args(arguments).arg("--dir").arg(dir).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn verify_reads_everything_and_names_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (code, text) = verify(&dir.join("absent"), &[]);
    assert_eq!((code, &*text), (Some(3), ""), "what is not there is not sound");

    let store = unswept(dir);
    store.put("k", "123").unwrap();
    store.put("other", vec![7; 1_000_000]).unwrap();
    let (code, text) = verify(dir, &[]);
    assert_eq!((code, text.starts_with("2 artifacts are sound")), (Some(0), true), "{text}");

    // The payload's last byte: no header shows it.
    let mut bytes = fs::read(dir.join(FILE_OF_K)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.join(FILE_OF_K), bytes).unwrap();
    leave_temporary(dir, "a", 48 * HOUR);
    leave_temporary(dir, "b", HOUR);
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let (code, text) = verify(dir, &[]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("damaged  `k`: "), "{text}");
    assert!(text.contains("foreign  notes.txt, 4 bytes: "), "{text}");
    assert!(text.contains("1 damaged, 2 unfinished writes, 1 foreign"), "{text}");
    assert_eq!(temporaries(dir), 2, "without --repair nothing is changed");
    assert_eq!(verify(dir, &["oth"]).0, Some(0), "the damage lies outside of the prefix");

    let (code, text) = verify(dir, &["--repair", "--json"]);
    assert_eq!(code, Some(5), "{text}");
    let lines: Vec<_> = text.lines().collect();
    let damaged = "{\"type\":\"artifact\",\"key\":\"k\",\"state\":\"damaged\",\"error\":\"";
    assert!(lines.iter().any(|line| line.starts_with(damaged)), "{text}");
    let mut summary: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert!(summary["seconds"].take().is_f64(), "{text}");
    let expected = serde_json::json!({
        "type": "summary", "sound": 1, "unchecked": 0, "bytes": 1_000_000, "seconds": null,
        "damaged": 1, "unreadable": 0, "temporary": 1, "foreign": 1,
        "complete": true, "audited": true, "removed": 1,
    });
    assert_eq!(summary, expected);
    assert_eq!(temporaries(dir), 1);
    store.put("k", "123").unwrap();
    assert_eq!(verify(dir, &[]).0, Some(0));
}

/// What lies in a directory, and when each thing was changed last: contents, names and times.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let times = (found.modified().unwrap(), found.ctime(), found.ctime_nsec());
        all.insert(path, (found.len(), times.0, times.1, times.2));
    }
    all
}

#[test]
fn reading_commands_change_nothing() {
    let work = tempfile::tempdir().unwrap();
    let work = work.path();
    let dir = work.join("store");
    fs::create_dir(&dir).unwrap();
    unswept(&dir).put("k", "123").unwrap();
    leave_temporary(&dir, "a", Duration::ZERO);
    leave_temporary(&dir, "b", 23 * HOUR);
    leave_temporary(&dir, "c", 48 * HOUR);
    fs::create_dir(work.join("empty")).unwrap();
    let config = "[stores.store]\nbackend = \"fs\"\ndirectories = [{ host = \"store\" }]\n\
                  [stores.empty]\nbackend = \"fs\"\ndirectories = [{ host = \"empty\" }]\n";
    fs::write(work.join("stores.toml"), config).unwrap();
    let before = state(&dir);
    for (arguments, code) in [
        (&["--dir", "store", "get", "k"][..], 0),
        (&["--dir", "store", "get", "absent"], 3),
        (&["--dir", "store", "stat", "k"], 0),
        (&["--dir", "store", "list"], 0),
        (&["--dir", "store", "verify"], 0),
        (&["--config", "stores.toml", "--store", "store", "get", "k"], 0),
        (&["--config", "stores.toml", "--store", "store", "list"], 0),
        (&["--config", "stores.toml", "config", "check"], 0),
        (&["--config", "stores.toml", "copy", "--from", "store", "--to", "empty"], 0),
        (&["--config", "stores.toml", "copy", "--from", "empty", "--to", "store", "--dry-run"], 0),
    ] {
        let output = run(work, arguments, b"");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert_eq!(state(&dir), before, "{arguments:?}");
    }
}

/// Who only reads through the library has it swept, too, but only what is old is touched.
#[test]
fn a_sweep_with_nothing_to_remove_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    unswept(dir.path()).put("k", "123").unwrap();
    leave_temporary(dir.path(), "a", Duration::ZERO);
    leave_temporary(dir.path(), "b", 23 * HOUR);
    let before = state(dir.path());
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    assert_eq!(store.sweep(24 * HOUR).unwrap().kept, 2);
    block_on(async {
        let mut instance = plain_host::Instance::new(dir.path()).await;
        assert_eq!(instance.sweep(24 * HOUR).await.unwrap(), (0, 2));
        for clock in [Clock::Behind(48 * HOUR), Clock::Behind(480_000 * HOUR)] {
            let mut instance =
                plain_host::Instance::with(dir.path(), FsPerms::ReadWrite, clock).await;
            assert_eq!(instance.sweep(24 * HOUR).await.unwrap(), (0, 2), "{clock:?}");
        }
    });
    assert_eq!(state(dir.path()), before);
}

#[test]
fn a_store_that_may_only_be_read_is_swept_without_a_change() {
    let dir = tempfile::tempdir().unwrap();
    unswept(dir.path()).put("k", "123").unwrap();
    leave_temporary(dir.path(), "a", HOUR);
    let ours = || {
        let grants = Grants::none().read_only(dir.path(), "/");
        ArtifactStore::open(Backend::fs(dir.path()).grants(grants)).unwrap()
    };
    let before = state(dir.path());
    assert_eq!(ours().sweep(2 * HOUR).unwrap().kept, 1);
    let error = ours().sweep(HOUR / 2).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
    block_on(async {
        let mut instance =
            plain_host::Instance::with(dir.path(), FsPerms::ReadOnly, Clock::Right).await;
        assert_eq!(instance.sweep(2 * HOUR).await.unwrap(), (0, 1));
        let error = instance.sweep(HOUR / 2).await.unwrap_err();
        assert!(matches!(error, plain_host::Error::AccessDenied(_)), "{error:?}");
    });
    assert_eq!(state(dir.path()), before);
}

/// The clock that counts is that of the files, whatever the host's says.
#[test]
fn a_host_whose_clock_is_wrong_removes_what_is_old() {
    for clock in [
        Clock::Right,
        Clock::Behind(48 * HOUR),
        Clock::Behind(480_000 * HOUR),
        Clock::Ahead(48 * HOUR),
        Clock::Ahead(480_000 * HOUR),
    ] {
        let dir = tempfile::tempdir().unwrap();
        unswept(dir.path()).put("k", "123").unwrap();
        leave_temporary(dir.path(), "a", 25 * HOUR);
        leave_temporary(dir.path(), "b", 23 * HOUR);
        block_on(async {
            let mut instance =
                plain_host::Instance::with(dir.path(), FsPerms::ReadWrite, clock).await;
            assert_eq!(instance.sweep(24 * HOUR).await.unwrap(), (1, 1), "{clock:?}");
        });
        let left = dir.path().join("tmp").join("b".repeat(32));
        assert!(left.exists() && temporaries(dir.path()) == 1, "{clock:?}");
    }
}

/// A sweep that is cut off leaves one file at most, which the next one removes at once.
#[test]
fn what_a_sweep_leaves_goes_with_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    unswept(dir.path()).put("k", "123").unwrap();
    leave_temporary(dir.path(), "b", HOUR);
    block_on(async {
        let mut instance = plain_host::Instance::new(dir.path()).await;
        for _ in 0..10 {
            leave_temporary(dir.path(), "a", 25 * HOUR);
            instance.fail_removals(usize::MAX);
            instance.sweep(24 * HOUR).await.unwrap_err();
            assert!(temporaries(dir.path()) <= 3);
            instance.fail_removals(0);
            instance.sweep(24 * HOUR).await.unwrap();
            assert_eq!(temporaries(dir.path()), 1);
        }
    });
    assert!(dir.path().join("tmp").join("b".repeat(32)).exists());
}

/// A directory that a key has left goes when it has been empty for as long as a sweep is told.
#[test]
fn a_sweep_takes_directories_that_have_been_empty_for_long_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    for key in ["young/k", "old/k", "kept/k", "deep/er/k", "notes/k"] {
        store.put(key, "123").unwrap();
    }
    for key in ["young/k", "old/k", "deep/er/k", "notes/k"] {
        store.delete(key).unwrap();
    }
    fs::create_dir(dir.path().join("mine")).unwrap();
    fs::write(dir.path().join(",notes/mine"), "").unwrap();
    for name in [",old", ",kept", ",deep/,er", ",deep", "mine", ",notes"] {
        let file = File::open(dir.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - 3 * HOUR).unwrap();
    }
    let before = state(dir.path());
    assert_eq!(store.sweep(4 * HOUR).unwrap(), store.sweep(4 * HOUR).unwrap());
    assert_eq!(state(dir.path()), before);
    let there = |name: &str| dir.path().join(name).exists();
    let swept = store.sweep(2 * HOUR).unwrap();
    assert_eq!((swept.removed, swept.kept), (0, 0));
    assert!(!there(",old") && !there(",deep/,er"));
    for name in [",young", ",kept/_k", ",deep", "mine", ",notes/mine"] {
        assert!(there(name), "{name}");
    }
    // The one above has been empty only since then.
    store.sweep(Duration::ZERO).unwrap();
    assert!(!there(",young") && !there(",deep") && there("mine"));
    assert_eq!(store.get("kept/k").unwrap(), "123");
    assert_eq!(temporaries(dir.path()), 0);
    for key in ["young/k", "old/k", "deep/er/k"] {
        store.put(key, "again").unwrap();
        assert_eq!(store.get(key).unwrap(), "again");
    }
    let found: Vec<_> = store.audit().map(|finding| finding.unwrap().name).collect();
    assert_eq!(found, [",notes/mine", "mine"]);
}

/// A store as versions before the first release made it holds artifacts that are not seen here.
#[test]
fn a_store_in_the_old_layout_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("d4e")).unwrap();
    fs::create_dir_all(dir.path().join("tmp")).unwrap();
    fs::write(dir.path().join("d4e/_k"), "old").unwrap();
    for arguments in [
        &["get", "k"][..],
        &["stat", "k"],
        &["put", "k"],
        &["put", "--create", "k"],
        &["delete", "k"],
        &["list"],
        &["list", "k/"],
        &["verify"],
        &["verify", "--repair"],
    ] {
        let output = cli().arg("--dir").arg(dir.path()).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("layout of versions before") && error.contains("`d4e`"), "{error}");
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
    // One directory of others does not make it one.
    fs::remove_file(dir.path().join("d4e/_k")).unwrap();
    fs::write(dir.path().join("_x"), "").unwrap();
    let store = unswept(dir.path());
    store.put("k", "new").unwrap();
    assert_eq!(store.get("k").unwrap(), "new");
}
