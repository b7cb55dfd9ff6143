//! The meaning of a system error for the caller of the contract. Only this file decides it.

use alloc::format;
use alloc::string::String;

use artifact_store_backend::Error;

use super::{Called, ErrorCode};

/// A call that the system refused: the operation, the name, and the answer.
pub struct Failure {
    pub doing: &'static str,
    pub path: String,
    pub code: ErrorCode,
}

impl Failure {
    /// Whether the name did not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self.code, ErrorCode::NoEntry)
    }

    /// Whether a directory was read to its end except for names that are not UTF-8. Only this
    /// project's host reports this, and names them; others stop at the first.
    pub fn left_out(&self) -> bool {
        matches!(self.code, ErrorCode::Other(Some(_)))
    }

    /// Whether no link was made because the filesystem has none, as Linux answers to whoever may
    /// change the directory.
    pub fn is_for_want_of_links(&self) -> bool {
        matches!(self.code, ErrorCode::NotPermitted | ErrorCode::Unsupported)
    }

    /// Whether a directory was not removed because there is something in it.
    pub fn is_not_empty(&self) -> bool {
        matches!(self.code, ErrorCode::NotEmpty | ErrorCode::Exist)
    }

    /// Whether the name existed.
    pub fn is_taken(&self) -> bool {
        matches!(self.code, ErrorCode::Exist)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        use ErrorCode as Code;
        let Failure { doing, path, code } = failure;
        let text = |why: &str| format!("cannot {doing} `{path}`: {why}");
        match code {
            Code::InsufficientSpace => Error::NoSpace(text("no space left on the device")),
            Code::Quota => Error::NoSpace(text("the quota is used up")),
            Code::FileTooLarge => Error::NoSpace(text("the file is too large for the filesystem")),
            Code::TooManyLinks => Error::NoSpace(text("the directory cannot take more entries")),
            Code::Access | Code::NotPermitted => Error::AccessDenied(text("permission denied")),
            Code::ReadOnly => Error::AccessDenied(text("the filesystem is read-only")),
            Code::Busy | Code::TextFileBusy => Error::Unavailable(text("it is in use")),
            Code::Deadlock | Code::NoLock => Error::Unavailable(text("it is locked")),
            Code::InsufficientMemory => {
                Error::Unavailable(text("the system is out of memory or open files"))
            }
            Code::Interrupted | Code::InProgress | Code::Already => {
                Error::Unavailable(text("interrupted"))
            }
            // Lookups of a key handle this answer before; elsewhere the name had just been seen.
            Code::NoEntry => Error::Unavailable(text("it is gone")),
            Code::Loop => Error::Corrupt(text("a link stands in its place")),
            Code::NotDirectory => Error::Corrupt(text("it is not a directory")),
            Code::IsDirectory | Code::NotEmpty => {
                Error::Corrupt(text("a directory stands in its place"))
            }
            Code::IllegalByteSequence => Error::Other(text("it holds a name that is not UTF-8")),
            Code::CrossDevice => Error::Other(text("it is on another filesystem than `tmp`")),
            Code::NameTooLong => Error::Other(text("the name is too long for the filesystem")),
            // Hosts use this code for all that WASI has no code for, so nothing follows from it.
            Code::Io => Error::Other(text(
                "input/output error, or an error without a code in WASI: too many open files, a \
                 full quota, a read-only filesystem",
            )),
            Code::Unsupported => Error::Unsupported(text("the filesystem cannot do this")),
            Code::Invalid => Error::Other(text("the system rejects the operation as invalid")),
            Code::NoDevice | Code::NoSuchDevice => Error::Other(text("the device is gone")),
            Code::Other(Some(why)) => Error::Other(text(&why)),
            _ => Error::Other(text("the system returned an unexpected error")),
        }
    }
}

/// The outcome of a step that is as good if somebody else took it: that its file is not there any
/// more is no failure.
pub fn by_anybody(taken: Called<()>) -> Called<()> {
    match taken {
        Err(failure) if failure.is_absent() => Ok(()),
        taken => taken,
    }
}
