//! The code of WASI for each failure of the system: one table for both generations, and for all
//! functions of the host's own `wasi:filesystem`.

use std::io;

use wasmtime::component::ResourceTableError;
use wasmtime_wasi::{p2, p3};

/// The result of a function of `wasi:filesystem`.
pub(super) type Called<T> = Result<T, Refusal>;

/// Why a function failed.
pub(super) enum Refusal {
    /// The backend named a handle that does not exist, or has too many.
    Trap(wasmtime::Error),
    /// The host refused it.
    Refused(Code),
    /// The system failed.
    System(io::Error),
}

impl From<wasmtime::Error> for Refusal {
    fn from(trap: wasmtime::Error) -> Self {
        Self::Trap(trap)
    }
}

impl From<ResourceTableError> for Refusal {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::Refused(code)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

#[cfg(unix)]
impl From<rustix::io::Errno> for Refusal {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::System(errno.into())
    }
}

/// The codes that both generations have, with the same names.
macro_rules! codes {
    ($($name:ident)*) => {
        /// The code of a failure in WASI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            /// This is `busy` in WASI 0.3.
            WouldBlock,
            $($name),*
        }

        impl From<Code> for p2::bindings::filesystem::types::ErrorCode {
            fn from(code: Code) -> Self {
                match code {
                    Code::WouldBlock => Self::WouldBlock,
                    $(Code::$name => Self::$name),*
                }
            }
        }

        impl From<Code> for p3::bindings::filesystem::types::ErrorCode {
            fn from(code: Code) -> Self {
                match code {
                    Code::WouldBlock => Self::Busy,
                    $(Code::$name => Self::$name),*
                }
            }
        }
    };
}

codes! {
    Access Already BadDescriptor Busy CrossDevice Deadlock Exist FileTooLarge IllegalByteSequence
    InProgress Interrupted Invalid Io IsDirectory Loop MessageSize NameTooLong NoDevice NoEntry
    NoLock NoSuchDevice NoTty InsufficientMemory InsufficientSpace NotDirectory NotEmpty
    NotPermitted NotRecoverable Overflow Pipe Quota ReadOnly InvalidSeek TextFileBusy TooManyLinks
    Unsupported
}

impl Code {
    pub(super) fn of(error: &io::Error) -> Self {
        #[cfg(unix)]
        if let Some(code) = rustix::io::Errno::from_io_error(error).and_then(by_number) {
            return code;
        }
        by_kind(error.kind())
    }
}

#[cfg(unix)]
fn by_number(errno: rustix::io::Errno) -> Option<Code> {
    use rustix::io::Errno;
    Some(match errno {
        Errno::ACCESS => Code::Access,
        Errno::AGAIN => Code::WouldBlock,
        Errno::ALREADY => Code::Already,
        Errno::BADF => Code::BadDescriptor,
        Errno::BUSY => Code::Busy,
        Errno::DEADLK => Code::Deadlock,
        Errno::DQUOT => Code::Quota,
        Errno::EXIST => Code::Exist,
        Errno::FBIG => Code::FileTooLarge,
        Errno::ILSEQ => Code::IllegalByteSequence,
        Errno::INPROGRESS => Code::InProgress,
        Errno::INTR => Code::Interrupted,
        Errno::INVAL => Code::Invalid,
        Errno::IO => Code::Io,
        Errno::ISDIR => Code::IsDirectory,
        Errno::LOOP => Code::Loop,
        // WASI has no code for too many open files. They are a shortage of the host, like memory.
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Code::InsufficientMemory,
        Errno::MLINK => Code::TooManyLinks,
        Errno::MSGSIZE => Code::MessageSize,
        Errno::NAMETOOLONG => Code::NameTooLong,
        Errno::NODEV => Code::NoDevice,
        Errno::NOENT => Code::NoEntry,
        Errno::NOLCK => Code::NoLock,
        Errno::NOSPC => Code::InsufficientSpace,
        Errno::NOSYS => Code::Unsupported,
        Errno::NOTDIR => Code::NotDirectory,
        Errno::NOTEMPTY => Code::NotEmpty,
        Errno::NOTRECOVERABLE => Code::NotRecoverable,
        Errno::NOTTY => Code::NoTty,
        Errno::NXIO => Code::NoSuchDevice,
        Errno::OVERFLOW => Code::Overflow,
        Errno::PERM => Code::NotPermitted,
        Errno::PIPE => Code::Pipe,
        Errno::ROFS => Code::ReadOnly,
        Errno::SPIPE => Code::InvalidSeek,
        Errno::TXTBSY => Code::TextFileBusy,
        Errno::XDEV => Code::CrossDevice,
        // The key for decrypting the file is missing.
        #[cfg(target_os = "linux")]
        Errno::NOKEY | Errno::KEYEXPIRED | Errno::KEYREVOKED => Code::Access,
        // These have the same number on some systems, and two numbers on others.
        _ if errno == Errno::NOTSUP || errno == Errno::OPNOTSUPP => Code::Unsupported,
        _ => return None,
    })
}

/// For errors that do not come from the system, and for systems with other numbers.
fn by_kind(kind: io::ErrorKind) -> Code {
    use io::ErrorKind as Kind;
    match kind {
        Kind::NotFound => Code::NoEntry,
        // A path that leads out of the granted directory.
        Kind::PermissionDenied => Code::NotPermitted,
        Kind::AlreadyExists => Code::Exist,
        Kind::InvalidInput => Code::Invalid,
        Kind::InvalidFilename => Code::NameTooLong,
        Kind::IsADirectory => Code::IsDirectory,
        Kind::NotADirectory => Code::NotDirectory,
        Kind::DirectoryNotEmpty => Code::NotEmpty,
        Kind::ReadOnlyFilesystem => Code::ReadOnly,
        Kind::StorageFull => Code::InsufficientSpace,
        Kind::QuotaExceeded => Code::Quota,
        Kind::FileTooLarge => Code::FileTooLarge,
        Kind::ResourceBusy => Code::Busy,
        Kind::ExecutableFileBusy => Code::TextFileBusy,
        Kind::CrossesDevices => Code::CrossDevice,
        Kind::TooManyLinks => Code::TooManyLinks,
        Kind::Unsupported => Code::Unsupported,
        Kind::OutOfMemory => Code::InsufficientMemory,
        Kind::Interrupted => Code::Interrupted,
        Kind::WouldBlock => Code::WouldBlock,
        _ => Code::Io,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_of_the_system_has_its_own_code() {
        for (errno, code) in [
            (Errno::DQUOT, Code::Quota),
            (Errno::ROFS, Code::ReadOnly),
            (Errno::NOSPC, Code::InsufficientSpace),
            (Errno::FBIG, Code::FileTooLarge),
            (Errno::TXTBSY, Code::TextFileBusy),
            (Errno::XDEV, Code::CrossDevice),
            (Errno::AGAIN, Code::WouldBlock),
            (Errno::BUSY, Code::Busy),
            (Errno::MFILE, Code::InsufficientMemory),
            (Errno::NFILE, Code::InsufficientMemory),
            (Errno::NOTSUP, Code::Unsupported),
            // WASI has no codes for these.
            (Errno::STALE, Code::Io),
            (Errno::TIMEDOUT, Code::Io),
        ] {
            assert_eq!(Code::of(&errno.into()), code, "{errno}");
        }
    }

    #[test]
    fn an_error_of_the_host_has_the_code_of_its_kind() {
        let escape = io::Error::new(io::ErrorKind::PermissionDenied, "out of the directory");
        assert_eq!(Code::of(&escape), Code::NotPermitted);
    }
}
