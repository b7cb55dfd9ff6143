//! Two keys with one hash, which nobody has met: the built-in backend with a hash of one value.

use std::fs;
use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, ReadOptions, WriteOptions};

/// Two keys too long to be spelled out, with one beginning.
fn twins() -> [String; 2] {
    ["first", "second"].map(|end| format!("{}{end}", "long/".repeat(60)))
}

fn open(dir: &Path) -> ArtifactStore {
    let backend = Backend::from_file(env!("FS_WITH_WEAK_HASH"));
    ArtifactStore::open(backend.grants(Grants::none().read_write(dir, "/"))).unwrap()
}

fn is_absent<T>(outcome: artifact_store::Result<T>) {
    let error = outcome.map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}");
}

#[test]
fn the_first_of_two_keys_with_one_hash_stays_and_the_second_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let [first, second] = twins();
    store.put(&first, "first").unwrap();
    for _ in 0..2 {
        for refused in [
            store.put(&second, "second").unwrap_err(),
            store.put_new(&second, "second").unwrap_err(),
            store.write(&second, &[7; 100_000][..], WriteOptions::default()).unwrap_err(),
        ] {
            assert!(matches!(refused.kind(), ErrorKind::Other(_)), "{refused}");
            assert!(refused.to_string().contains("another key"), "{refused}");
        }
        is_absent(store.get(&second));
        is_absent(store.stat(&second));
        is_absent(store.read(&second, ReadOptions::default()));
        // There is nothing to delete, which is fine, and nothing is deleted.
        store.delete(&second).unwrap();
        assert_eq!(store.get(&first).unwrap(), "first");
        let keys: Vec<_> = store.list("").map(|entry| entry.unwrap().key).collect();
        assert_eq!(keys, [&*first]);
        assert_eq!(store.audit().count(), 0);
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        // It goes on so for the first one.
        store.put(&first, "first").unwrap();
        let taken = store.put_new(&first, "x").unwrap_err();
        assert!(matches!(taken.kind(), ErrorKind::AlreadyExists), "{taken}");
    }
    // When the first is gone the place is free.
    store.delete(&first).unwrap();
    store.put_new(&second, "second").unwrap();
    assert_eq!(store.get(&second).unwrap(), "second");
    is_absent(store.get(&first));
}
