//! Listings of directories of any size, and pages while what they stand on goes.

use std::collections::BTreeSet;
use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants};

/// The artifacts that a host asks for at once.
const PAGE: usize = 1000;

/// Keys of artifacts that lie in one directory.
fn keys_of_one_directory(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key-{n}")).collect()
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
    let keys = keys_of_one_directory(2 * PAGE + 151);
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
    let keys: BTreeSet<_> = keys_of_one_directory(2 * PAGE + 10).into_iter().collect();
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

/// Keys that are hard for a tree: each is the beginning of another one, or sorts around a slash.
fn hard_keys() -> BTreeSet<String> {
    let long = "x".repeat(150);
    let mut keys = BTreeSet::new();
    for a in ["a", "a!", "a.", "A", "é", "", "b", &long] {
        for b in
            ["", "/", "//", "/b", "!/b", "//b", "/b/c", "/B/c", &"/s".repeat(20), &"/".repeat(40)]
        {
            keys.insert(format!("{a}{b}"));
        }
    }
    keys.remove("");
    keys
}

/// A key may be the beginning of others, with slashes or not, and each is an artifact of its own.
#[test]
fn keys_that_are_parts_of_each_other_are_listed_in_order_and_by_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    let keys = hard_keys();
    for key in &keys {
        store.put(key, key.clone()).unwrap();
    }
    for key in &keys {
        assert_eq!(store.get(key).unwrap(), key.as_str());
    }
    assert_eq!(listed(&store, ""), keys.iter().cloned().collect::<Vec<_>>());
    for entry in store.list("") {
        let entry = entry.unwrap();
        assert_eq!(entry.size, entry.key.len() as u64);
    }
    for key in &keys {
        for end in (0..=key.len()).filter(|end| key.is_char_boundary(*end)) {
            let prefix = &key[..end];
            let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
            assert_eq!(listed(&store, prefix).iter().collect::<Vec<_>>(), expected, "{prefix}");
        }
    }
    assert_eq!(store.audit().count(), 0);
    for key in &keys {
        store.delete(key).unwrap();
    }
    assert_eq!(listed(&store, ""), [""; 0]);
}

/// More names than an instance keeps, of artifacts and of directories.
#[test]
fn directories_of_more_names_than_an_instance_keeps_are_listed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = unsynced(dir.path());
    let name = |n: usize| format!("{}{n}", "k".repeat(130));
    // As `docs/format.md` describes them, since a put of each takes a while.
    store.put(&name(0), "x").unwrap();
    store.put(&format!("{}/x", name(0)), "x").unwrap();
    let mut keys = BTreeSet::from([name(0), format!("{}/x", name(0))]);
    for n in 1..90_000 {
        let (file, folder) = (dir.path().join(format!("_{}", name(n))), format!(",{}", name(n)));
        // The size of a header and of a byte, which is all that a listing looks at.
        std::fs::write(file, vec![0; 56 + name(n).len() + 1]).unwrap();
        keys.insert(name(n));
        if n % 50 == 0 {
            std::fs::create_dir(dir.path().join(&folder)).unwrap();
            let key = format!("{}/x", name(n));
            std::fs::write(dir.path().join(folder).join("_x"), vec![0; 56 + key.len() + 1])
                .unwrap();
            keys.insert(key);
        }
    }
    let found: Vec<_> = store.list("").map(|entry| entry.unwrap()).collect();
    assert!(found.iter().all(|entry| entry.size == 1));
    assert!(found.iter().map(|entry| &entry.key).eq(&keys));
    assert_eq!(store.audit().count(), 91_798);
}
