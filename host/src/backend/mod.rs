//! A backend: the component, its grants and limits, and its preparation for serving.

mod component;
mod contract;
mod fence;
mod layer;
mod load;
#[cfg(all(feature = "conformance", unix))]
mod prepared;
#[cfg(feature = "network")]
mod s3;
mod settings;
mod trial;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use fence::Surroundings;
#[cfg(feature = "config")]
pub(crate) use fence::{Lines, Neighbour};
pub use layer::Layer;
#[cfg(feature = "conformance")]
pub(crate) use load::Purpose;
#[cfg(all(feature = "conformance", unix))]
pub(crate) use prepared::Prepared;
#[cfg(feature = "network")]
pub use s3::Sign;
#[cfg(all(feature = "config", feature = "network"))]
pub(crate) use s3::Signed;
pub use settings::Setting;

use crate::budget::explain_trouble;
use crate::error::{Error, LoadError, Operation};
use crate::instance::look_at_disk;
use crate::{Engine, Grants, Limits};

/// The component behind [`Backend::fs`], built from `guest/fs`.
const FS: BuiltIn = BuiltIn {
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/fs.wasm")),
    sha256: include_bytes!(concat!(env!("OUT_DIR"), "/fs.sha256")),
};

/// A writer that pauses for longer counts as gone.
pub(crate) const SWEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The component that serves a store, with its grants and limits.
///
/// ```no_run
/// use artifact_store::{ArtifactStore, Backend, Grants};
///
/// # async fn example() -> artifact_store::Result<()> {
/// let backend = Backend::from_file("my-backend.wasm")
///     .grants(Grants::none().read_write("./data", "/"));
/// let store = ArtifactStore::open(backend).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    name: Arc<str>,
    source: Source,
    pub(crate) grants: Grants,
    limits: Limits,
    sweep: Option<Duration>,
    pin: Option<String>,
    splice: bool,
    /// Its surroundings in the configuration; `None` if it comes from none.
    surroundings: Option<Surroundings>,
    /// The files with the identities of its stack, while it is loaded.
    identities: Vec<PathBuf>,
    /// `None` for the engine of the process.
    engine: Option<Engine>,
    /// What stands around it, the innermost first.
    layers: Vec<Layer>,
}

#[derive(Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    /// A file that was already read.
    #[cfg_attr(not(feature = "config"), allow(dead_code, reason = "it is read to be watched"))]
    Read(PathBuf, Arc<[u8]>),
    Bytes(Arc<[u8]>),
    BuiltIn(BuiltIn),
}

/// A component of this library.
#[derive(Clone, Copy, PartialEq, Eq)]
struct BuiltIn {
    bytes: &'static [u8],
    /// Computed when the library was built.
    sha256: &'static [u8; 32],
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({path:?})"),
            Self::Read(path, bytes) => write!(f, "Read({path:?}, {})", bytes.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::BuiltIn(it) => write!(f, "BuiltIn({})", it.bytes.len()),
        }
    }
}

impl Backend {
    /// The built-in backend that keeps artifacts in the existing directory `dir`. Only this
    /// directory is granted.
    #[must_use]
    pub fn fs(dir: impl AsRef<Path>) -> Self {
        Self::new("fs", Source::BuiltIn(FS)).grants(Grants::none().read_write(dir, "/"))
    }

    /// The component in `file`, without any grant. Its name is the path.
    #[must_use]
    pub fn from_file(file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        Self::new(&file.display().to_string(), Source::File(file))
    }

    /// The component in `bytes`, without any grant. Errors name it `name`.
    #[must_use]
    pub fn from_bytes(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::new(name, Source::Bytes(bytes.into()))
    }

    /// The built-in filesystem backend as a component file, for the wasmtime CLI or another host.
    #[must_use]
    pub fn fs_component() -> &'static [u8] {
        FS.bytes
    }

    /// Replaces the grants.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Changes the grants, for a backend that already has some.
    ///
    /// ```
    /// use artifact_store::Backend;
    ///
    /// let backend = Backend::fs("artifacts").map_grants(|grants| grants.read_only("/etc", "/etc"));
    /// # let _ = backend;
    /// ```
    #[must_use]
    pub fn map_grants(mut self, change: impl FnOnce(Grants) -> Grants) -> Self {
        self.grants = change(self.grants);
        self
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Refuses to load a component with another SHA-256 than this one, given as 64 hexadecimal
    /// digits: [`LoadError::WrongDigest`].
    #[must_use]
    pub fn pin(mut self, sha256: impl Into<String>) -> Self {
        self.pin = Some(sha256.into());
        self
    }

    /// The minimal age of temporaries, since their last write, for the sweep that begins when the
    /// store is opened; `None` means no sweep. The default is one day.
    ///
    /// Calls do not wait for that sweep, and a backend without `maintenance` is not swept. The age
    /// should be well above the longest pause of any writer.
    #[must_use]
    pub fn sweep_older_than(mut self, age: Option<Duration>) -> Self {
        self.sweep = age;
        self
    }

    /// Whether bytes that a backend passes on unread, out of a file, may bypass the component. On
    /// by default; off is slower and otherwise identical, as the tests show.
    #[must_use]
    pub fn splice(mut self, splice: bool) -> Self {
        self.splice = splice;
        self
    }

    /// The engine that runs it; by default that of the process.
    #[must_use]
    pub fn engine(mut self, engine: &Engine) -> Self {
        self.engine = Some(engine.clone());
        self
    }

    /// The component of another backend, such as a new version, with these grants, limits and
    /// layers. A pin is not taken over.
    #[must_use]
    pub fn with_component(mut self, of: &Self) -> Self {
        (self.name, self.source, self.pin) = (of.name.clone(), of.source.clone(), None);
        self
    }

    fn new(name: &str, source: Source) -> Self {
        let (grants, limits) = (Grants::none(), Limits::default());
        let sweep = Some(SWEEP);
        Self {
            name: name.into(),
            source,
            grants,
            limits,
            sweep,
            pin: None,
            splice: true,
            surroundings: None,
            identities: Vec::new(),
            engine: None,
            layers: Vec::new(),
        }
    }

    /// The same as one of a configuration.
    #[cfg(feature = "config")]
    pub(crate) fn beside(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// Its surroundings in the configuration.
    #[cfg(feature = "config")]
    pub(crate) fn surroundings(&self) -> Option<&Surroundings> {
        self.surroundings.as_ref()
    }
}

/// Whether the component with this SHA-256 is one of this library, regardless of its origin.
fn is_built_in(sha256: &[u8; 32]) -> bool {
    #[cfg(feature = "network")]
    if sha256 == s3::S3.sha256 {
        return true;
    }
    sha256 == FS.sha256
}

/// Makes sure that the directory of a store exists durably: a crash after the first put must not
/// remove the directory.
pub(crate) async fn create_dir(dir: &Path) -> Result<(), Error> {
    let owned = dir.to_owned();
    let made = look_at_disk(&Limits::default(), move || make_dir(&owned)).await;
    let kind = match made {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(source)) => {
            let path = dir.display().to_string();
            explain_trouble(LoadError::Directory { path, source: source.into() }.into())
        }
        Err(kind) => kind,
    };
    Err(Error::new(kind, Operation::Open, None, &"fs".into()))
}

fn make_dir(dir: &Path) -> std::io::Result<()> {
    let dir = std::path::absolute(dir)?;
    let absent = dir.ancestors().take_while(|dir| !dir.exists()).count();
    std::fs::create_dir_all(&dir)?;
    // Each new directory is an entry of its parent.
    let synced = dir.ancestors().skip(1).take(absent).try_for_each(sync_dir);
    if synced.is_err() {
        // The next attempt would find the directory and assume that it is durable.
        dir.ancestors().take(absent).for_each(|dir| drop(std::fs::remove_dir(dir)));
    }
    synced
}

/// Makes the entries of a directory durable. If the system cannot sync a directory, or does not let
/// this process open it, the filesystem has to keep the entries in order by itself, and this is not
/// a failure. The backend has the same rule, `Dir::sync` of `guest/fs`. Windows cannot open a
/// directory for this.
fn sync_dir(dir: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match std::fs::File::open(dir).and_then(|dir| dir.sync_all()) {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}
