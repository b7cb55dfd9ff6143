//! Failures of the system that say nothing of a backend and pass by themselves: a shortage of the
//! host, or a file server that does not answer. WASI has no words for most of them, so that a
//! backend cannot tell them from others; the host takes note, and says so in its place.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::ErrorKind;
use crate::text::chain;

/// What a call of a backend met with, shared by all that serves the call.
#[derive(Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// A call begins.
    pub(crate) fn forget(&self) {
        *self.first() = None;
    }

    /// The system answered with `error`.
    pub(super) fn note(&self, error: &io::Error) {
        if let Some(text) = of_system(error) {
            self.first().get_or_insert(text);
        }
    }

    /// What an error of the call that ended means: where the system failed the backend before, it
    /// may come from that, whatever the backend makes of it.
    pub(crate) fn explain(&self, kind: ErrorKind) -> ErrorKind {
        match (&*self.first(), kind) {
            (Some(text), kind) if is_doubtful(&kind) => {
                ErrorKind::Unavailable(format!("{text}; the backend then failed: {kind}"))
            }
            (_, kind) => kind,
        }
    }

    fn first(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Whether an error may be the backend's answer to a failure of the system. Those that the host
/// found in its caller are not.
fn is_doubtful(kind: &ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Timeout(_) | ErrorKind::Io(_) | ErrorKind::TooLarge { .. })
}

/// The same for an error that has its cause with it, such as one of an instance that could not be
/// started.
pub(crate) fn explain(kind: ErrorKind) -> ErrorKind {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&kind);
    while let Some(error) = cause {
        if let Some(text) = of_cause(error) {
            return ErrorKind::Unavailable(format!("{text}; {}", chain(&kind)));
        }
        cause = error.source();
    }
    kind
}

fn of_cause(error: &(dyn Error + 'static)) -> Option<String> {
    #[cfg(unix)]
    if let Some(errno) = error.downcast_ref::<rustix::io::Errno>() {
        return of_system(&(*errno).into());
    }
    of_system(error.downcast_ref()?)
}

/// What the system's `error` says of the host or the storage, if it passes by itself.
#[cfg(unix)]
fn of_system(error: &io::Error) -> Option<String> {
    use rustix::io::Errno;
    Some(match Errno::from_io_error(error)? {
        Errno::MFILE => match rustix::process::getrlimit(rustix::process::Resource::Nofile).current
        {
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
        | Errno::SHUTDOWN => format!("the file server does not serve: {error}"),
        _ => return None,
    })
}

#[cfg(not(unix))]
fn of_system(error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::OutOfMemory).then(|| "the system has no more memory".into())
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_after_a_shortage_is_put_down_to_it() {
        let trouble = Trouble::default();
        trouble.note(&Errno::NOENT.into());
        let kind = trouble.explain(ErrorKind::Other("unknown".into()));
        assert!(matches!(kind, ErrorKind::Other(_)), "{kind}");
        trouble.note(&Errno::MFILE.into());
        trouble.note(&Errno::STALE.into());
        for kind in [ErrorKind::NotFound, ErrorKind::Trap("as asked".into())] {
            let ErrorKind::Unavailable(text) = trouble.explain(kind) else { panic!("it passes") };
            assert!(text.starts_with("too many open files: this process may have "), "{text}");
        }
        let late = trouble.explain(ErrorKind::Timeout(std::time::Duration::ZERO));
        assert!(matches!(late, ErrorKind::Timeout(_)), "{late}");
        trouble.forget();
        assert!(matches!(trouble.explain(ErrorKind::NotFound), ErrorKind::NotFound));
    }

    #[test]
    fn a_shortage_is_found_among_the_causes_of_an_error() {
        let cause = wasmtime::Error::from(io::Error::from(Errno::MFILE)).context("cannot start");
        let ErrorKind::Unavailable(text) = explain(ErrorKind::Trap(cause.into())) else {
            panic!("it passes")
        };
        assert!(text.contains("`ulimit -n`") && text.contains("cannot start"), "{text}");
        let cause = wasmtime::Error::from(Errno::NOMEM).context("cannot map memory");
        assert!(matches!(explain(ErrorKind::Trap(cause.into())), ErrorKind::Unavailable(_)));
        let cause = wasmtime::Error::msg("too many open files");
        assert!(matches!(explain(ErrorKind::Trap(cause.into())), ErrorKind::Trap(_)));
    }
}
