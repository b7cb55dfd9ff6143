//! How a check lets the store below a layer fail. What the layer is told is what the host would tell it
//! of storage that fails so.

use crate::error::ErrorKind;

/// A failure of the store below a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Every call fails at once.
    Refuse(Given),
    /// A change fails at its end, when all bytes and the seal were taken, and nothing is stored.
    Lose(Given),
    /// A read brings the first half of its bytes, and then fails.
    Cut,
    /// A read states more bytes than it brings, and then fails.
    Overstate,
}

/// The error that the layer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    AccessDenied,
    NoSpace,
    Corrupt,
    Unavailable,
    Other,
}

/// How many bytes more than it brings a read states.
pub(crate) const OVERSTATED: u64 = 1000;

const TEXT: &str = "the check lets the store below fail";

impl Given {
    pub(crate) fn kind(self) -> ErrorKind {
        let text = TEXT.to_owned();
        match self {
            Self::AccessDenied => ErrorKind::AccessDenied(text),
            Self::NoSpace => ErrorKind::NoSpace(text),
            Self::Corrupt => ErrorKind::Corrupt(text),
            Self::Unavailable => ErrorKind::Unavailable(text),
            Self::Other => ErrorKind::Other(text),
        }
    }
}
