//! What the author of an application can rely on, whatever the backend does.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use artifact_store::blocking::{self, ArtifactStore};
use artifact_store::{
    ArtifactReader, ArtifactWriter, Audit, Backend, Cache, Configuration, Engine, EngineBuilder,
    Error, ErrorKind, Grants, Inspection, Interface, Limits, Listing, LoadedBackend, Operation,
    ReadOptions, StoreConfiguration, SwapOptions, Watch, WriteOptions,
};
use artifact_store_tests::{bare, guest_on};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};

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

/// `fs`, and a backend without streams; each with the same store in its async form.
fn with_and_without_streams(test: impl Fn(&ArtifactStore, &artifact_store::ArtifactStore)) {
    for has_streams in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let backend = match has_streams {
            true => Backend::fs(dir.path()),
            false => guest_on("plain", dir.path()),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = runtime.block_on(artifact_store::ArtifactStore::open(backend)).unwrap();
        assert_eq!(store.offers(Interface::Streams), has_streams);
        test(&store.clone().into(), &store);
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_part_comes_with_the_info_of_the_whole_artifact() {
    with_and_without_streams(|store, same| {
        store.put("digits", "0123456789").unwrap();
        store.put("empty", "").unwrap();
        let part = ReadOptions::default();
        for (options, expected) in [
            (part, "0123456789"),
            (part.offset(3), "3456789"),
            (part.offset(3).length(2), "34"),
            (part.offset(10), ""),
            (part.length(0), ""),
            (part.suffix(3), "789"),
            (part.suffix(0), ""),
            (part.suffix(99), "0123456789"),
            (part.suffix(3).offset(1), "89"),
            (part.suffix(3).length(1), "7"),
        ] {
            let (info, data) = store.get_with("digits", options).unwrap();
            assert_eq!((info.size, &*data), (10, expected.as_bytes()), "{options:?}");
            assert_eq!(wait(same.get_with("digits", options)).unwrap(), (info.clone(), data));
            let mut reader = store.read("digits", options).unwrap();
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!((&*text, reader.info()), (expected, &info), "{options:?}");
        }
        assert_eq!(store.get_with("empty", part.suffix(5)).unwrap().1, "");
        for options in [part.offset(11), part.suffix(3).offset(4)] {
            let error = store.get_with("digits", options).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidRange), "{error}");
        }
        let absent = store.get_with("absent", part.suffix(1)).unwrap_err();
        assert!(matches!(absent.kind(), ErrorKind::NotFound), "{absent}");
    });
}

#[test]
fn only_the_part_that_is_read_has_to_fit_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().buffer(1000);
    let store = ArtifactStore::open(Backend::fs(dir.path()).limits(limits)).unwrap();
    store.put("large", vec![7; 100_000]).unwrap();
    let (info, part) = store.get_with("large", ReadOptions::default().suffix(1000)).unwrap();
    assert_eq!((info.size, part.len()), (100_000, 1000));
    let error = store.get_with("large", ReadOptions::default().suffix(1001)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 1000 }), "{error}");
}

/// A backend counts from the start, and between its answers the artifact may be another one.
#[test]
fn the_end_of_an_artifact_that_is_replaced_is_of_one_generation() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    // The last 8 bytes of each say how long it is.
    let generation = |length: u64| {
        let mut data = vec![0; length as usize];
        data.extend(length.to_be_bytes());
        data
    };
    store.put("k", generation(0)).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                store.put("k", generation(n * 37 % 101)).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            match store.get_with("k", ReadOptions::default().suffix(8)) {
                Ok((info, last)) => {
                    let length = u64::from_be_bytes((&*last).try_into().unwrap());
                    assert_eq!(info.size, length + 8);
                }
                Err(error) => assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}"),
            }
        }
    });
}

#[test]
fn chunks_are_stored_in_their_order_whatever_their_size() {
    let piece = |n: u8, size: usize| Bytes::from(vec![n; size]);
    let sizes = [0, 1, 1000, 5 << 20, 1, 40_000, 300_000, 100_000, 7];
    with_and_without_streams(|store, same| {
        let mut expected = Vec::new();
        let mut writer = store.writer("k", WriteOptions::default()).unwrap();
        for (n, size) in (0..).zip(sizes) {
            writer.write_chunk(piece(n, size)).unwrap();
            // Between them come bytes that are copied.
            writer.write_all(&[255; 100]).unwrap();
            expected.extend(piece(n, size));
            expected.extend([255; 100]);
        }
        let written = writer.commit().unwrap();
        assert!(store.get("k").unwrap() == expected);
        let whole = store.put("whole", expected.clone()).unwrap();
        assert_eq!((written.size, written.checksum), (whole.size, whole.checksum));

        // As a sink and as a stream, which fit together.
        wait(async {
            let reader = same.read("k", ReadOptions::default()).await.unwrap();
            let mut writer = same.writer("copy", WriteOptions::default()).unwrap();
            reader.forward(&mut writer).await.unwrap();
            // To close it stores nothing.
            assert!(same.get("copy").await.is_err());
            writer.feed(Bytes::from_static(b"end")).await.unwrap();
            writer.commit().await.unwrap();
            expected.extend(b"end");
            let reader = same.read("copy", ReadOptions::default()).await.unwrap();
            let chunks: Vec<Bytes> = reader.try_collect().await.unwrap();
            assert!(chunks.concat() == expected);
        });
    });
}

#[test]
fn a_chunk_that_is_refused_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().buffer(1000);
    let plain = guest_on("plain", dir.path()).limits(limits);
    let store = ArtifactStore::open(plain).unwrap();
    let mut writer = store.writer("k", WriteOptions::default()).unwrap();
    writer.write_chunk(vec![1; 1000]).unwrap();
    let error = writer.write_chunk("x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 1000 }), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    store.put("taken", "before").unwrap();
    let mut writer = store.writer("taken", WriteOptions::default().size(3)).unwrap();
    let written = (0..100).try_for_each(|_| writer.write_chunk(vec![1; 1 << 20]));
    let error = written.and_then(|()| writer.commit().map(drop)).unwrap_err();
    assert!(!matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    assert_eq!(store.get("taken").unwrap(), "before");
}
