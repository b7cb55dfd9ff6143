//! The backend that is checked, and its stores.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Backend;

/// The backend that is checked, and how each check gets a fresh store.
#[derive(Clone)]
pub struct Target {
    below: PathBuf,
    open: Open,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("below", &self.below).finish()
    }
}

#[derive(Clone)]
enum Open {
    Directory(Arc<dyn Fn(&Path) -> Backend + Send + Sync>),
    Name(Arc<dyn Fn(&str) -> Backend + Send + Sync>),
}

/// One fresh store.
pub(super) struct Fresh<'a> {
    target: &'a Target,
    dir: tempfile::TempDir,
}

impl Target {
    /// A backend that keeps its artifacts in its granted directory. `open` is called with an empty
    /// directory, and grants it; the directory is removed afterwards. For a second host over the
    /// same store `open` is called again.
    #[must_use]
    pub fn in_directories(open: impl Fn(&Path) -> Backend + Send + Sync + 'static) -> Self {
        Self { below: std::env::temp_dir(), open: Open::Directory(Arc::new(open)) }
    }

    /// The same for a backend with all its grants, except that the temporary directory replaces
    /// everything that it may write to.
    #[must_use]
    pub fn of(backend: &Backend) -> Self {
        let backend = backend.clone();
        Self::in_directories(move |dir| backend.clone().map_grants(|grants| grants.only(dir)))
    }

    /// A backend that keeps its artifacts elsewhere, such as in a bucket. `open` gets a name
    /// (letters, digits and `-`) and opens an empty store of that name. A name is passed again only
    /// for a second host over the same store. The stores are not removed afterwards. Checks that
    /// need a directory count as not offered.
    #[must_use]
    pub fn by_name(open: impl Fn(&str) -> Backend + Send + Sync + 'static) -> Self {
        Self { below: std::env::temp_dir(), open: Open::Name(Arc::new(open)) }
    }

    /// Creates these directories in `dir` instead of the system's directory for temporary files.
    #[must_use]
    pub fn below(mut self, dir: impl Into<PathBuf>) -> Self {
        self.below = dir.into();
        self
    }

    pub(super) fn fresh(&self) -> crate::Result<Fresh<'_>> {
        let dir = tempfile::Builder::new().prefix("check-").tempdir_in(&self.below);
        let dir = dir.map_err(|source| no_directory(&self.below, source))?;
        Ok(Fresh { target: self, dir })
    }
}

impl Fresh<'_> {
    pub(super) fn backend(&self) -> Backend {
        match &self.target.open {
            Open::Directory(open) => open(self.dir.path()),
            Open::Name(open) => {
                let name = self.dir.path().file_name().unwrap_or_default();
                open(&name.to_string_lossy())
            }
        }
    }

    /// The directory that contains the artifacts.
    pub(super) fn dir(&self) -> Option<&Path> {
        matches!(self.target.open, Open::Directory(_)).then(|| self.dir.path())
    }
}

fn no_directory(below: &Path, source: std::io::Error) -> crate::Error {
    let path = below.display().to_string();
    let kind = crate::LoadError::Directory { path, source: source.into() }.into();
    crate::Error::new(kind, crate::error::Operation::Open, None, &"conformance".into())
}
