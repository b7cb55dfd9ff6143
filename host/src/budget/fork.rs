//! A process that was forked while it had a store has none of its threads, and locks that nobody
//! will release: a call there would wait for ever. It is told so instead.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked from one that had made its runtime.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// From here on a fork is noticed. A child that executes another program notices nothing.
pub(super) fn notice() {
    #[cfg(unix)]
    {
        extern "C" fn child() {
            IS_CHILD.store(true, Ordering::Relaxed);
        }
        static NOTICED: std::sync::Once = std::sync::Once::new();
        NOTICED.call_once(|| {
            // SAFETY: the function that is called in the child only sets a flag. Where there is no
            // memory to note it, a fork is not noticed, as before.
            unsafe { libc::pthread_atfork(None, None, Some(child)) };
        });
    }
}
