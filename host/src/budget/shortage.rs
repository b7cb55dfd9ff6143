//! What the system refused to the host itself: address space, descriptors, threads, executable
//! memory. The backend is not at fault, and the shortage may pass. Only this file names the limits
//! of the system.

use std::error::Error;
use std::io;
#[cfg(unix)]
use std::sync::OnceLock;

#[cfg(unix)]
use rustix::process::{Resource, getrlimit};
use wasmtime::Config;

use crate::error::{ErrorKind, LoadError};
use crate::text;

/// The error of an operation that the system refused a resource; `None` if it failed otherwise.
pub(crate) fn shortage(error: &wasmtime::Error) -> Option<ErrorKind> {
    let refused = error.chain().find_map(system_error)?;
    // Other errors are not refusals of a resource.
    let named = of_system(&refused).or_else(|| match refused.kind() {
        // A file of the host itself; those of a backend do not appear in traps.
        io::ErrorKind::FileTooLarge => {
            Some("a file would be larger than `ulimit -f` allows".into())
        }
        io::ErrorKind::WouldBlock
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::Unsupported => {
            Some("the system refused a resource that an instance needs".into())
        }
        io::ErrorKind::ResourceBusy => {
            Some("the system was busy with the memory of a new instance".into())
        }
        _ => None,
    })?;
    let why = text::causes(error).join(": ");
    Some(ErrorKind::Unavailable(format!("{named}: {why}")))
}

/// Whether the system was busy with something for a moment. Linux refuses to seal the file of a
/// memory's first bytes while anything holds one of its pages, such as the migration of pages.
pub(crate) fn is_busy(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        system_error(cause).is_some_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
    })
}

fn system_error(cause: &(dyn Error + 'static)) -> Option<io::Error> {
    let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    #[cfg(unix)]
    let code =
        code.or_else(|| cause.downcast_ref().map(|errno: &rustix::io::Errno| errno.raw_os_error()));
    code.map(io::Error::from_raw_os_error)
}

/// The same while the component is being loaded.
pub(crate) fn refused(error: &wasmtime::Error) -> Option<LoadError> {
    match shortage(error)? {
        ErrorKind::Unavailable(text) => Some(LoadError::Refused(text)),
        _ => None,
    }
}

/// The error of a component that cannot be compiled or linked, or for which the system refused a
/// resource.
pub(crate) fn invalid(error: wasmtime::Error) -> LoadError {
    refused(&error).unwrap_or_else(|| LoadError::Invalid(text::cause(&error)))
}

/// The error of a thread or process that cannot be started, as `what` says.
pub(crate) fn not_started(what: &str, error: &io::Error) -> ErrorKind {
    let named = match error.kind() {
        // This is also the error if there is no memory for the stack of a thread.
        io::ErrorKind::WouldBlock => Some(
            "the limit of threads, processes or their memory is reached (`ulimit -u`, `ulimit -v`, \
             `pids.max`)"
                .into(),
        ),
        _ => of_system(error),
    };
    ErrorKind::Unavailable(match named {
        Some(named) => format!("{named}; {what}: {error}"),
        None => format!("{what}: {error}"),
    })
}

/// The same error, or [`ErrorKind::Unavailable`] if a passing failure of the system is among its
/// causes.
pub(crate) fn explain_trouble(kind: ErrorKind) -> ErrorKind {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&kind);
    while let Some(error) = cause {
        if let Some(named) = system_error(error).as_ref().and_then(of_system) {
            return ErrorKind::Unavailable(format!("{named}; {}", text::chain(&kind)));
        }
        cause = error.source();
    }
    kind
}

/// The meaning of the system's `error` for the host or the storage, if it passes by itself.
#[cfg(unix)]
pub(crate) fn of_system(error: &io::Error) -> Option<String> {
    use rustix::io::Errno;
    Some(match Errno::from_io_error(error)? {
        Errno::MFILE => match getrlimit(Resource::Nofile).current {
            Some(most) => {
                format!("too many open files: this process may have {most} (`ulimit -n`)")
            }
            None => "too many open files".into(),
        },
        Errno::NFILE => "too many open files on this machine (`fs.file-max`)".into(),
        Errno::NOMEM | Errno::NOBUFS => {
            "the system has no more memory for this process (`ulimit -v`, `vm.max_map_count`)"
                .into()
        }
        Errno::STALE
        | Errno::TIMEDOUT
        | Errno::NOTCONN
        | Errno::CONNABORTED
        | Errno::CONNREFUSED
        | Errno::CONNRESET
        | Errno::HOSTDOWN
        | Errno::HOSTUNREACH
        | Errno::NETDOWN
        | Errno::NETUNREACH
        | Errno::SHUTDOWN => format!("the file server does not respond: {error}"),
        _ => return None,
    })
}

#[cfg(not(unix))]
pub(crate) fn of_system(error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::OutOfMemory).then(|| "the system has no more memory".into())
}

/// Adapts the engine to the limits of this process.
///
/// wasmtime reserves 4 GiB of addresses for each memory, so that the processor checks its bounds.
/// If the address space is limited (`ulimit -v`), each memory takes what it needs, and instructions
/// check its bounds; this slows down computation. wasmtime also shares the initial bytes of
/// memories in files without a name. A filter of system calls may refuse these, and they may exceed
/// the largest file of this process (`ulimit -f`); then each memory is filled separately.
pub(crate) fn make_do(config: &mut Config) {
    let Scarce { addresses, files } = scarce();
    if addresses {
        config.memory_reservation(0).memory_reservation_for_growth(1 << 20);
        config.memory_guard_size(1 << 16).guard_before_linear_memory(false);
    }
    if files {
        config.memory_init_cow(false);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{MemfdFlags, memfd_create};
        use rustix::io::Errno;
        let made = memfd_create("artifact-store-probe", MemfdFlags::CLOEXEC);
        if matches!(made, Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS)) {
            config.memory_init_cow(false);
        }
    }
}

/// The resources that are limited for the process.
#[derive(Clone, Copy)]
pub(crate) struct Scarce {
    /// Addresses, `ulimit -v`.
    addresses: bool,
    /// Bytes in a file, `ulimit -f`.
    files: bool,
}

/// The value of the first call stays valid: all engines of the process are alike, and so are those
/// of its compiler processes.
#[cfg(unix)]
pub(crate) fn scarce() -> Scarce {
    static SCARCE: OnceLock<Scarce> = OnceLock::new();
    let is_limited = |resource| getrlimit(resource).current.is_some();
    *SCARCE.get_or_init(|| Scarce {
        addresses: is_limited(Resource::As),
        files: is_limited(Resource::Fsize),
    })
}

#[cfg(not(unix))]
pub(crate) fn scarce() -> Scarce {
    Scarce { addresses: false, files: false }
}

/// How many calls of a backend the process can open enough files for: a call of the built-in
/// backend has at most four open.
pub(crate) fn room_for_calls() -> u64 {
    const PER_CALL: u64 = 8;
    /// Other files that the process has open.
    const OTHERS: u64 = 16;
    #[cfg(unix)]
    let most = getrlimit(Resource::Nofile).current;
    #[cfg(not(unix))]
    let most = None;
    let Some(most) = most else { return u64::MAX };
    (u64::saturating_sub(most, OTHERS) / PER_CALL).max(1)
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_system_that_is_busy_for_a_moment_is_not_a_fault_of_the_backend() {
        let cause = io::Error::from(Errno::BUSY);
        let cause = wasmtime::Error::from(cause).context("cannot add seals to the memfd");
        assert!(is_busy(&cause));
        assert!(matches!(shortage(&cause), Some(ErrorKind::Unavailable(_))));
        assert!(!is_busy(&io::Error::from(Errno::MFILE).into()));
    }

    #[test]
    fn a_shortage_is_found_among_the_causes_of_an_error() {
        let cause = wasmtime::Error::from(io::Error::from(Errno::MFILE)).context("cannot start");
        let ErrorKind::Unavailable(text) = explain_trouble(ErrorKind::Trap(cause.into())) else {
            panic!("it passes")
        };
        assert!(text.contains("`ulimit -n`") && text.contains("cannot start"), "{text}");
        let cause = wasmtime::Error::from(Errno::NOMEM).context("cannot map memory");
        assert!(matches!(
            explain_trouble(ErrorKind::Trap(cause.into())),
            ErrorKind::Unavailable(_)
        ));
        let cause = wasmtime::Error::msg("too many open files");
        assert!(matches!(explain_trouble(ErrorKind::Trap(cause.into())), ErrorKind::Trap(_)));
    }
}
