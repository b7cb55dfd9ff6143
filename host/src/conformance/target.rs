//! The backend that is checked, and its stores.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::{Backend, Interface, blocking};

/// The backend that is checked, and how each check gets a fresh store.
#[derive(Clone)]
pub struct Target {
    below: PathBuf,
    open: Open,
    variable: Option<Variable>,
    /// Whether each store is emptied afterwards.
    is_emptied: bool,
    /// What the backend was found not to offer. To start one that holds an interpreter takes a
    /// tenth of a second, and many checks need the same interface.
    lacking: Arc<Mutex<Vec<Interface>>>,
}

/// A variable with another value for each store.
#[derive(Clone)]
struct Variable {
    name: String,
    form: String,
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
        Self::new(Open::Directory(Arc::new(open)))
    }

    /// The same for a backend with all its grants and its component layers, except that the temporary
    /// directory replaces everything that they may write to. Of the built-in backend for buckets, each store has a prefix
    /// of its own below that of `backend`, and is emptied afterwards.
    #[must_use]
    pub fn of(backend: &Backend) -> Self {
        let backend = backend.clone();
        #[cfg(feature = "network")]
        if backend.s3_location().is_some() {
            let open = move |name: &str| backend.s3_below(name);
            return Self { is_emptied: true, ..Self::by_name(open) };
        }
        Self::in_directories(move |dir| backend.clone().only(dir))
    }

    /// A backend that keeps its artifacts elsewhere, such as in a bucket. `open` gets a name
    /// (letters, digits and `-`) and opens an empty store of that name. A name is passed again only
    /// for a second host over the same store. The stores are not removed afterwards. Checks that
    /// need a directory count as not offered.
    #[must_use]
    pub fn by_name(open: impl Fn(&str) -> Backend + Send + Sync + 'static) -> Self {
        Self::new(Open::Name(Arc::new(open)))
    }

    fn new(open: Open) -> Self {
        let (below, lacking) = (std::env::temp_dir(), Arc::default());
        Self { below, open, variable: None, is_emptied: false, lacking }
    }

    /// Gives the variable `name` another value for each store: `form`, in which `{}` becomes a name
    /// of letters, digits and `-`. For a backend that keeps its artifacts where this variable says,
    /// such as below a prefix. Each store is emptied afterwards, as far as the backend can list it.
    #[must_use]
    pub fn fresh_env(mut self, name: impl Into<String>, form: impl Into<String>) -> Self {
        self.variable = Some(Variable { name: name.into(), form: form.into() });
        self.is_emptied = true;
        self
    }

    /// Creates these directories in `dir` instead of the system's directory for temporary files.
    #[must_use]
    pub fn below(mut self, dir: impl Into<PathBuf>) -> Self {
        self.below = dir.into();
        self
    }

    /// Whether a layer is checked: a component that stands around a backend. Then
    /// [`layer_checks`](super::layer_checks) apply, too.
    #[must_use]
    pub fn is_layer(&self) -> bool {
        self.backend_in(Path::new("check")).components().next().is_some()
    }

    /// The backend over the store in this directory, or of its name: the same for every process.
    #[must_use]
    pub fn at(&self, dir: &Path) -> Backend {
        let backend = self.backend_in(dir);
        for own in backend.directories_in(dir) {
            // If this fails, the backend cannot be opened, which says why.
            let _ = std::fs::create_dir_all(own);
        }
        backend
    }

    fn backend_in(&self, dir: &Path) -> Backend {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let backend = match &self.open {
            Open::Directory(open) => open(dir),
            Open::Name(open) => open(&name),
        };
        let Some(variable) = &self.variable else { return backend };
        let value = variable.form.replace("{}", &name);
        backend.map_grants(|grants| grants.replace_env(&variable.name, value))
    }

    /// What of these the backend is known not to offer.
    pub(super) fn lacks(&self, needed: &[Interface]) -> Option<Interface> {
        let lacking = self.lacking();
        needed.iter().copied().find(|interface| lacking.contains(interface))
    }

    pub(super) fn note_lacking(&self, interface: Interface) {
        self.lacking().push(interface);
    }

    fn lacking(&self) -> MutexGuard<'_, Vec<Interface>> {
        self.lacking.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn fresh(&self) -> crate::Result<Fresh<'_>> {
        let dir = tempfile::Builder::new().prefix("check-").tempdir_in(&self.below);
        let dir = dir.map_err(|source| no_directory(&self.below, source))?;
        Ok(Fresh { target: self, dir })
    }
}

impl Fresh<'_> {
    pub(super) fn backend(&self) -> Backend {
        self.target.at(self.dir.path())
    }

    /// The directory that contains the artifacts.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        let dir = self.dir.path();
        let in_directory = matches!(self.target.open, Open::Directory(_));
        let own = || self.target.backend_in(dir).directories_in(dir).into_iter().next();
        in_directory.then(|| own().unwrap_or_else(|| dir.to_owned()))
    }
}

/// Storage that is no directory is left as it was, as far as the backend lets that be done.
impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if self.target.is_emptied {
            let _ = empty(self.backend().innermost());
        }
    }
}

fn empty(backend: Backend) -> crate::Result<()> {
    let store = blocking::ArtifactStore::open(backend.sweep_older_than(None))?;
    if store.offers(Interface::Inventory) {
        for entry in store.list("") {
            store.delete(&entry?.key)?;
        }
    }
    if store.offers(Interface::Maintenance) {
        store.sweep(Duration::ZERO)?;
    }
    Ok(())
}

fn no_directory(below: &Path, source: std::io::Error) -> crate::Error {
    let path = below.display().to_string();
    let kind = crate::LoadError::Directory { path, source: source.into() }.into();
    crate::Error::new(kind, crate::error::Operation::Open, None, &"conformance".into())
}
