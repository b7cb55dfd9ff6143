//! Versions and attributes on a service: whatever the size of an artifact and the way to ask.

mod copies;

use std::collections::BTreeSet;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Attributes, ErrorKind, Info, ReadOptions, WriteOptions};

type Check = fn(&ArtifactStore);
pub const CHECKS: &[(&str, Check)] = &[
    ("every_answer_states_the_same_version_and_time", versions),
    ("a_replace_needs_the_present_version", replaces),
    ("of_replaces_of_one_version_one_succeeds", races),
    ("attributes_come_back_byte_for_byte", attributes),
    ("attributes_that_nobody_wrote_are_not_there", nobodys),
    ("a_coded_artifact_comes_back_as_it_is", coded),
    ("attributes_may_fill_their_limit", full),
    ("copies_are_whole_and_have_all_that_belongs_to_them", copies::copies),
    ("a_copy_replaces_only_what_it_may", copies::modes),
];

/// By one request, and in parts.
const SIZES: [usize; 2] = [9, 9 << 20];

fn bytes(size: usize, letter: u8) -> Vec<u8> {
    vec![letter; size]
}

/// What a caller learns, however it asks.
fn everywhere(store: &ArtifactStore, key: &str) -> Info {
    let info = store.stat(key).unwrap();
    let whole = store.read(key, ReadOptions::default()).unwrap().info().clone();
    let part = store.read(key, ReadOptions::default().offset(3).length(2)).unwrap().info().clone();
    let nothing = store.read(key, ReadOptions::default().length(0)).unwrap().info().clone();
    let entry = store.list(key).map(Result::unwrap).find(|entry| entry.key == key).unwrap();
    for found in [whole, part, nothing] {
        assert_eq!(found.version, info.version, "{key}");
        assert_eq!(found.attributes, info.attributes, "{key}");
        assert_eq!(found.modified, info.modified, "{key}");
    }
    assert_eq!((entry.size, entry.version), (info.size, info.version.clone()), "{key}");
    assert_eq!(entry.modified, info.modified, "{key}");
    assert!(info.version.is_some() && info.modified.is_some(), "{key}");
    info
}

fn versions(store: &ArtifactStore) {
    // The last one is not in the name of its object.
    for key in ["k", "a/b", &"é".repeat(512)] {
        let mut seen = BTreeSet::new();
        for size in SIZES {
            let put = store.put_with(key, bytes(size, b'a'), WriteOptions::default()).unwrap();
            assert_eq!(put.version, everywhere(store, key).version);
            seen.extend(put.version);
            let data = bytes(size, b'b');
            let written = store.write(key, &data[..], WriteOptions::default()).unwrap();
            assert_eq!(written.version, everywhere(store, key).version);
            seen.extend(written.version);
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.iter().all(|version| !version.contains('"')), "{seen:?}");
    }
}

fn replaces(store: &ArtifactStore) {
    let condition_failed = |data: &[u8], version: &str| {
        let error = store.put_if("k", data.to_vec(), version).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{version}: {error}");
        assert!(!error.is_retryable(), "{error}");
    };
    for size in SIZES {
        condition_failed(&bytes(size, b'x'), "1");
        let first = store.put("k", bytes(size, b'a')).unwrap();
        let first = first.version.unwrap_or_else(|| store.stat("k").unwrap().version.unwrap());
        let second = store.put_if("k", bytes(size, b'b'), &first).unwrap().version.unwrap();
        assert_eq!(everywhere(store, "k").version.as_deref(), Some(&*second));
        let long = "x".repeat(300);
        for version in
            [&*first, "*", "\"", "", "W/1", "a,b", "é", " ", "\n", &long, &format!("\"{second}\"")]
        {
            condition_failed(&bytes(size, b'x'), version);
        }
        assert!(store.get("k").unwrap() == bytes(size, b'b'));
        store.put_if("k", bytes(size, b'c'), &second).unwrap();
        store.delete("k").unwrap();
        condition_failed(&bytes(size, b'x'), &second);
        assert!(matches!(store.stat("k").unwrap_err().kind(), ErrorKind::NotFound));
    }
    // Nothing is left of what was not stored.
    assert_eq!(store.audit().count(), 0);
}

fn races(store: &ArtifactStore) {
    store.put("k", "before").unwrap();
    for round in 0..5 {
        let version = store.stat("k").unwrap().version.unwrap();
        let replace = |n: u8| store.put_if("k", format!("{round} {n}"), &version);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|n| scope.spawn(move || replace(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
        }
        let winner = answers.iter().position(Result::is_ok).unwrap();
        assert_eq!(store.get("k").unwrap(), format!("{round} {winner}"));
    }
}

fn awkward() -> [Attributes; 5] {
    [
        Attributes::new().with("content-type", "text/plain; charset=\"utf-8\""),
        Attributes::new()
            .with("content-encoding", "x-own")
            .with("content-disposition", "attachment; filename=\"a,b  c.txt\"")
            .with("content-language", "de, en")
            .with("cache-control", "no-store")
            .with("content-type", "APPLICATION/x-www-form-urlencoded"),
        Attributes::new().with("content-type", "").with("a", "").with("content-encoding", ""),
        Attributes::new()
            .with("artifact-key", "k")
            .with("artifact-write", "1")
            .with("artifact-checksum", "0000000000000000")
            .with("artifact-attribute-content-type", "x")
            .with("artifact-attribute-a", "y")
            .with("content-length", "1")
            .with("x-amz-acl", "public"),
        Attributes::new()
            .with("a", "50 % of 100%")
            .with("b", "%41%")
            .with("c", "two  blanks   three")
            .with("d", "über 😀 \u{feff}\u{202e}")
            .with("e", "=?utf-8?q?=41?=")
            .with("f", "a, b; c=\"d\"\\")
            .with("a-1-", "\"quoted\""),
    ]
}

fn attributes(store: &ArtifactStore) {
    for size in SIZES {
        for attributes in awkward() {
            let options = WriteOptions::default().attributes(attributes.clone());
            let put = store.put_with("k", bytes(size, b'a'), options.clone()).unwrap();
            assert_eq!(put.attributes, attributes);
            assert_eq!(everywhere(store, "k").attributes, attributes);
            assert!(store.get("k").unwrap() == bytes(size, b'a'));
            let data = bytes(size, b'b');
            store.write("k", &data[..], options).unwrap();
            assert_eq!(everywhere(store, "k").attributes, attributes);
        }
    }
    // A key that is kept in the metadata of its object.
    let (long, attributes) = ("é".repeat(512), &awkward()[3]);
    let options = WriteOptions::default().attributes(attributes.clone());
    store.put_with(&long, "x of it", options).unwrap();
    assert_eq!(&everywhere(store, &long).attributes, attributes);
}

fn nobodys(store: &ArtifactStore) {
    for size in SIZES {
        let some = Attributes::new().with("content-type", "text/plain").with("a", "b");
        let options = WriteOptions::default().attributes(some);
        store.put_with("k", bytes(size, b'a'), options).unwrap();
        let put = store.put("k", bytes(size, b'a')).unwrap();
        assert!(put.attributes.is_empty());
        assert!(everywhere(store, "k").attributes.is_empty());
    }
}

/// The coding belongs to the artifact, and nobody undoes it.
fn coded(store: &ArtifactStore) {
    let gzip =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00";
    for coding in ["gzip", "GZIP", "br", "identity", "aws-chunked", "gzip,aws-chunked"] {
        let attributes = Attributes::new().with("content-encoding", coding);
        let options = WriteOptions::default().attributes(attributes.clone());
        store.put_with("k", gzip.to_vec(), options).unwrap();
        assert_eq!(everywhere(store, "k").attributes, attributes);
        assert_eq!(store.get("k").unwrap(), &gzip[..], "{coding}");
    }
}

fn full(store: &ArtifactStore) {
    for value in ["x".repeat(2047), "é".repeat(1023)] {
        let attributes = Attributes::new().with("a", value);
        let options = WriteOptions::default().attributes(attributes.clone());
        store.put_with("k", "12345", options).unwrap();
        assert_eq!(everywhere(store, "k").attributes, attributes);
    }
}
