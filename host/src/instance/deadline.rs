use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The time a backend has for its present step. Progress starts the next step; while the
/// backend waits for the caller the clock stands still.
pub(crate) struct Deadline {
    budget: Duration,
    /// None while the clock stands still.
    due: Mutex<Option<Instant>>,
}

impl Deadline {
    pub(crate) fn new(budget: Duration) -> Self {
        Self { budget, due: Mutex::new(Some(Instant::now() + budget)) }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// The backend did something, or is asked for something: it has its full time again.
    pub(crate) fn restart(&self) {
        self.set(Some(Instant::now() + self.budget));
    }

    /// It is the caller's turn.
    pub(crate) fn pause(&self) {
        self.set(None);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.get().is_some_and(|due| due <= Instant::now())
    }

    /// Resolves when the time is over. A pause or restart puts the end off by at least
    /// `budget`, so that looking again then misses none.
    pub(crate) async fn over(&self) {
        while !self.is_over() {
            let next = self.get().unwrap_or_else(|| Instant::now() + self.budget);
            tokio::time::sleep_until(next.into()).await;
        }
    }

    fn get(&self) -> Option<Instant> {
        *self.due.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn set(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(|e| e.into_inner()) = due;
    }
}
