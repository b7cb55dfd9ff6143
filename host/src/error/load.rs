//! Why a component cannot serve as a backend.

use std::fmt;
use std::path::PathBuf;

use super::{Cause, ErrorKind};
use crate::text;

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
    #[error("cannot read the component file")]
    Read(#[source] std::io::Error),
    /// The bytes are not a WebAssembly component; the text says what they look like.
    #[error("this is {0}, not a WebAssembly component")]
    NotAComponent(String),
    /// The component does not export the contract, or exports another version of it.
    #[error("the component does not export `{missing}`{}", found_instead(.found))]
    MissingExport {
        /// The interface that every backend exports.
        missing: String,
        /// The interfaces of this contract, of any version, that it exports instead.
        found: Vec<String>,
    },
    /// The component exports the interface, but with other types or functions.
    #[error("the component's `{interface}` does not match the contract")]
    WrongInterface {
        /// The interface that differs.
        interface: String,
        /// How it differs.
        #[source]
        source: Cause,
    },
    /// The component imports something that this host gives to no backend.
    #[error("the component imports interfaces that no grant provides: {}", .0.join(", "))]
    UnexpectedImports(Vec<String>),
    /// Loading the component takes more than the limits allow. It was stopped, or not begun.
    #[error("{}", over(name, *limit, *found, unit))]
    Limit {
        /// The name of the limit in [`LoadLimits`](crate::LoadLimits) and in the configuration,
        /// such as `function-size`.
        name: &'static str,
        /// Its value, in `unit`.
        limit: u64,
        /// The amount that was found, if known; the component may have more.
        found: Option<u64>,
        /// What the limit counts, such as `bytes in one function`.
        unit: &'static str,
    },
    /// The process that compiled the component died; the text says how.
    #[error("the process that compiles the component died: {0}")]
    Compiler(String),
    /// The engine cannot be created.
    #[error("cannot build the engine")]
    Engine(#[source] Cause),
    /// The component needs a version of WASI that this library does not have.
    #[error("the component imports `{interface}`, a version of WASI that is unknown here")]
    UnknownWasi {
        /// The first such interface.
        interface: String,
        /// Whether it is a draft, which a current toolchain no longer uses. If not, it is newer
        /// than this library.
        is_draft: bool,
        /// What could not be linked.
        #[source]
        source: Cause,
    },
    /// The WebAssembly does not validate, or cannot be compiled or linked.
    #[error("cannot compile or link the component")]
    Invalid(#[source] Cause),
    /// The component is not the pinned one.
    #[error("the component's SHA-256 is {found}, but {expected} is pinned")]
    WrongDigest {
        /// The digest that [`Backend::pin`](crate::Backend::pin) named.
        expected: String,
        /// The digest of the component, in hexadecimal digits.
        found: String,
    },
    /// Settings of the backend are missing or invalid.
    #[error("{}", together(.0))]
    Settings(Vec<SettingProblem>),
    /// A grant for the network is invalid, or needs a file that cannot be read.
    #[error("cannot use {what}")]
    Network {
        /// What was granted: an endpoint, the proxy, a certificate authority.
        what: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// The credentials that the host is to find ([`S3Credentials::aws`](crate::S3Credentials::aws))
    /// are absent or wrong; the text says where the host looked. If a retry can help, the error is
    /// [`ErrorKind::Unavailable`].
    #[error("{0}")]
    Credentials(String),
    /// The layers of a store are wrong, or cannot stand on each other; the text says why.
    #[error("{0}")]
    Layers(String),
    /// A recipient or an identity of [`Encryption`](crate::Encryption) is wrong. The text shows no
    /// secret.
    #[cfg(feature = "encrypt")]
    #[error("cannot encrypt: {0}")]
    Encryption(String),
    /// The file of the identities cannot be read.
    #[cfg(feature = "encrypt")]
    #[error("cannot read the identities in `{}`", file.display())]
    Identities {
        /// The file.
        file: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: std::io::Error,
    },
    /// The system refused a resource that the component needs, such as memory. Opening a store
    /// reports this as [`ErrorKind::Unavailable`].
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
    /// A granted directory overlaps something that a backend could replace through it: another
    /// grant, or a file that decides what a backend is or may touch. `Grants` documents what has to
    /// be separate.
    #[error(
        "the directory `{}` of {owner} {how} `{}`, {whose}", directory.display(), other.display()
    )]
    #[non_exhaustive]
    Overlap {
        /// The granted directory on the host.
        directory: PathBuf,
        /// The owner of the grant: ``store `releases` `` of a configuration, or ``backend `fs` ``.
        owner: String,
        /// How the two relate: `holds`, `lies in`, and others.
        how: &'static str,
        /// The other directory, the file, or the link.
        other: PathBuf,
        /// What the other one is, and whose: ``a writable directory of store `archive` ``, `the
        /// configuration`.
        whose: String,
    },
}

/// A setting of a backend that is missing or makes no sense.
///
/// Its `Display` is one line: the place in the configuration, if there is one, the variable, and
/// the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingProblem {
    /// The name of the variable.
    pub name: String,
    /// What is wrong with it; never its value.
    pub reason: String,
    /// The configuration file, and the line of it, from 1, on which the variable is set. If it is
    /// not set, the line is that on which the store begins. `None` without a configuration.
    pub location: Option<(PathBuf, usize)>,
}

impl SettingProblem {
    pub(crate) fn new(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), reason: reason.into(), location: None }
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, reason, location } = self;
        if let Some((file, line)) = location {
            write!(f, "{}:{line}: ", file.display())?;
        }
        write!(f, "the variable {name}: {reason}")
    }
}

fn together(problems: &[SettingProblem]) -> String {
    problems.iter().map(SettingProblem::to_string).collect::<Vec<_>>().join("; ")
}

impl From<LoadError> for ErrorKind {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(text) => Self::Unavailable(text),
            error => Self::Load(error),
        }
    }
}

/// The error for an interface whose types wasmtime found to differ.
pub(crate) fn wrong_interface(interface: &str) -> impl FnOnce(wasmtime::Error) -> LoadError {
    let interface = interface.to_owned();
    move |source| LoadError::WrongInterface { interface, source: text::cause(&source) }
}

fn over(name: &str, limit: u64, found: Option<u64>, unit: &str) -> String {
    match found {
        Some(found) => format!(
            "loading the component takes at least {found} {unit}; the limit `load.{name}` is {limit}"
        ),
        None => {
            format!(
                "loading the component takes more than the limit `load.{name}` of {limit} {unit}"
            )
        }
    }
}

fn found_instead(found: &[String]) -> String {
    match found {
        [] => String::new(),
        _ => format!(" (it exports `{}`)", found.join("`, `")),
    }
}
