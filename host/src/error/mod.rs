#[cfg(feature = "config")]
mod configuration;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::text;

#[cfg(feature = "config")]
pub use configuration::{ConfigurationError, Problem};

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

/// What went wrong, with which artifact, in which backend, and whether a retry can help.
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
    backend: Arc<str>,
}

/// The cases of an [`Error`]: first those of the contract, as the backend reported them,
/// then what the host found out by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no artifact under this key.
    #[error("not found")]
    NotFound,
    /// A create-only put met an artifact; it is untouched.
    #[error("an artifact with this key exists already")]
    AlreadyExists,
    /// The key breaks the rules for keys; the text says how.
    #[error("invalid key: {0}")]
    InvalidKey(String),
    /// The offset lies beyond the end of the artifact.
    #[error("the offset lies beyond the end of the artifact")]
    InvalidRange,
    /// More bytes than the backend, or the host's [`Limits::buffer`](crate::Limits::buffer), takes.
    #[error("too large: the limit is {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The storage refused access.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// The storage is full or a quota is used up.
    #[error("no space: {0}")]
    NoSpace(String),
    /// The stored bytes are not the ones that were put. Putting or deleting the artifact repairs it.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// The storage cannot answer now; a later try may succeed.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The backend does not offer this.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Anything else that the backend reported.
    #[error("{0}")]
    Other(String),
    /// The component could not be made a backend.
    #[error(transparent)]
    Load(LoadError),
    /// The component trapped; the instance is discarded.
    #[error("the backend trapped")]
    Trap(#[source] Cause),
    /// The backend asked for more than its limits allow, and trapped when it was refused; the
    /// instance is discarded.
    #[error("the backend needs more than {limit} {what}")]
    Exhausted {
        /// What it ran out of, such as `bytes of memory`.
        what: &'static str,
        /// How much of it there is: see [`Limits`](crate::Limits).
        limit: u64,
        /// How it ended.
        #[source]
        source: Cause,
    },
    /// The call could not run in time, since others had all there is of something: turns
    /// ([`Limits::concurrency`](crate::Limits::concurrency)) or places for readers and writers
    /// ([`Limits::transfers`](crate::Limits::transfers)). It is nobody's fault, and a call that had
    /// not begun has had no effect.
    #[error("all {limit} {what} of the store are taken, and none came free within {}", text::span(*.waited))]
    Busy {
        /// What there was none of: `turns` or `open transfers`.
        what: &'static str,
        /// How many there are.
        limit: usize,
        /// How long the call waited: [`Limits::turn_timeout`](crate::Limits::turn_timeout).
        waited: Duration,
    },
    /// The caller of a transfer neither sent nor took a byte for so long:
    /// [`Limits::pause_timeout`](crate::Limits::pause_timeout). What was being written is not
    /// stored.
    #[error("the caller neither sent nor took anything for {}", text::span(*.0))]
    Paused(Duration),
    /// This process was forked from one that had a store by then, and has none of its threads. It
    /// can use no store unless it executes a program anew.
    #[error("a process that was forked from one with an open store cannot use a store")]
    Forked,
    /// The backend took longer than its time: [`Limits::call_timeout`](crate::Limits::call_timeout)
    /// without a byte that moved, or the sum of that and what
    /// [`Limits::least_rate`](crate::Limits::least_rate) allows for the bytes that did.
    /// Whether a put or delete took effect is unknown.
    #[error("the backend took longer than {}", text::span(*.0))]
    Timeout(Duration),
    /// The backend's answer breaks the contract; nothing of it was passed on as right.
    #[error("the backend broke its contract: {0}")]
    Protocol(String),
    /// The caller's own reader or writer failed.
    #[error("the transfer's other end failed")]
    Io(#[source] std::io::Error),
    /// The configuration names no store that could be opened.
    #[cfg(feature = "config")]
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// Why a component cannot serve as a backend.
///
/// ```
/// use artifact_store::{Backend, ErrorKind, LoadError, blocking::ArtifactStore};
///
/// let page = Backend::from_bytes("download", *b"<html>404</html>");
/// let error = ArtifactStore::open(page).err().expect("this is no component");
/// assert!(matches!(error.kind(), ErrorKind::Load(LoadError::NotAComponent(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// The bytes are no WebAssembly component; the text says what they look like.
    #[error("this is {0}, not a WebAssembly component")]
    NotAComponent(String),
    /// The component does not export the contract, or another version of it.
    #[error("the component does not export `{missing}`{}", found_instead(.found))]
    MissingExport {
        /// The interface that every backend exports.
        missing: String,
        /// What of this contract, in whatever version, it exports instead.
        found: Vec<String>,
    },
    /// The component exports the interface, but with other types or functions.
    #[error("the component's `{interface}` is not the one of the contract")]
    WrongInterface {
        /// The interface that differs.
        interface: String,
        /// How it differs.
        #[source]
        source: Cause,
    },
    /// The component imports what this host does not give to any backend.
    #[error("the component imports what no grant can give: {}", .0.join(", "))]
    UnexpectedImports(Vec<String>),
    /// Loading the component takes more than its limits allow. It was ended or not begun.
    #[error("{}", over(name, *limit, *found, unit))]
    Limit {
        /// The limit as [`LoadLimits`](crate::LoadLimits) and the configuration name it, such as
        /// `function-size`.
        name: &'static str,
        /// Its value: a number of `unit`.
        limit: u64,
        /// What was found, where that is known: there may be more.
        found: Option<u64>,
        /// What it counts, such as `bytes in one function`.
        unit: &'static str,
    },
    /// The process that compiled the component died; the text says how.
    #[error("the process that compiled the component died: {0}")]
    Compiler(String),
    /// The engine cannot be built.
    #[error("the engine cannot be built")]
    Engine(#[source] Cause),
    /// WebAssembly that does not validate, or cannot be compiled or linked.
    #[error("the component cannot be compiled or linked")]
    Invalid(#[source] Cause),
    /// The component is not the one that was pinned.
    #[error("the component's SHA-256 is {found}, not {expected} as pinned")]
    WrongDigest {
        /// The digest that [`Backend::pin`](crate::Backend::pin) named.
        expected: String,
        /// The digest of the component, in hexadecimal digits.
        found: String,
    },
    /// A setting of a built-in backend is missing or makes no sense.
    #[error("the variable {name}: {why}")]
    Setting {
        /// The variable that sets it.
        name: String,
        /// What is wrong with it; never its value.
        why: String,
    },
    /// A grant for the network makes no sense, or needs a file that cannot be read.
    #[error("cannot use {what}")]
    Network {
        /// What was granted: an endpoint, the proxy, a certificate authority.
        what: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// The system refused what the component needs, such as memory. A store that is opened reports
    /// it as [`ErrorKind::Unavailable`].
    #[error("{0}")]
    Refused(String),
    /// A granted directory cannot be opened.
    #[error("cannot open the granted directory `{path}`")]
    Directory {
        /// The directory on the host.
        path: String,
        /// Why it cannot be opened.
        #[source]
        source: Cause,
    },
    /// A granted directory is too near to something that a backend could replace through it:
    /// another grant, or a file that says what a backend is or may touch. `Grants` says what has
    /// to be apart.
    #[error(
        "the directory `{}` of {owner} {how} `{}`, {whose}", directory.display(), other.display()
    )]
    #[non_exhaustive]
    Overlap {
        /// The granted directory on the host.
        directory: PathBuf,
        /// Whose grant it is: ``store `releases` `` of a configuration, or ``backend `fs` ``.
        owner: String,
        /// How the two lie: `holds`, `lies in`, and others.
        how: &'static str,
        /// The other directory, the file, or the link.
        other: PathBuf,
        /// What that is, and whose: ``a writable directory of store `archive` ``, `the
        /// configuration`.
        whose: String,
    },
}

impl From<LoadError> for ErrorKind {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(text) => Self::Unavailable(text),
            error => Self::Load(error),
        }
    }
}

/// The error of an interface that wasmtime found to differ.
pub(crate) fn wrong_interface(interface: &str) -> impl FnOnce(wasmtime::Error) -> LoadError {
    let interface = interface.to_owned();
    move |source| LoadError::WrongInterface { interface, source: text::cause(&source) }
}

fn over(name: &str, limit: u64, found: Option<u64>, unit: &str) -> String {
    match found {
        Some(found) => format!(
            "loading the component takes {found} {unit}, or more; `load.{name}` allows {limit}"
        ),
        None => {
            format!("loading the component takes more than the {limit} {unit} of `load.{name}`")
        }
    }
}

fn found_instead(found: &[String]) -> String {
    match found {
        [] => String::new(),
        _ => format!(" (it exports `{}`)", found.join("`, `")),
    }
}

/// What was being done when an [`Error`] came up. Its `Display` is the word that metrics and logs
/// have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A configuration was read.
    #[cfg(feature = "config")]
    Configure,
    /// A backend was loaded.
    Open,
    /// An artifact was stored, at once or by a writer.
    Put,
    /// An artifact was fetched, at once or by a reader.
    Get,
    /// An artifact was removed.
    Delete,
    /// An artifact's info was asked for.
    Stat,
    /// Artifacts were listed.
    List,
    /// The store was searched for what is no sound artifact.
    Audit,
    /// Old temporaries were removed.
    Sweep,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "config")]
            Self::Configure => "configure",
            Self::Open => "open",
            Self::Put => "put",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::Stat => "stat",
            Self::List => "list",
            Self::Audit => "audit",
            Self::Sweep => "sweep",
        }
    }
}

impl ErrorKind {
    /// The case in a word, as metrics and logs name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::InvalidKey(_) => "invalid-key",
            Self::InvalidRange => "invalid-range",
            Self::TooLarge { .. } => "too-large",
            Self::AccessDenied(_) => "access-denied",
            Self::NoSpace(_) => "no-space",
            Self::Corrupt(_) => "corrupt",
            Self::Unavailable(_) => "unavailable",
            Self::Unsupported(_) => "unsupported",
            Self::Other(_) => "other",
            Self::Load(_) => "load",
            Self::Trap(_) => "trap",
            Self::Exhausted { .. } => "exhausted",
            Self::Busy { .. } => "busy",
            Self::Paused(_) => "paused",
            Self::Forked => "forked",
            Self::Timeout(_) => "timeout",
            Self::Protocol(_) => "protocol",
            Self::Io(_) => "io",
            #[cfg(feature = "config")]
            Self::Configuration(_) => "configuration",
        }
    }

    /// Whether the backend itself failed, rather than the storage, the caller or the artifact.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Trap(_) | Self::Exhausted { .. } | Self::Timeout(_) | Self::Protocol(_)
        )
    }
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: Operation,
        key: Option<&str>,
        backend: &Arc<str>,
    ) -> Self {
        let (key, backend) = (key.map(str::to_owned), Arc::clone(backend));
        Self(Box::new(Inner { kind, operation, key, backend }))
    }

    /// The case.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The case, to keep.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The artifact's key, or the prefix of a listing; none where the store itself failed to open.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The backend's name: `fs`, or the component's file. Where the configuration is wrong, the
    /// store's name or the configuration's file.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.0.backend
    }

    /// Whether the same call may succeed later without anything being mended: true for
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Busy`] and [`ErrorKind::Timeout`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{Busy, Timeout, Unavailable};
        matches!(self.0.kind, Unavailable(_) | Busy { .. } | Timeout(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, key, backend } = &*self.0;
        let (verb, place) = match operation {
            #[cfg(feature = "config")]
            Operation::Configure => return kind.fmt(f),
            Operation::Open => return write!(f, "cannot open backend `{backend}`: {kind}"),
            Operation::Put => ("put", "into"),
            Operation::Get => ("get", "from"),
            Operation::Delete => ("delete", "from"),
            Operation::Stat => ("stat", "in"),
            Operation::List => ("list", "in"),
            Operation::Audit => return write!(f, "cannot audit backend `{backend}`: {kind}"),
            Operation::Sweep => return write!(f, "cannot sweep backend `{backend}`: {kind}"),
        };
        match key.as_deref() {
            Some("") if *operation == Operation::List => write!(f, "cannot list all in")?,
            Some(key) => write!(f, "cannot {verb} `{}` {place}", key.escape_debug())?,
            None => write!(f, "cannot {verb} {place}")?,
        }
        write!(f, " backend `{backend}`: {kind}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.kind)
    }
}

/// So that a reader or writer of artifacts fits where `std` or `tokio` expect one; the
/// [`Error`] is kept inside.
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
