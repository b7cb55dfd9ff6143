//! Copies within a store, through the library and the command line: by a backend that can copy, and
//! through the host where it cannot.

use std::path::Path;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{
    Attributes, Backend, ErrorKind, Grants, Info, Interface, Limits, Mode, Operation, WriteOptions,
};
use artifact_store_tests::{artifact_files, expect, guest, guest_on};

/// A right backend that can copy, or one with a fault.
fn copying(dir: &Path, fault: &str) -> Backend {
    let grants = Grants::none().read_write(dir, "/").env("FAULT", fault);
    Backend::from_file(guest("wrong")).grants(grants)
}

/// It leaves copies to the host.
fn fs(dir: &Path) -> ArtifactStore {
    let store = ArtifactStore::open_dir(dir).unwrap();
    assert!(!store.offers(Interface::Copying));
    store
}

fn able(dir: &Path) -> ArtifactStore {
    let store = ArtifactStore::open(copying(dir, "")).unwrap();
    assert!(store.offers(Interface::Copying));
    store
}

/// It could copy, but leaves each copy to the host.
fn refusing(dir: &Path) -> ArtifactStore {
    ArtifactStore::open(copying(dir, "copy-is-refused")).unwrap()
}

/// Tests each on a fresh directory, which the test gets, too.
fn each(test: impl Fn(&ArtifactStore, &Path)) {
    for open in [fs, able, refusing] {
        let dir = tempfile::tempdir().unwrap();
        test(&open(dir.path()), dir.path());
    }
}

fn kind<T>(outcome: artifact_store::Result<T>) -> &'static str {
    match outcome.map_err(artifact_store::Error::into_kind).err() {
        None => "ok",
        Some(ErrorKind::NotFound) => "not-found",
        Some(ErrorKind::AlreadyExists) => "already-exists",
        Some(ErrorKind::ConditionFailed) => "condition-failed",
        Some(ErrorKind::Unsupported(_)) => "unsupported",
        Some(ErrorKind::InvalidKey(_)) => "invalid-key",
        Some(ErrorKind::Corrupt(_)) => "corrupt",
        Some(ErrorKind::TooLarge { .. }) => "too-large",
        Some(ErrorKind::Timeout(_)) => "timeout",
        Some(ErrorKind::Protocol(_)) => "protocol",
        Some(_) => "another",
    }
}

#[test]
fn a_copy_has_the_bytes_and_attributes_of_its_source() {
    each(|store, _| {
        let attributes = Attributes::new().with("content-type", "text/plain").with("who", "Zoë");
        let options = WriteOptions::default().attributes(attributes.clone());
        for size in [0, 1, 300_000, 3_000_000] {
            let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let source = store.put_with("k", data.clone(), options.clone()).unwrap();
            for target in ["t", "a//b", "k"] {
                let copy = store.copy("k", target).unwrap();
                assert_eq!((copy.size, copy.checksum), (source.size, source.checksum));
                assert_ne!(copy.version, source.version, "{target}");
                let Info { version, attributes: kept, .. } = store.stat(target).unwrap();
                assert_eq!((version, kept), (copy.version, attributes.clone()));
                assert!(store.get(target).unwrap() == data, "{target} {size}");
            }
        }
        // From now on they have nothing to do with each other.
        store.delete("k").unwrap();
        assert_eq!(store.get("t").unwrap().len(), 3_000_000);
        assert_eq!(store.audit().count(), 0);
    });
}

#[test]
fn the_mode_decides_about_a_target_that_is_there() {
    each(|store, _| {
        store.put("k", "new").unwrap();
        store.put("old", "old").unwrap();
        assert_eq!(kind(store.copy_with("k", "old", Mode::Create)), "already-exists");
        assert_eq!(kind(store.copy_with("k", "k", Mode::Create)), "already-exists");
        assert_eq!(kind(store.copy_with("k", "t", Mode::Create)), "ok");
        assert_eq!(store.get("old").unwrap(), "old");
        assert_eq!(store.get("t").unwrap(), "new");
        let version = store.stat("old").unwrap().version.unwrap();
        assert_eq!(kind(store.copy_with("k", "old", Mode::Replace(version.clone()))), "ok");
        assert_eq!(store.get("old").unwrap(), "new");
        for target in ["old", "absent"] {
            let mode = Mode::Replace(version.clone());
            assert_eq!(kind(store.copy_with("t", target, mode)), "condition-failed");
        }
    });
}

#[test]
fn an_error_names_both_keys_and_changes_nothing() {
    each(|store, _| {
        store.put("t", "old").unwrap();
        let error = store.copy("absent", "t").unwrap_err();
        assert_eq!((error.operation(), error.key()), (Operation::Copy, Some("absent")));
        assert_eq!(error.target(), Some("t"));
        let text =
            format!("cannot copy `absent` to `t` in backend `{}`: not found", error.backend());
        assert_eq!(error.to_string(), text);
        let long = "x".repeat(1025);
        for wrong in ["", "a\nb", &long] {
            assert_eq!(kind(store.copy("t", wrong)), "invalid-key");
            assert_eq!(kind(store.copy(wrong, "t")), "invalid-key");
        }
        assert_eq!(store.get("t").unwrap(), "old");
        assert_eq!(store.list("").count(), 1);
    });
}

#[test]
fn a_damaged_source_is_not_copied() {
    each(|store, dir| {
        store.put("t", "sound").unwrap();
        store.put("k", vec![7; 300_000]).unwrap();
        damage(dir, 300_000);
        assert_eq!(kind(store.copy("k", "t")), "corrupt");
        assert_eq!(kind(store.copy_with("k", "new", Mode::Create)), "corrupt");
        assert_eq!(store.get("t").unwrap(), "sound");
        assert_eq!(kind(store.get("new")), "not-found");
        assert_eq!(store.audit().filter(|finding| finding.is_err()).count(), 0);
    });
}

/// Changes a byte of each large file of the store.
fn damage(dir: &Path, size: usize) {
    let mut damaged = 0;
    for file in artifact_files(dir) {
        let mut bytes = std::fs::read(&file).unwrap();
        if bytes.len() >= size {
            bytes[size / 2] ^= 1;
            std::fs::write(&file, bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
}

#[test]
fn without_streams_a_copy_passes_through_memory_up_to_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().buffer(1 << 20);
    let store = ArtifactStore::open(guest_on("plain", dir.path()).limits(limits)).unwrap();
    store.put("k", vec![7; 1 << 20]).unwrap();
    assert_eq!(store.copy("k", "t").unwrap().size, 1 << 20);
    assert_eq!(store.copy("k", "k").unwrap().size, 1 << 20);
    assert_eq!(store.get("t").unwrap().len(), 1 << 20);
    assert_eq!(kind(store.copy_with("k", "t", Mode::Create)), "unsupported");
    assert_eq!(kind(store.copy("absent", "t")), "not-found");
    let small = Limits::default().buffer(1000);
    let store = ArtifactStore::open(guest_on("plain", dir.path()).limits(small)).unwrap();
    assert_eq!(kind(store.copy("k", "t")), "too-large");
}

#[test]
fn with_streams_a_copy_takes_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().buffer(1000);
    let store = ArtifactStore::open(Backend::fs(dir.path()).limits(limits)).unwrap();
    let data = vec![7; 20 << 20];
    store.write("k", &data[..], WriteOptions::default()).unwrap();
    assert_eq!(store.copy("k", "t").unwrap().size, 20 << 20);
}

#[test]
fn a_backend_that_lies_about_a_copy_or_hangs_is_at_fault() {
    for (fault, expected) in [("long-version", "protocol"), ("copy-hangs", "timeout")] {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits::default().call_timeout(Duration::from_secs(2));
        let store = ArtifactStore::open(copying(dir.path(), fault).limits(limits)).unwrap();
        // One of them concerns the answer to a put, too.
        let _ = store.put("k", "x");
        assert_eq!(kind(store.copy("k", "t")), expected, "{fault}");
        // It serves on.
        store.delete("k").unwrap();
        assert_eq!(kind(store.get("k")), "not-found", "{fault}");
    }
}

#[test]
fn the_async_store_copies_many_at_once_over_few_turns() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().concurrency(1);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let backend = Backend::fs(dir.path()).limits(limits);
        let store = artifact_store::ArtifactStore::open(backend).await.unwrap();
        store.put("k", vec![7; 3_000_000]).await.unwrap();
        let copies: Vec<_> = (0..8)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.copy("k", &format!("t{n}")).await })
            })
            .collect();
        for copy in copies {
            assert_eq!(copy.await.unwrap().unwrap().size, 3_000_000);
        }
        assert!(store.get("t7").await.unwrap() == vec![7; 3_000_000]);
    });
}

#[test]
fn the_command_line_copies_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let wrong = guest("wrong");
    for backend in ["fs", wrong.to_str().unwrap()] {
        let place = if backend == "fs" { "fs" } else { "d" };
        let run = |arguments: &[&str], code| {
            expect(dir, &[&["--backend", backend, "--dir", place], arguments].concat(), b"x", code)
        };
        run(&["put", "k", "--meta", "build=17"], 0);
        assert_eq!(run(&["copy", "k", "t"], 0), "");
        assert_eq!(run(&["get", "t"], 0), "x");
        assert!(run(&["stat", "t"], 0).contains("build: 17"));
        run(&["copy", "k", "k"], 0);
        let error = run(&["copy", "absent", "t"], 3);
        assert!(error.contains("cannot copy `absent` to `t`"), "{error}");
        let error = run(&["copy", "k", "t", "--create"], 4);
        assert!(error.contains("already has an artifact"), "{error}");
        run(&["copy", "k", "t", "--if-none-match"], 4);
        run(&["copy", "k", "u", "--create"], 0);
        run(&["copy", "--", "k", "-h"], 0);
        assert_eq!(run(&["get", "--", "-h"], 0), "x");
        run(&["copy", "k", "t", "--if-match", "another"], 4);
        for usage in [
            &["copy"][..],
            &["copy", "k"],
            &["copy", "a", "b", "c"],
            &["copy", "k", "t", "--json"],
            &["copy", "k", "t", "--jobs", "2"],
            &["copy", "k", "t", "--dry-run"],
            &["copy", "k", "t", "--from", "a"],
            &["copy", "k", "t", "--create", "--if-match", "v"],
        ] {
            run(usage, 2);
        }
    }
    for file in artifact_files(&dir.join("fs")) {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        std::fs::write(&file, bytes).unwrap();
    }
    expect(dir, &["--dir", "fs", "copy", "k", "new"], b"", 5);
    expect(dir, &["--dir", "fs", "get", "new"], b"", 3);
    let between = ["--config", "c.toml", "copy", "--from", "a", "--to", "b"];
    for more in [&["x", "y"][..], &["--create"], &["--if-match", "v"]] {
        expect(dir, &[&between[..], more].concat(), b"", 2);
    }
}
