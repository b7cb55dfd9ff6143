//! A backend that misbehaves harms nobody: each call gets a typed error, and the next one works.

use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Limits, ReadOptions, WriteOptions};
use artifact_store_tests::guest;

fn hostile() -> ArtifactStore {
    let limits = Limits { call_timeout: Duration::from_millis(300), ..Limits::default() };
    ArtifactStore::open(Backend::from_file(guest("hostile")).limits(limits)).unwrap()
}

/// The backend still serves.
fn serves(store: &ArtifactStore) {
    assert_eq!(store.get("fine").unwrap(), "123456789");
}

#[test]
fn a_trap_is_an_error_of_one_call() {
    let store = hostile();
    for key in ["trap", "exhaust"] {
        let error = store.get(key).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
        assert!(matches!(store.delete(key).unwrap_err().kind(), ErrorKind::Trap(_)));
        serves(&store);
    }
}

#[test]
fn what_never_ends_is_ended() {
    let store = hostile();
    let started = Instant::now();
    for error in [
        store.get("spin").unwrap_err(),
        store.delete("spin").unwrap_err(),
        store.get("endless").unwrap_err(),
        store.put("unread", vec![0; 1 << 20]).unwrap_err(),
        store.write("unread", &[0; 1 << 20][..], WriteOptions::default()).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
        assert!(error.is_retryable());
        serves(&store);
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn bytes_that_are_not_the_artifact_are_never_right() {
    let store = hostile();
    for key in ["short", "long", "wrong"] {
        let error = store.get(key).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{key}: {error:?}");
        let mut reader = store.read(key, ReadOptions::default()).unwrap();
        let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{key}: {error}");
    }
    assert!(matches!(store.get("failed").unwrap_err().kind(), ErrorKind::Unavailable(_)));
    assert!(matches!(store.get("huge").unwrap_err().kind(), ErrorKind::TooLarge { .. }));
    serves(&store);
}

#[test]
fn a_write_counts_only_as_it_was_sealed() {
    let store = hostile();
    for (key, data) in [("unsealed", "123456789"), ("fewer", "x")] {
        let error = store.put(key, data).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{key}: {error:?}");
    }
    let error = store.put("other-checksum", "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error:?}");
    serves(&store);
}

#[test]
fn a_listing_of_what_was_not_asked_for_is_refused() {
    let store = hostile();
    for prefix in ["elsewhere", "control", "loop", "crowd"] {
        let error = store.list(prefix).find_map(Result::err).expect(prefix);
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{prefix}: {error:?}");
    }
}

#[test]
fn what_a_backend_without_streams_hands_back_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let small = Limits { buffer: 1 << 20, ..Limits::default() };
    let open = |limits: Limits| {
        let backend = artifact_store_tests::guest_on("plain", dir.path()).limits(limits);
        ArtifactStore::open(backend).unwrap()
    };
    let (large, small) = (open(Limits::default()), open(small));
    let is_too_large = |error: artifact_store::Error| {
        assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 0x10_0000 }), "{error:?}");
    };
    for size in [(1 << 20) + 1, 3 << 20, 20 << 20] {
        large.put("k", vec![7; size]).unwrap();
        is_too_large(small.get("k").unwrap_err());
        is_too_large(small.read("k", ReadOptions::default()).err().unwrap());
        is_too_large(small.put("k", vec![8; size]).unwrap_err());
        is_too_large(small.write("k", &vec![8; size][..], WriteOptions::default()).unwrap_err());
        assert_eq!(large.get("k").unwrap().len(), size);
    }
    small.put("k", vec![9; 1 << 20]).unwrap();
    assert_eq!(small.get("k").unwrap().len(), 1 << 20);
}
