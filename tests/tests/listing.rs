//! Listings of directories of any size, and pages while what they stand on goes.

use std::collections::BTreeSet;
use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants};

/// The artifacts that a host asks for at once.
const PAGE: usize = 1000;

/// Keys that lie in one shard, as `docs/format.md` names it.
fn keys_of_one_shard(count: usize) -> Vec<String> {
    let shard =
        |key: &String| crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, key.as_bytes()) >> 52;
    let first = shard(&"key-0".into());
    (0..).map(|n| format!("key-{n}")).filter(|key| shard(key) == first).take(count).collect()
}

fn unsynced(dir: &Path) -> ArtifactStore {
    let grants = Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", "off");
    ArtifactStore::open(Backend::fs(dir).grants(grants)).unwrap()
}

fn listed(store: &ArtifactStore, prefix: &str) -> Vec<String> {
    store.list(prefix).map(|entry| entry.unwrap().key).collect()
}

/// Systems hand out directories in pieces, and hosts have lost what came after the first one.
#[test]
fn a_directory_of_any_size_is_listed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    let keys = keys_of_one_shard(2 * PAGE + 151);
    let mut stored = 0;
    for size in [0, 1, 149, 150, 151, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, keys.len()] {
        for key in &keys[stored..size] {
            store.put(key, "x").unwrap();
        }
        stored = size;
        let found = listed(&store, "");
        assert_eq!(found.len(), size);
        let found: BTreeSet<_> = found.into_iter().collect();
        assert_eq!(found, keys[..size].iter().cloned().collect());
        assert_eq!(store.audit().count(), 0);
    }
    // One of them, among all others.
    assert_eq!(listed(&store, &keys[7]).iter().filter(|key| **key == keys[7]).count(), 1);
    assert_eq!(listed(&store, "absent"), [""; 0]);
}

/// The last artifact of a page is where the next one goes on, also when it is gone by then.
#[test]
fn a_listing_goes_on_where_everything_listed_so_far_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    let keys: BTreeSet<_> = keys_of_one_shard(2 * PAGE + 10).into_iter().collect();
    for key in &keys {
        store.put(key, "x").unwrap();
    }
    let mut found = BTreeSet::new();
    for entry in store.list("") {
        let key = entry.unwrap().key;
        store.delete(&key).unwrap();
        assert!(found.insert(key), "listed twice");
    }
    assert_eq!(found, keys);
    assert_eq!(listed(&store, ""), [""; 0]);
}
