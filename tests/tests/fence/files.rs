//! The files that decide what a backend is: no backend writes them, and they are regular files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, LoadError, SwapOptions};
use artifact_store_tests::guest;

use super::{Place, refused};

/// The configuration decides what a backend may do.
#[test]
fn no_foreign_backend_writes_the_configuration_or_a_component() {
    let place = Place::new();
    fs::write(place.path("data/ca.pem"), "").unwrap();
    fs::copy(guest("intruder"), place.path("data/own.wasm")).unwrap();
    let store = |name: &str, backend: &str, more: &str| {
        format!("[stores.{name}]\nbackend = '{backend}'\n{more}\n")
    };
    let on = |dir: &str| format!("directories = [{{ host = '{dir}' }}]");
    place.configure(&store("a", "INTRUDER", &on(".")));
    let text = refused(place.open("a"));
    assert!(text.contains("holds") && text.ends_with("stores.toml`, the configuration"), "{text}");
    // However it is called, and by whichever way it is found.
    fs::rename(place.path("stores.toml"), place.path("data/real.toml")).unwrap();
    symlink("data/real.toml", place.path("stores.toml")).unwrap();
    let text = fs::read_to_string(place.path("stores.toml")).unwrap();
    fs::write(place.path("stores.toml"), text.replace("host = '.'", "host = 'data'")).unwrap();
    refused(place.open("a"));
    fs::rename(place.path("data/real.toml"), place.path("other/real.toml")).unwrap();
    fs::remove_file(place.path("stores.toml")).unwrap();
    symlink("../other/real.toml", place.path("data/link.toml")).unwrap();
    symlink("data/link.toml", place.path("stores.toml")).unwrap();
    let text = refused(place.open("a"));
    assert!(text.contains("holds a part of the path to"), "{text}");
    fs::remove_file(place.path("stores.toml")).unwrap();

    place.configure(&store("a", "data/own.wasm", &on("data")));
    let text = refused(place.open("a"));
    assert!(text.ends_with("data/own.wasm`, the component of the same backend"), "{text}");
    // Another store's is as good.
    let both = store("a", "INTRUDER", &on("data")) + &store("b", "data/own.wasm", "");
    place.configure(&both);
    let text = refused(place.open("a"));
    assert!(text.ends_with("data/own.wasm`, the component of store `b`"), "{text}");
    place.open("b").unwrap();
    let authority = "certificate-authority = 'data/ca.pem'";
    place.configure(&(store("a", "INTRUDER", &on("data")) + &store("b", "INTRUDER", authority)));
    let text = refused(place.open("a"));
    assert!(text.ends_with("data/ca.pem`, a certificate authority of store `b`"), "{text}");
    place.configure(&store("a", "INTRUDER", &format!("{}\n{authority}", on("data"))));
    assert!(place.open("a").is_err());

    // What it may only read it may have.
    let read_only = "directories = [{ host = '.', read-only = true }]";
    place.configure(&store("a", "data/own.wasm", read_only));
    place.open("a").unwrap();
    // The built-in backend is trusted, also as a file.
    fs::write(place.path("data/own.wasm"), Backend::fs_component()).unwrap();
    for backend in ["fs", "data/own.wasm"] {
        place.configure(&store("a", backend, &on(".")));
        place.open("a").unwrap().put("k", "x").unwrap();
    }
}

#[test]
fn no_foreign_backend_writes_its_own_file_or_that_of_one_that_is_open() {
    let place = Place::new();
    fs::copy(guest("intruder"), place.path("data/own.wasm")).unwrap();
    let own = || Backend::from_file(place.path("data/own.wasm"));
    refused(ArtifactStore::open(own().grants(Grants::none().read_write(place.path("data"), "/"))));
    let open = ArtifactStore::open(own()).unwrap();
    let text = refused(place.foreign_on("data"));
    let component = place.path("data/own.wasm").display().to_string();
    assert!(text.contains(&format!("the component of backend `{component}`")), "{text}");
    drop(open);
    let _writes = place.foreign_on("data").unwrap();
    refused(ArtifactStore::open(own()));
    // Bytes come from nowhere.
    let bytes = fs::read(guest("intruder")).unwrap();
    ArtifactStore::open(Backend::from_bytes("bytes", bytes)).unwrap();
}

/// Nothing that is named waits for the other end of a pipe, or reads a device.
#[test]
fn nothing_is_loaded_from_a_pipe_or_a_device() {
    let place = Place::new();
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&*pipe, Path::new("/dev/zero"), Path::new("/dev/tty"), place.0.path()] {
        let error = ArtifactStore::open(Backend::from_file(path)).err().unwrap();
        let ErrorKind::Load(LoadError::NotAComponent(_)) = error.kind() else {
            panic!("{error:?}")
        };
        let authority = Grants::none().connect("https://example.org").certificate_authority(path);
        let error = place.foreign(authority).err().unwrap();
        let ErrorKind::Load(LoadError::Network { what, .. }) = error.kind() else {
            panic!("{error:?}")
        };
        assert!(what.contains(&path.display().to_string()), "{what}");
    }
    for path in [&*pipe, Path::new("/dev/zero"), &guest("intruder")] {
        let error = place.foreign(Grants::none().read_only(path, "/")).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Directory { .. })), "{error:?}");
    }
    let file =
        place.configure("[stores.main]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n");
    fs::remove_file(&file).unwrap();
    fs::rename(&pipe, &file).unwrap();
    let opened = ArtifactStore::open_watched(&file, "main", SwapOptions::default());
    let error = opened.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{error:?}");
}
