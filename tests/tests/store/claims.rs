//! Claims that a process left which was killed, as `docs/format.md` describes them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, FindingKind, WriteOptions};

fn open(dir: &Path) -> ArtifactStore {
    ArtifactStore::open(Backend::fs(dir).sweep_older_than(None)).unwrap()
}

/// A store in which `k` was replaced by its version, and the version that it has now.
fn store(dir: &Path) -> (ArtifactStore, String) {
    let store = open(dir);
    store.put("k", "first").unwrap();
    let version = store.stat("k").unwrap().version.unwrap();
    let version = store.put_if("k", "old", &version).unwrap().version.unwrap();
    (store, version)
}

/// Makes the claim of a write of `new` to `k`, as the first one of that version.
fn claim(dir: &Path, version: &str) -> PathBuf {
    let elsewhere = tempfile::tempdir().unwrap();
    let other = open(elsewhere.path());
    other.put("k", "new").unwrap();
    let next = other.stat("k").unwrap().version.unwrap();
    let temporary = dir.join("tmp").join(next);
    fs::copy(elsewhere.path().join("_k"), &temporary).unwrap();
    fs::hard_link(&temporary, dir.join("tmp").join(format!("{version}-0"))).unwrap();
    temporary
}

fn left(dir: &Path) -> usize {
    fs::read_dir(dir.join("tmp")).unwrap().count()
}

fn findings(store: &ArtifactStore) -> Vec<FindingKind> {
    store.audit().map(|finding| finding.unwrap().kind).collect()
}

#[test]
fn whoever_meets_a_claim_finishes_it() {
    for meet in ["replace", "put", "delete", "delete-if", "sweep"] {
        let dir = tempfile::tempdir().unwrap();
        let (store, version) = store(dir.path());
        assert_eq!(left(dir.path()), 0);
        claim(dir.path(), &version);
        assert_eq!(findings(&store), [FindingKind::Temporary; 2], "{meet}");
        assert_eq!(store.get("k").unwrap(), "old");
        match meet {
            "replace" => {
                let error = store.put_if("k", "never", &version).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
                assert_eq!(store.get("k").unwrap(), "new");
            }
            "put" => {
                store.put("k", "last").unwrap();
                assert_eq!(store.get("k").unwrap(), "last");
            }
            "delete-if" => {
                let error = store.delete_if("k", &version).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
                assert_eq!(store.get("k").unwrap(), "new");
            }
            "delete" => {
                store.delete("k").unwrap();
                assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
            }
            _ => {
                // A young one is left to who made it.
                let swept = store.sweep(Duration::from_secs(3600)).unwrap();
                assert_eq!((swept.removed, swept.kept), (0, 2));
                let swept = store.sweep(Duration::ZERO).unwrap();
                assert_eq!((swept.removed, swept.kept), (1, 0));
                assert_eq!(store.get("k").unwrap(), "new");
            }
        }
        assert_eq!(left(dir.path()), 0, "{meet}");
    }
}

/// As long as its generation is there: whoever has seen that it is dead relies on its name.
#[test]
fn a_claim_whose_change_has_gone_stays_and_bars_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = store(dir.path());
    fs::remove_file(claim(dir.path(), &version)).unwrap();
    let swept = store.sweep(Duration::ZERO).unwrap();
    assert_eq!((swept.removed, swept.kept, left(dir.path())), (0, 1, 1));
    store.put_if("k", "next", &version).unwrap();
    assert_eq!((store.get("k").unwrap(), left(dir.path())), ("next".into(), 0));
    // One of an artifact that is gone is litter.
    let version = store.stat("k").unwrap().version.unwrap();
    store.delete("k").unwrap();
    claim(dir.path(), &version);
    let swept = store.sweep(Duration::ZERO).unwrap();
    assert_eq!((swept.removed, swept.kept, left(dir.path())), (2, 0, 0));
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
}

#[test]
fn a_damaged_claim_is_named_and_swept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = store(dir.path());
    let file = dir.path().join("tmp").join(format!("{version}-0"));
    fs::write(&file, "damaged").unwrap();
    for error in [
        store.put_if("k", "never", &version).unwrap_err(),
        store.put("k", "never").unwrap_err(),
        store.delete("k").unwrap_err(),
        store.delete_if("k", &version).unwrap_err(),
    ] {
        assert!(error.is_retryable() && error.to_string().contains("-0` is damaged"), "{error}");
    }
    assert_eq!(store.get("k").unwrap(), "old");
    let swept = store.sweep(Duration::ZERO).unwrap();
    assert_eq!((swept.removed, left(dir.path())), (1, 0));
    store.delete_if("k", &version).unwrap();
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
}

/// What a killed deletion leaves: before its one step, and after.
#[test]
fn an_unfinished_deletion_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = store(dir.path());
    let unfinished = dir.path().join("tmp").join("a".repeat(32));
    for has_moved in [false, true] {
        fs::create_dir(&unfinished).unwrap();
        if has_moved {
            fs::rename(dir.path().join("_k"), unfinished.join("x")).unwrap();
        }
        assert_eq!(findings(&store), [FindingKind::Temporary]);
        let swept = store.sweep(Duration::ZERO).unwrap();
        assert_eq!((swept.removed, swept.bytes > 0, left(dir.path())), (1, has_moved, 0));
    }
    assert_eq!(findings(&store), []);
}

#[test]
fn what_only_looks_like_a_claim_bars_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = store(dir.path());
    let tmp = dir.path().join("tmp");
    // Nor what only looks like the directory of a deletion.
    fs::create_dir_all(tmp.join("1".repeat(32)).join("x")).unwrap();
    assert_eq!(findings(&store), [FindingKind::Foreign]);
    assert_eq!(store.sweep(Duration::ZERO).unwrap().removed, 0);
    fs::create_dir(tmp.join(format!("{version}-0"))).unwrap();
    let version = store.put_if("k", "next", &version).unwrap().version.unwrap();
    std::os::unix::fs::symlink("nowhere", tmp.join(format!("{version}-0"))).unwrap();
    store.put("k", "last").unwrap();
    assert_eq!(store.get("k").unwrap(), "last");
}

#[test]
fn nothing_but_the_artifact_of_a_claim_takes_the_place_of_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = store(dir.path());
    let temporary = claim(dir.path(), &version);
    fs::remove_file(&temporary).unwrap();
    for junk in [&b"junk"[..], &fs::read(dir.path().join("_k")).unwrap()] {
        fs::write(&temporary, junk).unwrap();
        store.sweep(Duration::ZERO).unwrap();
        assert_eq!(store.get("k").unwrap(), "old");
    }
    store.put("k", "last").unwrap();
    assert_eq!(store.get("k").unwrap(), "last");
}

/// The fence that the first change of one version puts up ends the writes that run then.
#[test]
fn a_replace_whose_version_is_not_there_ends_no_upload() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put("k", "first").unwrap();
    let mut writer = store.writer("other", WriteOptions::default()).unwrap();
    writer.write_all(b"begun before").unwrap();
    let wait = Instant::now() + Duration::from_secs(10);
    while left(dir.path()) == 0 && Instant::now() < wait {
        std::thread::sleep(Duration::from_millis(1));
    }
    for key in ["k", "none"] {
        let error = store.put_if(key, "never", &"0".repeat(32)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
    }
    for key in ["k", "none"] {
        let answer = store.delete_if(key, &"0".repeat(32));
        let is_refused =
            answer.is_err_and(|error| matches!(error.kind(), ErrorKind::ConditionFailed));
        assert_eq!(is_refused, key == "k");
    }
    writer.commit().unwrap();
    assert_eq!(store.get("other").unwrap(), "begun before");
}
