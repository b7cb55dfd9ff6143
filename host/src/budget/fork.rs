//! A process that was forked while it had a store has none of its threads, and locks that are never
//! released: a call would wait for ever. It fails instead.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked from one that had made its runtime.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// Detects forks from here on. A child that executes another program is not affected.
pub(super) fn notice() {
    #[cfg(unix)]
    {
        extern "C" fn child() {
            IS_CHILD.store(true, Ordering::Relaxed);
        }
        static NOTICED: std::sync::Once = std::sync::Once::new();
        NOTICED.call_once(|| {
            // SAFETY: the function that is called in the child only sets a flag. If there is no
            // memory to register it, forks go undetected, as before.
            unsafe { libc::pthread_atfork(None, None, Some(child)) };
        });
    }
}
