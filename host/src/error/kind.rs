//! The kinds of errors of a call.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "config")]
use super::ConfigurationError;
use super::{Cause, LoadError};
use crate::interface::Interface;
use crate::text;

/// The kinds of an [`Error`](crate::Error): first those of the contract, as the backend reported
/// them, then those that the host detected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key has no artifact.
    #[error("not found")]
    NotFound,
    /// A create-only put found an artifact, which is unchanged.
    #[error("the key already has an artifact")]
    AlreadyExists,
    /// A put or deletion that was to change one [version](crate::Info::version) found another one, or
    /// a put no artifact. The key is unchanged.
    #[error("the artifact is not the expected version")]
    ConditionFailed,
    /// The key breaks the rules for keys; the text says which.
    #[error("invalid key: {0}")]
    InvalidKey(String),
    /// The offset lies beyond the end of the artifact.
    #[error("the offset is beyond the end of the artifact")]
    InvalidRange,
    /// More bytes than the backend, or the host's [`Limits::buffer`](crate::Limits::buffer),
    /// accepts.
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
    /// The stored bytes differ from those that were put. Putting or deleting the artifact repairs
    /// it.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// The storage cannot answer now; a retry may succeed.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The backend does not offer the operation.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Another error that the backend reported.
    #[error("{0}")]
    Other(String),
    /// An [attribute](crate::Attributes) is not valid; the text says which and why.
    #[error("invalid attribute: {0}")]
    InvalidAttribute(String),
    /// The component could not be loaded as a backend.
    #[error(transparent)]
    Load(LoadError),
    /// The component trapped; its instance is discarded.
    #[error("the backend trapped")]
    Trap(#[source] Cause),
    /// The backend asked for more than its limits allow, and trapped when the host refused; its
    /// instance is discarded.
    #[error("the backend exceeds the limit of {limit} {what}")]
    Exhausted {
        /// What it ran out of.
        what: Resource,
        /// The limit: see [`Limits`](crate::Limits).
        limit: u64,
        /// The trap.
        #[source]
        source: Cause,
    },
    /// The call did not start in time because other calls held all turns
    /// ([`Limits::concurrency`](crate::Limits::concurrency)) or all places for readers and writers
    /// ([`Limits::transfers`](crate::Limits::transfers)). The backend is not at fault. A call that
    /// had not begun has had no effect.
    #[error("busy: all {limit} {what} of the store were in use for {}", text::span(*.waited))]
    Busy {
        /// What was taken: `turns` or `open transfers`.
        what: &'static str,
        /// How many there are.
        limit: u64,
        /// How long the call waited: [`Limits::turn_timeout`](crate::Limits::turn_timeout).
        waited: Duration,
    },
    /// The caller of a transfer neither sent nor took a byte for this long:
    /// [`Limits::pause_timeout`](crate::Limits::pause_timeout). An artifact that was being written
    /// is not stored.
    #[error("the caller neither sent nor took bytes for {}", text::span(*.0))]
    Paused(Duration),
    /// This process was forked from one that already had a store, and has none of its threads. It
    /// can use a store only after it executes a program.
    #[error("this process was forked from one with an open store, and so it cannot use a store")]
    Forked,
    /// The backend exceeded its time: [`Limits::call_timeout`](crate::Limits::call_timeout) without
    /// a byte moving, or that plus the time that [`Limits::least_rate`](crate::Limits::least_rate)
    /// allows for the bytes that moved. A put or delete may or may not have taken effect.
    #[error("timed out: the backend took longer than {}", text::span(*.0))]
    Timeout(Duration),
    /// The backend's answer breaks the contract; no part of it was passed on as valid.
    #[error("the backend broke the contract: {0}")]
    Protocol(String),
    /// The caller's own reader or writer failed.
    #[error("the caller's side of the transfer failed")]
    Io(#[source] std::io::Error),
    /// The configuration names no store that can be opened.
    #[cfg(feature = "config")]
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// A resource of a backend, as [`ErrorKind::Exhausted`] names it. Its `Display` is a plural, to
/// follow a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of linear memory: [`Limits::memory`](crate::Limits::memory).
    Memory,
    /// Open files, streams and other handles: [`Limits::handles`](crate::Limits::handles).
    Handles,
    /// Bytes that one call returns to the host: [`Limits::buffer`](crate::Limits::buffer) plus 1
    /// MiB.
    HandedBack,
    /// Elements of all tables.
    TableElements,
    /// Linear memories of one instance.
    Memories,
    /// Tables of one instance.
    Tables,
    /// Instances of core modules in one instance of the component.
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
    /// The backend has no such interface.
    pub(crate) fn not_exported(interface: Interface) -> Self {
        Self::Unsupported(format!("the backend does not export `{}`", interface.name()))
    }

    /// The kind as one word, as metrics and logs name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::ConditionFailed => "condition-failed",
            Self::InvalidAttribute(_) => "invalid-attribute",
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

    /// Whether the backend itself is at fault, and not the storage, the caller or the artifact.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Trap(_) | Self::Exhausted { .. } | Self::Timeout(_) | Self::Protocol(_)
        )
    }

    /// Whether the store did not serve, through no doing of its caller: what operators are told.
    pub(crate) fn is_outage(&self) -> bool {
        let is_of_storage = matches!(
            self,
            Self::Unavailable(_)
                | Self::NoSpace(_)
                | Self::AccessDenied(_)
                | Self::Corrupt(_)
                | Self::Other(_)
        );
        is_of_storage || self.is_fault() || matches!(self, Self::Busy { .. } | Self::Load(_))
    }
}
