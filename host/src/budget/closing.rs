//! Ending all calls of a backend.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Ends all calls of a backend at once, if it was replaced and they have not ended by themselves.
#[derive(Default)]
pub(crate) struct Closing {
    is_closed: AtomicBool,
    pub(super) closed: Notify,
}

impl Closing {
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.closed.notify_waiters();
    }

    pub(crate) fn reopen(&self) {
        self.is_closed.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}
