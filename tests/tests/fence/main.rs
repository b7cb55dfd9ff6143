//! What a set of grants may not contain: nothing that a backend may write decides what it, or
//! another one, is granted.
#![cfg(unix)]

mod configuration;
mod files;
mod links;
mod nested;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Error, ErrorKind, Grants, LoadError};
use artifact_store_tests::{cli, guest};
use tempfile::TempDir;

/// Directories for the grants, and one that nobody is granted.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["data/sub/deep", "other", "outside"] {
            fs::create_dir_all(place.path(dir)).unwrap();
        }
        fs::write(place.path("outside/secret"), "hush").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A component of somebody else's.
    fn foreign(&self, grants: Grants) -> Result<ArtifactStore, Error> {
        ArtifactStore::open(Backend::from_file(guest("intruder")).grants(grants))
    }

    fn foreign_on(&self, dir: &str) -> Result<ArtifactStore, Error> {
        self.foreign(Grants::none().read_write(self.path(dir), "/"))
    }

    fn ours(&self, grants: Grants) -> Result<ArtifactStore, Error> {
        ArtifactStore::open(Backend::fs(".").grants(grants))
    }

    fn ours_on(&self, dir: &str) -> Result<ArtifactStore, Error> {
        self.ours(Grants::none().read_write(self.path(dir), "/"))
    }

    fn configure(&self, text: &str) -> PathBuf {
        let (file, new) = (self.path("stores.toml"), self.path("stores.toml.new"));
        fs::write(&new, text.replace("INTRUDER", guest("intruder").to_str().unwrap())).unwrap();
        fs::rename(new, &file).unwrap();
        file
    }

    fn open(&self, store: &str) -> Result<ArtifactStore, Error> {
        ArtifactStore::open_configured(self.path("stores.toml"), store)
    }
}

/// The exit code and the standard error of a command.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The refusal's text.
#[track_caller]
fn refused(opened: Result<ArtifactStore, Error>) -> String {
    let error = opened.expect_err("it is refused");
    let ErrorKind::Load(LoadError::Overlap { directory, other, .. }) = error.kind() else {
        panic!("{error:?}")
    };
    let text = error.to_string();
    for path in [directory, other] {
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    assert!(!error.is_retryable());
    text
}

#[test]
fn the_command_line_says_what_to_do() {
    let place = Place::new();
    fs::copy(guest("intruder"), place.path("data/own.wasm")).unwrap();
    let mut command = cli();
    command.arg("--backend").arg(place.path("data/own.wasm")).arg("--dir").arg(place.path("data"));
    let (code, text) = ended(command.args(["get", "environment"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("give the backend a directory of its own"), "{text}");
}
