use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::error::ErrorKind;

/// The time a backend has for its present step. Progress starts the next step. While the
/// backend waits for the caller the clock stands still, but not for what it computes meanwhile.
pub(crate) struct Deadline {
    budget: Duration,
    state: Mutex<State>,
    closing: Arc<Closing>,
}

struct State {
    /// None while the clock stands still.
    due: Option<Instant>,
    /// How long WebAssembly ran since the last progress.
    computed: Duration,
}

/// Ends all calls of a backend at once, when it was replaced and they did not end by themselves.
#[derive(Default)]
pub(crate) struct Closing {
    is_closed: AtomicBool,
    closed: Notify,
}

impl Closing {
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.closed.notify_waiters();
    }

    pub(crate) fn reopen(&self) {
        self.is_closed.store(false, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

impl Deadline {
    pub(crate) fn new(budget: Duration, closing: Arc<Closing>) -> Self {
        let due = Some(Instant::now() + budget);
        Self { budget, state: Mutex::new(State { due, computed: Duration::ZERO }), closing }
    }

    /// What the caller is told of a call that was ended.
    pub(crate) fn failure(&self) -> ErrorKind {
        if self.closing.is_closed() {
            let text = "the backend was replaced, and the call did not end in time";
            return ErrorKind::Unavailable(text.into());
        }
        ErrorKind::Timeout(self.budget)
    }

    /// Bytes moved, or the next call began: the backend has its full time again.
    pub(crate) fn restart(&self) {
        *self.state() = State { due: Some(self.fresh()), computed: Duration::ZERO };
    }

    /// It is the caller's turn.
    pub(crate) fn pause(&self) {
        self.state().due = None;
    }

    /// It is the backend's turn again, though nothing moved.
    pub(crate) fn resume(&self) {
        self.state().due = Some(self.fresh());
    }

    /// WebAssembly ran for another `time`, whoever's turn it is.
    pub(crate) fn compute(&self, time: Duration) {
        self.state().computed += time;
    }

    pub(crate) fn is_over(&self) -> bool {
        if self.closing.is_closed() {
            return true;
        }
        let state = self.state();
        state.computed > self.budget || state.due.is_some_and(|due| due <= Instant::now())
    }

    /// Whether it was WebAssembly that took the time since the last progress, and not what it
    /// waited for.
    pub(crate) fn was_computing(&self) -> bool {
        self.state().computed > self.budget / 2
    }

    /// Resolves when the time is over or the backend closed. A pause, resume or restart puts the end off by at least
    /// `budget`, so that looking again then misses none.
    pub(crate) async fn over(&self) {
        loop {
            let closed = self.closing.closed.notified();
            if self.is_over() {
                return;
            }
            let next = self.state().due.unwrap_or_else(|| self.fresh());
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = closed => {}
            }
        }
    }

    fn fresh(&self) -> Instant {
        Instant::now() + self.budget
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stops_the_clock_but_not_the_count_of_what_is_computed() {
        let deadline = Deadline::new(Duration::from_secs(1), Arc::default());
        deadline.pause();
        deadline.compute(Duration::from_millis(600));
        assert!(!deadline.is_over());
        // To ask again, without a byte moved, buys no time.
        deadline.resume();
        deadline.pause();
        deadline.compute(Duration::from_millis(600));
        assert!(deadline.is_over());
        deadline.restart();
        assert!(!deadline.is_over());
    }
}
