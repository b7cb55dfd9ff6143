//! What the process was started with, noted before Rust's runtime changes it.
//!
//! The runtime opens `/dev/null` in the place of a closed descriptor 0, 1 or 2, so that no file that
//! is opened later gets such a number. From `main` on a closed standard input therefore looks like
//! an empty one, and what is written to a closed standard output is lost without an error. It also
//! cannot be seen in `main` which descriptors were there from the start.
//!
//! This is the only unsafe code of the command line.

#[cfg(unix)]
use std::fs::File;
#[cfg(unix)]
use std::io;

/// The signals that end a process, can be caught, and are no sign of a fault in it.
#[cfg(unix)]
pub const ENDING: &[i32] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGXCPU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    #[cfg(target_os = "linux")]
    libc::SIGIO,
    #[cfg(target_os = "linux")]
    libc::SIGPWR,
    #[cfg(target_os = "linux")]
    libc::SIGSTKFLT,
];

/// Whether descriptor `number` (0, 1 or 2) was closed when the process started.
pub fn is_closed(number: u32) -> bool {
    #[cfg(unix)]
    return at_start::is_closed(number);
    #[cfg(not(unix))]
    {
        let _ = number;
        false
    }
}

/// Whether the process was started with this signal ignored, as `nohup` and a shell without job
/// control do.
#[cfg(unix)]
pub fn is_ignored(signal: i32) -> bool {
    at_start::is_ignored(signal)
}

/// A duplicate of a descriptor that the process was started with. It shares its position and flags.
///
/// # Errors
///
/// [`io::ErrorKind::NotConnected`] where there was none of this number.
#[cfg(unix)]
pub fn inherited(number: u32) -> io::Result<File> {
    use std::os::fd::FromRawFd;

    let none = || io::Error::new(io::ErrorKind::NotConnected, "it is closed");
    let number = i32::try_from(number).map_err(|_| none())?;
    // SAFETY: asks for the flags of a number, and changes nothing, whatever that number is.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    // What this process has opened itself is marked to be closed by `exec`; what came through
    // `exec` cannot be.
    if flags == -1 || flags & libc::FD_CLOEXEC != 0 || is_closed(number.unsigned_abs()) {
        return Err(none());
    }
    // SAFETY: makes a new descriptor (above 2), and leaves `number` as it is.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if duplicate == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made in the line above, so that nobody else owns it.
    Ok(unsafe { File::from_raw_fd(duplicate) })
}

/// Whether the main thread may have a stack of so many bytes, so that no other thread is needed
/// for that.
pub fn has_stack(bytes: usize) -> bool {
    #[cfg(unix)]
    {
        let most = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
        most.is_none_or(|most| usize::try_from(most).is_ok_and(|most| most >= bytes))
    }
    #[cfg(not(unix))]
    {
        let _ = bytes;
        false
    }
}

/// Has all threads allocate from one arena where addresses are limited (`ulimit -v`): the others
/// would reserve 64 MiB each, which then are missing. Threads that come later keep to it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn spare_addresses() {
    let is_limited = rustix::process::getrlimit(rustix::process::Resource::As).current.is_some();
    if is_limited {
        // SAFETY: it sets a number of the allocator, which has its own lock.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

#[cfg(unix)]
mod at_start {
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

    use super::ENDING;

    /// A bit for each of the descriptors 0, 1 and 2 that was closed.
    static CLOSED: AtomicU8 = AtomicU8::new(0);
    /// A bit for each signal of `ENDING` that was ignored.
    static IGNORED: AtomicU64 = AtomicU64::new(0);

    pub fn is_closed(number: u32) -> bool {
        number < 3 && CLOSED.load(Relaxed) & (1 << number) != 0
    }

    pub fn is_ignored(signal: i32) -> bool {
        (0..64).contains(&signal) && IGNORED.load(Relaxed) & (1 << signal) != 0
    }

    /// Called by the system's loader before `main`, and so before Rust's runtime: it may use
    /// nothing of the standard library that needs the runtime, and uses two calls of the system and
    /// two atomics.
    extern "C" fn look() {
        for number in 0..3 {
            // SAFETY: asks for the flags of a number, which changes nothing and may fail.
            if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
                CLOSED.fetch_or(1 << number, Relaxed);
            }
        }
        for &signal in ENDING {
            // SAFETY: zeros are a valid `sigaction`, which the call fills; without a new action it
            // changes nothing.
            let old = unsafe {
                let mut old: libc::sigaction = std::mem::zeroed();
                let outcome = libc::sigaction(signal, std::ptr::null(), &mut old);
                (outcome == 0).then_some(old)
            };
            if old.is_some_and(|old| old.sa_sigaction == libc::SIG_IGN) {
                IGNORED.fetch_or(1 << signal, Relaxed);
            }
        }
    }

    // SAFETY: the section is the loader's list of functions without arguments to be called before
    // `main`, and `look` is one.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;
}
