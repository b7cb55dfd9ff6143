use std::fmt;

/// What was being done when an [`Error`](crate::Error) came up. Its `Display` is the word that metrics and logs
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
