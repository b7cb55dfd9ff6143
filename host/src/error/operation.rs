use std::fmt;

/// The operation in which an [`Error`](crate::Error) occurred. Its `Display` is the word that
/// metrics and logs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A configuration was read.
    #[cfg(feature = "config")]
    Configure,
    /// A backend was loaded.
    Open,
    /// An artifact was stored, by one call or by a writer.
    Put,
    /// An artifact was read, by one call or by a reader.
    Get,
    /// An artifact was copied within the store.
    Copy,
    /// An artifact was removed.
    Delete,
    /// The info of an artifact was read.
    Stat,
    /// Artifacts were listed.
    List,
    /// The store was searched for items that are not sound artifacts.
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
            Self::Copy => "copy",
            Self::Delete => "delete",
            Self::Stat => "stat",
            Self::List => "list",
            Self::Audit => "audit",
            Self::Sweep => "sweep",
        }
    }
}
