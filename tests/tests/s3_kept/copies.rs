//! Copies within a bucket.

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ErrorKind, Interface, Mode, WriteOptions};

use super::{SIZES, awkward, bytes, everywhere};

pub fn copies(store: &ArtifactStore) {
    assert!(store.offers(Interface::Copying));
    for size in [0].into_iter().chain(SIZES) {
        let options = WriteOptions::default().attributes(awkward()[3].clone());
        store.put_with("k", bytes(size, b'a'), options).unwrap();
        // Not every service knows the checksum of an artifact in parts.
        let source = store.stat("k").unwrap();
        // The last one is not in the name of its object.
        for target in ["t", "a/b", "k", &"é".repeat(512)] {
            let copy = store.copy("k", target).unwrap();
            assert_eq!((copy.size, copy.checksum), (source.size, source.checksum), "{target}");
            let info = store.stat(target).unwrap();
            assert_eq!((&copy.version, &copy.attributes), (&info.version, &info.attributes));
            assert_eq!((&copy.attributes, info.checksum), (&source.attributes, source.checksum));
            assert!(store.get(target).unwrap() == bytes(size, b'a'), "{target}");
            if size > 5 {
                everywhere(store, target);
            }
        }
    }
    let error = store.copy("absent", "t").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}");
    assert_eq!(store.audit().count(), 0);
}

pub fn modes(store: &ArtifactStore) {
    for size in [0].into_iter().chain(SIZES) {
        store.put("k", bytes(size, b'a')).unwrap();
        store.copy_with("k", "t", Mode::Create).unwrap();
        assert!(store.get("t").unwrap() == bytes(size, b'a'));
        let old = store.put("t", "old").unwrap().version;
        let old = old.unwrap_or_else(|| store.stat("t").unwrap().version.unwrap());
        let refused = |mode: Mode| store.copy_with("k", "t", mode).unwrap_err().into_kind();
        assert!(matches!(refused(Mode::Create), ErrorKind::AlreadyExists));
        for version in ["another", "*", "é"] {
            assert!(matches!(refused(Mode::Replace(version.into())), ErrorKind::ConditionFailed));
        }
        assert_eq!(store.get("t").unwrap(), "old");
        let copy = store.copy_with("k", "t", Mode::Replace(old.clone())).unwrap();
        assert_eq!(copy.version, store.stat("t").unwrap().version);
        assert!(store.get("t").unwrap() == bytes(size, b'a'));
        assert!(matches!(refused(Mode::Replace(old)), ErrorKind::ConditionFailed));
        store.delete("t").unwrap();
    }
    // Nothing is left of what was not stored.
    assert_eq!(store.audit().count(), 0);
}
