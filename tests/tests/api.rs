//! What the author of an application can rely on, whatever the backend does.

use std::fmt::Debug;
use std::time::Duration;

use artifact_store::blocking::{self, ArtifactStore};
use artifact_store::{
    ArtifactReader, ArtifactWriter, Audit, Backend, Cache, Configuration, Engine, EngineBuilder,
    Error, Grants, Inspection, Limits, Listing, LoadedBackend, Operation, ReadOptions,
    StoreConfiguration, SwapOptions, Watch, WriteOptions,
};
use artifact_store_tests::bare;

#[test]
fn handles_cross_threads_and_can_be_shown() {
    fn is_handle<T: Send + Sync + Debug>() {}
    is_handle::<artifact_store::ArtifactStore>();
    is_handle::<ArtifactStore>();
    is_handle::<(ArtifactReader, ArtifactWriter, Listing, Audit)>();
    is_handle::<(blocking::ArtifactReader, blocking::ArtifactWriter)>();
    is_handle::<(Backend, LoadedBackend, Grants, Limits, Inspection)>();
    is_handle::<(Engine, EngineBuilder, Cache)>();
    is_handle::<(Configuration, StoreConfiguration, Watch)>();
    is_handle::<(ReadOptions, WriteOptions, SwapOptions, Error)>();

    fn is_cheap_to_share<T: Clone>() {}
    is_cheap_to_share::<(artifact_store::ArtifactStore, ArtifactStore, LoadedBackend, Engine)>();
}

#[test]
fn a_store_shows_its_backend_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::fs(dir.path()).map_grants(|grants| grants.env("TOKEN", "hush"));
    let store = ArtifactStore::open(backend.clone()).unwrap();
    store.put("k", "v").unwrap();
    let reader = store.read("k", ReadOptions::default()).unwrap();
    let writer = store.writer("k", WriteOptions::default()).unwrap();
    let shown = format!("{backend:?} {store:?} {:?} {reader:?} {writer:?}", store.backend());
    assert!(shown.contains("\"fs\"") && shown.contains("TOKEN"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}

/// Somebody reads it in a log, without the code that it comes from.
#[test]
fn an_error_names_its_operation_its_key_and_its_backend() {
    let failed = |error: Error, operation: Operation, key: Option<&str>| {
        assert_eq!((error.operation(), error.key()), (operation, key));
        let text = error.to_string();
        for part in [&operation.to_string(), error.backend(), key.unwrap_or_default()] {
            assert!(text.contains(part), "{part} in {text}");
        }
    };
    let refused = ArtifactStore::open(Backend::from_bytes("mine", *b"no component")).unwrap_err();
    failed(refused, Operation::Open, None);
    // It offers nothing but the store, and each call of that traps.
    let traps = ["PUT", "GET", "DELETE"].map(|verb| (verb, "unreachable"));
    let store = ArtifactStore::open(bare(&traps)).unwrap();
    failed(store.put("k", "v").unwrap_err(), Operation::Put, Some("k"));
    failed(store.put_new("k", "v").unwrap_err(), Operation::Put, Some("k"));
    failed(store.get("k").unwrap_err(), Operation::Get, Some("k"));
    failed(store.delete("k").unwrap_err(), Operation::Delete, Some("k"));
    failed(store.stat("k").unwrap_err(), Operation::Stat, Some("k"));
    failed(store.read("k", ReadOptions::default()).unwrap_err(), Operation::Get, Some("k"));
    failed(store.list("pre").next().unwrap().unwrap_err(), Operation::List, Some("pre"));
    failed(store.audit().next().unwrap().unwrap_err(), Operation::Audit, None);
    failed(store.sweep(Duration::ZERO).unwrap_err(), Operation::Sweep, None);
    failed(store.put("", "v").unwrap_err(), Operation::Put, Some(""));
}
