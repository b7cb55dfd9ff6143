//! Copies of a store's directory, made by the tools of the system while others write to it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, FindingKind};
use artifact_store_tests::cli;

use super::is_tidy;
use super::roles::{Role, payload};

fn unswept(dir: &Path) -> ArtifactStore {
    ArtifactStore::open(Backend::fs(dir).sweep_older_than(None)).unwrap()
}

/// What may be under `k`: one generation of one writer.
fn is_whole(data: &[u8]) -> bool {
    data == payload("first", 0) || ["a", "b"].iter().any(|who| data == payload(who, 33))
}

/// Every artifact that was there throughout is in the copy, and every one in it is whole; the rest
/// is unfinished writes.
pub fn copy_among_writers() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = ArtifactStore::open_dir(&root).unwrap();
    store.put("k", payload("first", 0)).unwrap();
    let long = "long/".repeat(50);
    let stable: Vec<_> = (0..40).map(|n| format!("stable/{n}")).chain([long]).collect();
    for key in &stable {
        store.put(key, key.clone()).unwrap();
    }
    let mut writers = ["a", "b"].map(|who| Role::start("write", &root, &["k", who, "300"]));
    let mut churn = Role::start("churn", &root, &["churn"]);
    assert_eq!(churn.hear().as_deref(), Some("ready"));
    writers.iter_mut().for_each(Role::go);
    churn.go();
    let (mut temporaries, mut changed) = (0, 0);
    for round in 0..15 {
        let copy = dir.path().join(format!("copy-{round}"));
        let output = Command::new("cp").arg("-r").args([&root, &copy]).output().unwrap();
        // Only what was removed meanwhile may be missing, and `cp` names it.
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            assert!(line.contains("No such file"), "{line}");
            assert!(stable.iter().all(|key| !line.contains(&key.replace('/', ","))), "{line}");
        }
        let copied = unswept(&copy);
        for key in &stable {
            assert_eq!(copied.get(key).unwrap(), *key);
        }
        let data = copied.get("k").unwrap();
        assert!(is_whole(&data), "a mixture of {} bytes", data.len());
        changed += usize::from(data != payload("first", 0));
        for finding in copied.audit() {
            let finding = finding.unwrap();
            assert_eq!(finding.kind, FindingKind::Temporary, "{finding:?}");
            temporaries += 1;
        }
        let verified = cli().arg("--dir").arg(&copy).arg("verify").output().unwrap();
        let text = String::from_utf8_lossy(&verified.stdout);
        assert_eq!(verified.status.code(), Some(0), "{text}");
        is_tidy(&copied, &copy);
        copied.put("k", "it goes on").unwrap();
        fs::remove_dir_all(copy).unwrap();
    }
    churn.finish();
    for writer in writers {
        writer.finish();
    }
    assert!(changed > 0, "nobody wrote while the store was copied");
    println!("{temporaries} unfinished writes were copied, too");
    is_tidy(&store, &root);
}

/// A file of an artifact is never changed, only replaced, so that a second name of it keeps what
/// was there; and a file with two names is an artifact like any other.
pub fn hard_links() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = ArtifactStore::open_dir(&root).unwrap();
    let keys = ["replaced", "deleted", "stays", &"long/".repeat(50)];
    for key in keys {
        store.put(key, "old").unwrap();
    }
    let copy = dir.path().join("copy");
    assert!(Command::new("cp").arg("-al").args([&root, &copy]).status().unwrap().success());
    let copied = unswept(&copy);
    assert_eq!(store.audit().count() + copied.audit().count(), 0);
    store.put("replaced", "new").unwrap();
    store.put(keys[3], "new").unwrap();
    store.delete("deleted").unwrap();
    assert!(store.put_new("stays", "new").is_err());
    for key in keys {
        assert_eq!(copied.get(key).unwrap(), "old", "{key}");
    }
    // The same the other way round.
    copied.delete("stays").unwrap();
    copied.put("replaced", "newer").unwrap();
    assert_eq!(store.get("stays").unwrap(), "old");
    assert_eq!(store.get("replaced").unwrap(), "new");
    store.sweep(Duration::ZERO).unwrap();
    is_tidy(&store, &root);
    is_tidy(&copied, &copy);
}
