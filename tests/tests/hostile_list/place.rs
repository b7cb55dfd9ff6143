//! What is granted, and what lies beside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use artifact_store::Grants;
use artifact_store_tests::{guest, tree};
use tempfile::TempDir;

use crate::list::Behaviour;
use crate::process::{GRANTED, OTHER};

/// Each backend has a directory of its own below `granted`, since two may not share one. What is
/// `fixed` may be read by one of them; what is `outside` is nobody's.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["granted", "fixed/dir", "outside", "healthy", "healthy-too"] {
            fs::create_dir_all(place.root().join(dir)).unwrap();
        }
        fs::write(place.root().join("fixed/inside"), "mine").unwrap();
        fs::write(place.root().join("outside/secret"), "hush").unwrap();
        place
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn healthy(&self) -> PathBuf {
        self.root().join("healthy")
    }

    pub fn healthy_too(&self) -> PathBuf {
        self.root().join("healthy-too")
    }

    fn granted(&self, guest: &str) -> PathBuf {
        let dir = self.root().join("granted").join(guest);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// What a backend is granted.
    pub fn grants(&self, guest: &str) -> Grants {
        let grants = Grants::none().read_write(self.granted(guest), "/");
        let endpoint = || std::env::var(GRANTED).unwrap_or_default();
        match guest {
            "intruder" => grants.read_only(self.root().join("fixed"), "/fixed"),
            "raids" | "fetches" | "posts" if !endpoint().is_empty() => grants.connect(endpoint()),
            _ => grants,
        }
    }

    /// What a key asks for, with the places of this run in it.
    pub fn fill_in(&self, key: &str) -> String {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        key.replace("{root}", &self.root().to_string_lossy())
            .replace("{granted}", &variable(GRANTED))
            .replace("{other}", &variable(OTHER))
    }

    /// Makes the granted directory of a backend what it was at first.
    pub fn prepare(&self, behaviour: &Behaviour) {
        if !guest(behaviour.guest).exists() {
            return;
        }
        let dir = self.granted(behaviour.guest);
        for found in fs::read_dir(&dir).unwrap() {
            let path = found.unwrap().path();
            let is_dir = fs::symlink_metadata(&path).unwrap().is_dir();
            if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        let at = |name: &str| dir.join(name);
        fs::create_dir(at("dir")).unwrap();
        for (name, text) in
            [("inside", "mine"), ("file", "old"), ("dir/file", "mine, too"), ("k", "")]
        {
            fs::write(at(name), text).unwrap();
        }
        fs::write(at("behaviour"), behaviour.key).unwrap();
        symlink("circle", at("circle")).unwrap();
        symlink(self.root().join("outside/secret"), at("file-out")).unwrap();
        symlink("../../outside/secret", at("relative-out")).unwrap();
        symlink("../../outside", at("dir-out")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RWXU).unwrap();
    }

    /// All that nobody was granted to change: contents, times, permissions, links.
    pub fn outside(&self) -> BTreeMap<PathBuf, String> {
        let mut seen = tree(&self.root().join("outside"));
        seen.extend(tree(&self.root().join("fixed")));
        let beside = fs::read_dir(self.root()).unwrap();
        let names: std::collections::BTreeSet<_> = beside.map(|e| e.unwrap().file_name()).collect();
        seen.insert(self.root().to_owned(), format!("{names:?}"));
        seen
    }

    /// What is not any more as it was.
    pub fn changes(&self, before: &BTreeMap<PathBuf, String>) -> Option<String> {
        let now = self.outside();
        let differs = |path: &&PathBuf| before.get(*path) != now.get(*path);
        let path = before.keys().chain(now.keys()).find(differs)?;
        Some(format!("{path:?}: {:?}, then {:?}", before.get(path), now.get(path)))
    }
}
