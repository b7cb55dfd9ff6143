//! A request of a backend that the host did not send.

use std::fmt;

use super::ErrorKind;

/// Why a request was not sent.
#[cfg_attr(not(feature = "network"), allow(dead_code, reason = "no backend has requests"))]
pub(crate) enum Refused {
    /// It was not granted; the text is the rest of a sentence about the backend.
    NotGranted(String),
    /// The host has no credentials to sign it with.
    Unsigned(ErrorKind),
}

impl Refused {
    /// The error of a call in which this happened. If the backend's answer may be a consequence, the
    /// error says why the request was not sent.
    pub(crate) fn explain(self, kind: ErrorKind) -> ErrorKind {
        use ErrorKind::{AccessDenied, Other, Unavailable};
        match self {
            _ if !matches!(kind, AccessDenied(_) | Unavailable(_) | Other(_)) => kind,
            Self::NotGranted(what) => AccessDenied(format!("the backend {what} (it says: {kind})")),
            Self::Unsigned(error) => error,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(what) => write!(f, "a backend {what}"),
            Self::Unsigned(error) => write!(f, "a request of a backend is not signed: {error}"),
        }
    }
}
