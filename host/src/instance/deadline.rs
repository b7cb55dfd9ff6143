use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The time a backend has for its present step. Progress starts the next step. While the
/// backend waits for the caller the clock stands still, but not for what it computes meanwhile.
pub(crate) struct Deadline {
    budget: Duration,
    state: Mutex<State>,
}

struct State {
    /// None while the clock stands still.
    due: Option<Instant>,
    /// How long WebAssembly ran since the last progress.
    computed: Duration,
}

impl Deadline {
    pub(crate) fn new(budget: Duration) -> Self {
        let due = Some(Instant::now() + budget);
        Self { budget, state: Mutex::new(State { due, computed: Duration::ZERO }) }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
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
        let state = self.state();
        state.computed > self.budget || state.due.is_some_and(|due| due <= Instant::now())
    }

    /// Resolves when the time is over. A pause, resume or restart puts the end off by at least
    /// `budget`, so that looking again then misses none.
    pub(crate) async fn over(&self) {
        while !self.is_over() {
            let next = self.state().due.unwrap_or_else(|| self.fresh());
            tokio::time::sleep_until(next.into()).await;
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
        let deadline = Deadline::new(Duration::from_secs(1));
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
