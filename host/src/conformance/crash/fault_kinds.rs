//! The ways in which a call of the filesystem is made to fail.

use std::fmt;

use super::recorder::{Intent, Refusal, Seen};

/// A failure of one call of the filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The device is full.
    NoSpace,
    /// The user's quota is used up.
    Quota,
    /// The filesystem was remounted read-only.
    ReadOnly,
    /// The process has too many open files; WASI has no other code for this than `io`.
    TooManyOpenFiles,
    /// The device failed.
    Io,
    /// Half of the bytes were moved, and then the stream ended as if it were complete.
    ShortTransfer,
    /// The filesystem cannot sync a directory.
    UnsupportedSync,
    /// The system refuses the access.
    Permission,
}

impl Fault {
    pub(super) const ALL: [Self; 8] = [
        Self::NoSpace,
        Self::Quota,
        Self::ReadOnly,
        Self::TooManyOpenFiles,
        Self::Io,
        Self::ShortTransfer,
        Self::UnsupportedSync,
        Self::Permission,
    ];

    /// Whether a real system could fail in this way at this call.
    pub(super) fn fits(self, call: &Seen) -> bool {
        let intent = &call.intent;
        let is_open = matches!(intent, Intent::Open { .. });
        let changes = !matches!(
            intent,
            Intent::Look | Intent::Read | Intent::Sync { .. } | Intent::Open { create: false, .. }
        );
        let syncs = matches!(intent, Intent::Sync { .. });
        match self {
            Self::NoSpace | Self::Quota => {
                (changes && !matches!(intent, Intent::Unlink { .. })) || syncs
            }
            Self::ReadOnly => changes,
            Self::TooManyOpenFiles => is_open,
            Self::Io | Self::Permission => true,
            Self::ShortTransfer => matches!(intent, Intent::Read | Intent::Write),
            Self::UnsupportedSync => matches!(intent, Intent::Sync { is_dir: true, .. }),
        }
    }

    /// Whether a backend may continue as if this sync had succeeded: a system that cannot sync a
    /// directory keeps the order of names by itself.
    pub(super) fn is_tolerable(self, call: &Seen) -> bool {
        matches!(call.intent, Intent::Sync { is_dir: true, .. })
            && matches!(self, Self::UnsupportedSync | Self::Permission)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSpace => "no space",
            Self::Quota => "quota used up",
            Self::ReadOnly => "read-only filesystem",
            Self::TooManyOpenFiles => "too many open files",
            Self::Io => "input/output error",
            Self::ShortTransfer => "short transfer",
            Self::UnsupportedSync => "directories cannot be synced",
            Self::Permission => "permission denied",
        })
    }
}

/// When calls fail. Calls are counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Failing {
    #[default]
    Never,
    Once(usize, Fault),
    /// The process is killed before this call.
    Killed(usize),
}

impl Failing {
    pub(super) fn at(self, call: usize) -> Option<Refusal> {
        match self {
            Self::Once(at, fault) if at == call => Some(Refusal::Fault(fault)),
            Self::Killed(at) if call >= at => Some(Refusal::Killed),
            _ => None,
        }
    }
}
