//! Failures of the system that the backend did not cause and that pass by themselves: a shortage of
//! the host, or a file server that does not answer. WASI has no codes for most of them, so a
//! backend cannot tell them from other errors. The host notes them, and adds them to the error of
//! the call.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::budget::of_system;
use crate::error::ErrorKind;

/// The failures during one call of a backend, shared by everything that serves the call.
#[derive(Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// A call begins.
    pub(crate) fn forget(&self) {
        *self.first() = None;
    }

    /// The system returned `error`.
    pub(super) fn note(&self, error: &io::Error) {
        if let Some(text) = of_system(error) {
            self.first().get_or_insert(text);
        }
    }

    /// The error of the call that ended. If the system failed during the call, that may be the
    /// cause of the backend's error, which then becomes [`ErrorKind::Unavailable`].
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

/// Whether an error may be the backend's answer to a failure of the system. Errors that the host
/// found in its caller are not.
fn is_doubtful(kind: &ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Timeout(_) | ErrorKind::Io(_) | ErrorKind::TooLarge { .. })
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
}
