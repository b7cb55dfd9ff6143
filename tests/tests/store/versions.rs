//! Versions and attributes through the library: a put over one version, and what belongs to an
//! artifact beside its bytes.

use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{
    Attributes, Backend, ErrorKind, Grants, Interface, ReadOptions, WriteOptions,
};
use artifact_store_tests::{expect, guest, guest_on};

/// A right backend, or one with a fault, that keeps versions and attributes.
fn keeps(dir: &Path, fault: &str) -> Backend {
    let grants = Grants::none().read_write(dir, "/").env("FAULT", fault);
    Backend::from_file(guest("wrong")).grants(grants)
}

#[test]
fn a_put_replaces_the_version_that_it_names_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(keeps(dir.path(), "")).unwrap();
    let first = store.put_new("k", "1").unwrap();
    let version = first.version.clone().unwrap();
    assert_eq!(store.stat("k").unwrap().version.as_ref(), Some(&version));
    let reader = store.read("k", ReadOptions::default()).unwrap();
    assert_eq!(reader.info().version.as_ref(), Some(&version));
    let entry = store.list("").next().unwrap().unwrap();
    assert_eq!((entry.version.as_ref(), entry.modified), (Some(&version), first.modified));
    let second = store.put_if("k", "2", &version).unwrap().version.unwrap();
    assert_ne!(second, version);
    for (key, version) in [("k", &*version), ("absent", &*second), ("k", "*"), ("k", "")] {
        let error = store.put_if(key, "never", version).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
    assert_eq!(store.get("k").unwrap(), "2");
    let plain = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(guest_on("plain", plain.path())).unwrap();
    let options = WriteOptions::default().attributes(Attributes::new().with("a", "b"));
    for error in
        [store.put_if("k", "x", "1").unwrap_err(), store.put_with("k", "x", options).unwrap_err()]
    {
        assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    }
}

#[test]
fn a_deletion_removes_the_version_that_it_names_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    for backend in [Backend::fs(other.path()), keeps(dir.path(), "")] {
        let store = ArtifactStore::open(backend).unwrap();
        assert!(store.offers(Interface::Conditional));
        let first = store.put_new("k", "1").unwrap().version.unwrap();
        let second = store.put_if("k", "2", &first).unwrap().version.unwrap();
        for version in [&first, "*", ""] {
            let error = store.delete_if("k", version).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
            assert!(error.to_string().starts_with("cannot delete `k` from"), "{error}");
        }
        assert_eq!(store.get("k").unwrap(), "2");
        store.delete_if("k", &second).unwrap();
        assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
        store.delete_if("k", &second).unwrap();
        let error = store.delete_if("", &second).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidKey(_)), "{error}");
    }
    let plain = ArtifactStore::open(guest_on("plain", dir.path())).unwrap();
    plain.put("k", "1").unwrap();
    let error = plain.delete_if("k", "1").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    assert_eq!(plain.get("k").unwrap(), "1");
}

#[test]
fn attributes_are_kept_with_the_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(keeps(dir.path(), "")).unwrap();
    let attributes: Attributes =
        [("content-type", "text/plain"), ("who", "Zoë")].into_iter().collect();
    let options = WriteOptions::default().attributes(attributes.clone());
    let info = store.put_with("k", "x", options).unwrap();
    assert_eq!(
        (&info.attributes, &store.stat("k").unwrap().attributes),
        (&attributes, &attributes)
    );
    store.put("k", "y").unwrap();
    assert!(store.stat("k").unwrap().attributes.is_empty());
    for (name, value) in [("Who", "x"), ("who", "\u{1b}[2J"), ("who", &"x".repeat(3000))] {
        let options = WriteOptions::default().attributes(Attributes::new().with(name, value));
        let error = store.put_with("k", "never", options).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidAttribute(_)), "{error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
    assert_eq!(store.get("k").unwrap(), "y");
}

#[test]
fn a_backend_that_lies_about_versions_or_attributes_is_at_fault() {
    for fault in ["long-version", "loses-attributes"] {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::open(keeps(dir.path(), fault)).unwrap();
        let attributes = Attributes::new().with("build", "17");
        let options = WriteOptions::default().attributes(attributes);
        let error = store.put_with("k", "x", options).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{fault}: {error}");
    }
}

#[test]
fn the_command_line_stores_over_a_version_and_shows_attributes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let backend = guest("wrong");
    let backend = backend.to_str().unwrap();
    let run = |arguments: &[&str], code| {
        expect(dir, &[&["--backend", backend, "--dir", "d"], arguments].concat(), b"x", code)
    };
    let kinds = ["--content-type", "text/plain", "--meta", "build=17", "--meta", "who=a=b"];
    run(&[&["put", "k"][..], &kinds].concat(), 0);
    let shown = run(&["stat", "k"], 0);
    assert!(shown.ends_with("build: 17\ncontent-type: text/plain\nwho: a=b\n"), "{shown}");
    let version = shown.lines().find_map(|line| line.strip_prefix("version   ")).unwrap();
    let json = run(&["stat", "k", "--json"], 0);
    let part = format!(r#""version":"{version}","attributes":{{"build":"17","#);
    assert!(json.contains(&part), "{json}");
    let long = run(&["list", "-l"], 0);
    assert!(long.starts_with("             1  20") && long.contains(version), "{long}");
    assert!(long.ends_with("  k\n"), "{long}");
    assert!(run(&["list", "--json"], 0).contains(&format!(r#""version":"{version}""#)));
    run(&["put", "k", "--if-match", version], 0);
    // The version that was replaced is gone, and so are its attributes.
    assert!(!run(&["stat", "k"], 0).contains("build"));
    let error = run(&["put", "k", "--if-match", version], 4);
    assert!(error.contains("is not the expected version"), "{error}");
    run(&["put", "k", "--if-none-match"], 4);
    for wrong in [
        &["put", "k", "--meta", "no value"][..],
        &["put", "k", "--meta", "a=1", "--meta", "a=2"],
        &["put", "k", "--if-match", "v", "--create"],
    ] {
        run(wrong, 2);
    }
    assert!(run(&["put", "k", "--meta", "UP=1"], 2).contains("invalid attribute: `UP`"));
}
