//! What a component is, and what it could do, without running it.

mod language;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use wasmparser::{KnownCustom, Parser, Payload};

use self::language::Language;
use crate::error::LoadError;
use crate::interface::Interface;
use crate::text::foreign;

/// What the file of a component tells about itself. Made by
/// [`Backend::inspect`](crate::Backend::inspect), which does not run it.
///
/// ```
/// use artifact_store::{Access, Backend};
///
/// let fs = Backend::from_bytes("fs", Backend::fs_component()).inspect()?;
/// assert!(fs.exports.iter().any(|name| name.starts_with("artifact:storage/streams@")));
/// assert!(fs.access().contains(&Access::Files) && !fs.access().contains(&Access::Network));
/// # Ok::<(), artifact_store::LoadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The number of bytes of the file.
    pub size: u64,
    /// The SHA-256 of the file, in 64 hexadecimal digits, as [`Backend::pin`](crate::Backend::pin)
    /// takes it.
    pub digest: String,
    /// The interfaces that it offers, with their versions.
    pub exports: Vec<String>,
    /// The interfaces that it imports, with their versions.
    pub imports: Vec<String>,
    /// Which tools say that they made it, in which version: `rustc`, `1.95.0`. A component may
    /// say what it likes, or nothing.
    pub producers: BTreeMap<String, String>,
    /// The language that it is written in, as far as the tools that made it tell: an interpreter's or
    /// that of the bindings. `None` where they tell nothing, as those for C.
    pub language: Option<String>,
}

/// What an import lets a component do. Each needs a grant beside it.
///
/// ```
/// assert_eq!(artifact_store::Access::Clocks.to_string(), "read clocks and wait");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Access {
    /// Files, below the directories that are granted.
    Files,
    /// Sockets; this library keeps them closed.
    Network,
    /// HTTP requests.
    Http,
    /// The variables that are granted.
    Environment,
    /// Standard input and output; this library connects them with nothing.
    Standard,
    /// The time.
    Clocks,
    /// Random numbers.
    Random,
    /// Another backend, which it is a layer over.
    Backend,
    /// What this library does not know, and gives to no component.
    Unknown,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "read and write in granted directories",
            Self::Network => "use sockets, which stay closed",
            Self::Http => "send HTTP requests to granted hosts",
            Self::Environment => "read granted environment variables",
            Self::Standard => "use standard input and output, which are not connected",
            Self::Clocks => "read clocks and wait",
            Self::Random => "draw random numbers",
            Self::Backend => "store and read through another backend",
            Self::Unknown => "use what this host does not know or offer",
        })
    }
}

impl Access {
    /// What an interface of this name lets a component do; none where it is nothing by itself.
    #[must_use]
    pub fn of(import: &str) -> Option<Self> {
        let name = import.split_once('@').map_or(import, |(name, _)| name);
        Some(match name {
            "artifact:storage/types" | "wasi:cli/exit" | "wasi:cli/types" => return None,
            "wasi:cli/environment" => Self::Environment,
            _ if name.starts_with("wasi:io/") => return None,
            _ if name.starts_with("wasi:filesystem/") => Self::Files,
            _ if name.starts_with("wasi:sockets/") => Self::Network,
            _ if name.starts_with("wasi:http/") => Self::Http,
            _ if name.starts_with("wasi:cli/") => Self::Standard,
            _ if name.starts_with("wasi:clocks/") => Self::Clocks,
            _ if name.starts_with("wasi:random/") => Self::Random,
            _ if name.starts_with("artifact:storage/") => Self::Backend,
            _ => Self::Unknown,
        })
    }
}

impl Inspection {
    pub(crate) fn of(bytes: &[u8], digest: String) -> Result<Self, LoadError> {
        let invalid = |error: wasmparser::BinaryReaderError| {
            LoadError::Invalid(foreign(&error.to_string()).into())
        };
        let (mut exports, mut imports) = (Vec::new(), Vec::new());
        let (mut producers, mut language) = (BTreeMap::new(), Language::default());
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(invalid)?;
            language.note(&payload).map_err(invalid)?;
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        imports.push(foreign(import.map_err(invalid)?.name.name));
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        exports.push(foreign(export.map_err(invalid)?.name.name));
                    }
                }
                Payload::CustomSection(section) => {
                    let KnownCustom::Producers(fields) = section.as_known() else { continue };
                    for field in fields {
                        let field = field.map_err(invalid)?;
                        for value in field.values {
                            let value = value.map_err(invalid)?;
                            if field.name != "language" {
                                producers.insert(foreign(value.name), foreign(value.version));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        let size = bytes.len() as u64;
        Ok(Self { size, digest, exports, imports, producers, language: language.name() })
    }

    /// Whether it exports this interface of the contract, in the version of this library.
    #[must_use]
    pub fn offers(&self, interface: Interface) -> bool {
        self.exports.iter().any(|name| name == interface.export())
    }

    /// What its imports let it do, all taken together.
    #[must_use]
    pub fn access(&self) -> BTreeSet<Access> {
        self.imports.iter().filter_map(|import| Access::of(import)).collect()
    }

    /// What it can do that `old` could not.
    #[must_use]
    pub fn new_access(&self, old: &Self) -> BTreeSet<Access> {
        let mut new = &self.access() - &old.access();
        // Of what is not known, another thing is another access.
        let is_unknown = |import: &&String| Access::of(import) == Some(Access::Unknown);
        if self.imports.iter().filter(is_unknown).any(|import| !old.imports.contains(import)) {
            new.insert(Access::Unknown);
        }
        new
    }
}
