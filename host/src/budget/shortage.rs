//! What the system refused to the host itself: address space, descriptors, executable memory. It is
//! nobody's fault, and may pass.

use std::io;
#[cfg(unix)]
use std::sync::OnceLock;

use wasmtime::Config;

use crate::error::{ErrorKind, LoadError};
use crate::text;

/// The error of what failed because the system refused something; none where it failed otherwise.
pub(crate) fn shortage(error: &wasmtime::Error) -> Option<ErrorKind> {
    let refused = error.chain().find_map(|cause| {
        let code = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        #[cfg(unix)]
        let code = code.or_else(|| {
            cause.downcast_ref::<rustix::io::Errno>().map(|errno| errno.raw_os_error())
        });
        code.map(io::Error::from_raw_os_error)
    })?;
    // Others are no answer to a request for more.
    let is_shortage = matches!(
        refused.kind(),
        io::ErrorKind::OutOfMemory
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::Unsupported
    ) || is_out_of_files(&refused);
    is_shortage.then(|| {
        let texts: Vec<_> = text::causes(error);
        let why = texts.join(": ");
        ErrorKind::Unavailable(format!("the system refused what an instance needs: {why}"))
    })
}

#[cfg(unix)]
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(not(unix))]
fn is_out_of_files(_: &io::Error) -> bool {
    false
}

/// The error of a component that cannot be compiled or linked, or for which the system refused what
/// that takes.
pub(crate) fn invalid(error: wasmtime::Error) -> LoadError {
    match shortage(&error) {
        Some(ErrorKind::Unavailable(text)) => LoadError::Refused(text),
        _ => LoadError::Invalid(text::cause(&error)),
    }
}

/// Makes do with what the system gives this process.
///
/// wasmtime reserves 4 GiB of addresses for each memory, so that the processor checks its bounds.
/// Where the process may have only so many (`ulimit -v`), each memory takes what it needs, and
/// instructions check its bounds; that is slower for what computes much. And it shares the initial
/// bytes of memories in files without a name, which a filter of system calls may refuse.
pub(crate) fn make_do(config: &mut Config) {
    if is_short_of_addresses() {
        config.memory_reservation(0).memory_reservation_for_growth(1 << 20);
        config.memory_guard_size(1 << 16).guard_before_linear_memory(false);
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

/// Whether the process may have only so many addresses, as of the first time that this is asked: all
/// engines of the process are alike.
#[cfg(unix)]
pub(crate) fn is_short_of_addresses() -> bool {
    use rustix::process::{Resource, getrlimit};
    static IS_SHORT: OnceLock<bool> = OnceLock::new();
    *IS_SHORT.get_or_init(|| getrlimit(Resource::As).current.is_some())
}

#[cfg(not(unix))]
pub(crate) fn is_short_of_addresses() -> bool {
    false
}

/// How many calls of a backend the process may open enough files for: a call of the built-in one has
/// four open at most.
pub(crate) fn room_for_calls() -> usize {
    const PER_CALL: u64 = 8;
    /// What the process has open besides.
    const OTHERS: u64 = 16;
    #[cfg(unix)]
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let most = None;
    let Some(most) = most else { return usize::MAX };
    let calls = u64::saturating_sub(most, OTHERS) / PER_CALL;
    usize::try_from(calls).unwrap_or(usize::MAX).max(1)
}
