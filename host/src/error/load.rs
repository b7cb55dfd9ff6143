//! Why a component is no backend.

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
    #[error("the component's `{interface}` does not match the contract")]
    WrongInterface {
        /// The interface that differs.
        interface: String,
        /// How it differs.
        #[source]
        source: Cause,
    },
    /// The component imports what this host does not give to any backend.
    #[error("the component imports interfaces that no grant provides: {}", .0.join(", "))]
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
    #[error("the process that compiles the component died: {0}")]
    Compiler(String),
    /// The engine cannot be built.
    #[error("cannot build the engine")]
    Engine(#[source] Cause),
    /// WebAssembly that does not validate, or cannot be compiled or linked.
    #[error("cannot compile or link the component")]
    Invalid(#[source] Cause),
    /// The component is not the one that was pinned.
    #[error("the component's SHA-256 is {found}, but {expected} is pinned")]
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
