//! What can go wrong with a call.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "config")]
use super::ConfigurationError;
use super::{Cause, LoadError};
use crate::text;

/// The cases of an [`Error`](crate::Error): first those of the contract, as the backend reported them,
/// then what the host found out by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no artifact under this key.
    #[error("not found")]
    NotFound,
    /// A create-only put met an artifact; it is untouched.
    #[error("the key already has an artifact")]
    AlreadyExists,
    /// The key breaks the rules for keys; the text says how.
    #[error("invalid key: {0}")]
    InvalidKey(String),
    /// The offset lies beyond the end of the artifact.
    #[error("the offset is beyond the end of the artifact")]
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
    #[error("the backend exceeds the limit of {limit} {what}")]
    Exhausted {
        /// What it ran out of.
        what: Resource,
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
    #[error("busy: all {limit} {what} of the store were in use for {}", text::span(*.waited))]
    Busy {
        /// What there was none of: `turns` or `open transfers`.
        what: &'static str,
        /// How many there are.
        limit: u64,
        /// How long the call waited: [`Limits::turn_timeout`](crate::Limits::turn_timeout).
        waited: Duration,
    },
    /// The caller of a transfer neither sent nor took a byte for so long:
    /// [`Limits::pause_timeout`](crate::Limits::pause_timeout). What was being written is not
    /// stored.
    #[error("the caller neither sent nor took bytes for {}", text::span(*.0))]
    Paused(Duration),
    /// This process was forked from one that had a store by then, and has none of its threads. It
    /// can use no store unless it executes a program anew.
    #[error("this process was forked from one with an open store, and so it cannot use a store")]
    Forked,
    /// The backend took longer than its time: [`Limits::call_timeout`](crate::Limits::call_timeout)
    /// without a byte that moved, or the sum of that and what
    /// [`Limits::least_rate`](crate::Limits::least_rate) allows for the bytes that did.
    /// Whether a put or delete took effect is unknown.
    #[error("timed out: the backend took longer than {}", text::span(*.0))]
    Timeout(Duration),
    /// The backend's answer breaks the contract; nothing of it was passed on as right.
    #[error("the backend broke the contract: {0}")]
    Protocol(String),
    /// The caller's own reader or writer failed.
    #[error("the caller's side of the transfer failed")]
    Io(#[source] std::io::Error),
    /// The configuration names no store that could be opened.
    #[cfg(feature = "config")]
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// What a backend may use up, as [`ErrorKind::Exhausted`] names it. Its `Display` is a plural, for
/// the number of it to stand before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of linear memory: [`Limits::memory`](crate::Limits::memory).
    Memory,
    /// Open files, streams and other handles: [`Limits::handles`](crate::Limits::handles).
    Handles,
    /// Bytes that one call hands to the host: [`Limits::buffer`](crate::Limits::buffer) and 1 MiB.
    HandedBack,
    /// Elements of all tables.
    TableElements,
    /// Linear memories of one instance.
    Memories,
    /// Tables of one instance.
    Tables,
    /// Instances of modules in one instance of the whole.
    Instances,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "bytes of memory",
            Self::Handles => "handles",
            Self::HandedBack => "bytes passed to the host in one call",
            Self::TableElements => "table elements",
            Self::Memories => "memories",
            Self::Tables => "tables",
            Self::Instances => "instances",
        })
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
