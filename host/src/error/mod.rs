#[cfg(feature = "config")]
mod configuration;
mod kind;
mod load;
mod operation;
mod refused;

use std::fmt;
use std::sync::Arc;

use crate::text::foreign_name;

#[cfg(feature = "config")]
pub use configuration::{ConfigurationError, MissingVariable, Problem};
pub use kind::{ErrorKind, Resource};
pub(crate) use load::wrong_interface;
pub use load::{LoadError, SettingProblem};
pub use operation::Operation;
pub(crate) use refused::Refused;

/// The result of a call on a store.
///
/// ```
/// fn size(store: &artifact_store::blocking::ArtifactStore) -> artifact_store::Result<u64> {
///     Ok(store.stat("k")?.size)
/// }
/// # let _ = size;
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, in which operation, with which artifact and backend, and whether a retry can
/// help.
///
/// ```
/// use artifact_store::{ErrorKind, Operation, blocking::ArtifactStore};
///
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path())?;
/// let error = store.get("absent").unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::NotFound));
/// assert_eq!(error.operation(), Operation::Get);
/// assert_eq!(error.key(), Some("absent"));
/// assert!(!error.is_retryable());
/// assert_eq!(error.to_string(), "cannot get `absent` from backend `fs`: not found");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    operation: Operation,
    key: Option<String>,
    /// The key of the copy, if this is about one.
    target: Option<String>,
    backend: Arc<str>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: Operation,
        key: Option<&str>,
        backend: &Arc<str>,
    ) -> Self {
        let (key, backend) = (key.map(str::to_owned), Arc::clone(backend));
        Self(Box::new(Inner { kind, operation, key, target: None, backend }))
    }

    /// The same error, of a copy in which it occurred.
    pub(crate) fn of_copy(mut self, source: &str, target: &str) -> Self {
        self.0.operation = Operation::Copy;
        (self.0.key, self.0.target) = (Some(source.to_owned()), Some(target.to_owned()));
        self
    }

    /// The same error, which was in another backend of the stack.
    pub(crate) fn of_backend(mut self, name: Arc<str>) -> Self {
        self.0.backend = name;
        self
    }

    /// The kind of error.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The kind of error, by value.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The key of the artifact, or the prefix of a listing; `None` if the store itself failed to
    /// open. For a copy it is the key of the source.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The key under which a copy was to be stored; `None` for every other operation.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.0.target.as_deref()
    }

    /// The name of the backend: `fs`, or the file of the component. If the configuration is wrong:
    /// the name of the store, or the configuration file.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.0.backend
    }

    /// Whether the same call may succeed later without a repair: true for
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Busy`] and [`ErrorKind::Timeout`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{Busy, Timeout, Unavailable};
        matches!(self.0.kind, Unavailable(_) | Busy { .. } | Timeout(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, key, target, backend } = &*self.0;
        let (verb, place) = match operation {
            #[cfg(feature = "config")]
            Operation::Configure => return kind.fmt(f),
            Operation::Open => return write!(f, "cannot open backend `{backend}`: {kind}"),
            Operation::Put => ("put", "into"),
            Operation::Get => ("get", "from"),
            Operation::Copy => ("copy", "in"),
            Operation::Delete => ("delete", "from"),
            Operation::Stat => ("stat", "in"),
            Operation::List => ("list", "in"),
            Operation::Audit => return write!(f, "cannot audit backend `{backend}`: {kind}"),
            Operation::Sweep => return write!(f, "cannot sweep backend `{backend}`: {kind}"),
        };
        match key.as_deref() {
            Some("") if *operation == Operation::List => write!(f, "cannot list all keys")?,
            Some(key) => write!(f, "cannot {verb} `{}`", foreign_name(key))?,
            None => write!(f, "cannot {verb}")?,
        }
        if let Some(target) = target {
            write!(f, " to `{}`", foreign_name(target))?;
        }
        write!(f, " {place} backend `{backend}`: {kind}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.kind)
    }
}

/// Lets readers and writers of artifacts serve as those of `std` or `tokio`. The [`Error`] is kept
/// as the inner error.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::NotFound => Io::NotFound,
            ErrorKind::AlreadyExists => Io::AlreadyExists,
            ErrorKind::InvalidKey(_) | ErrorKind::InvalidRange => Io::InvalidInput,
            ErrorKind::TooLarge { .. } => Io::FileTooLarge,
            ErrorKind::AccessDenied(_) => Io::PermissionDenied,
            ErrorKind::NoSpace(_) => Io::StorageFull,
            ErrorKind::Corrupt(_) | ErrorKind::Protocol(_) => Io::InvalidData,
            ErrorKind::Unsupported(_) => Io::Unsupported,
            ErrorKind::Busy { .. } => Io::ResourceBusy,
            ErrorKind::Paused(_) | ErrorKind::Timeout(_) => Io::TimedOut,
            ErrorKind::Io(cause) => cause.kind(),
            _ => Io::Other,
        };
        Self::new(kind, error)
    }
}
