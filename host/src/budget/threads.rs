//! Threads that may block: those of the process, and those of an engine that has its own. They are
//! started when needed, up to a limit, and end after a while without work.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;

use super::Deadline;
use super::deadline::Queue;
use super::runtime::{no_thread, running};
use crate::error::ErrorKind;

/// The most threads of the process, one for each running call of all stores; further calls wait.
const MOST: u64 = 4096;

/// How long a thread waits for the next job.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct State {
    jobs: VecDeque<Job>,
    /// The threads that wait, each with its own condition variable. The last one to begin is woken
    /// first: if a few threads are enough for the jobs, the others end.
    idle: Vec<Arc<Condvar>>,
    all: u64,
}

/// A pool of threads. A clone is the same pool.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Shared>);

struct Shared {
    most: u64,
    state: Mutex<State>,
}

/// Those of the process.
static OF_PROCESS: LazyLock<Threads> = LazyLock::new(|| Threads::new(MOST));

/// Receives the outcome of a job.
pub(crate) type Joined<R> = oneshot::Receiver<Result<R, ErrorKind>>;

/// Runs `job` on a thread that may block; waiting for one counts as time in the queue. A panic
/// becomes an error.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the system gives the process no thread at all.
pub(crate) fn on_thread<R: Send + 'static>(
    deadline: &Arc<Deadline>,
    job: impl FnOnce() -> Result<R, ErrorKind> + Send + 'static,
) -> Result<Joined<R>, ErrorKind> {
    deadline.queue(Queue::Thread);
    let (done, outcome) = oneshot::channel();
    let clock = Arc::clone(deadline);
    deadline
        .threads()
        .spawn(Box::new(move || {
            // Timers of the job belong to the runtime of this process.
            let _entered = running().enter();
            // A call that waited too long for a thread has already failed.
            if clock.leave_queue() {
                let outcome = catch_unwind(AssertUnwindSafe(job));
                // The receiver may be gone.
                let _ = done.send(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
            }
        }))
        .map_err(no_thread)?;
    Ok(outcome)
}

/// The outcome of `work`; a panic becomes an error.
pub(crate) fn guarded<R>(
    work: impl Future<Output = R>,
) -> impl Future<Output = Result<R, ErrorKind>> {
    AssertUnwindSafe(work).catch_unwind().map(|outcome| outcome.map_err(|panic| panicked(&*panic)))
}

/// Runs `job` at some time, if there is a thread for it; otherwise drops it.
pub(crate) fn in_background(job: impl FnOnce() + Send + 'static) {
    let job = AssertUnwindSafe(job);
    // If there is no thread, the job is dropped here.
    let _ = OF_PROCESS.spawn(Box::new(move || drop(catch_unwind(job))));
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> ErrorKind {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text");
    ErrorKind::Trap(format!("a panic: {text}").into())
}

impl Default for Threads {
    fn default() -> Self {
        OF_PROCESS.clone()
    }
}

impl Threads {
    /// At most so many; at least one.
    pub(crate) fn new(most: u64) -> Self {
        let state = State { jobs: VecDeque::new(), idle: Vec::new(), all: 0 };
        Self(Arc::new(Shared { most: most.max(1), state: Mutex::new(state) }))
    }

    fn spawn(&self, job: Job) -> io::Result<()> {
        let mut state = self.state();
        state.jobs.push_back(job);
        if let Some(bell) = state.idle.pop() {
            // The thread that wakes needs this lock at once.
            drop(state);
            bell.notify_one();
        } else if state.all < self.0.most {
            let threads = self.clone();
            let work = move || threads.work();
            match thread::Builder::new().name("artifact-store".into()).spawn(work) {
                Ok(_) => state.all += 1,
                Err(error) if state.all == 0 => {
                    state.jobs.pop_back();
                    return Err(error);
                }
                // The job waits until one of the others is free.
                Err(error) => tracing::debug!(%error, "cannot start another thread"),
            }
        }
        Ok(())
    }

    fn work(&self) {
        let bell = Arc::new(Condvar::new());
        let mut state = self.state();
        loop {
            while let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state();
            }
            state.idle.push(Arc::clone(&bell));
            let is_idle = |state: &mut State| state.idle.iter().any(|it| Arc::ptr_eq(it, &bell));
            let waited = bell.wait_timeout_while(state, IDLE, is_idle);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if is_idle(&mut state) {
                state.idle.retain(|it| !Arc::ptr_eq(it, &bell));
                state.all -= 1;
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_burst_go_while_a_few_have_work() {
        for _ in 0..64 {
            in_background(|| thread::sleep(Duration::from_millis(500)));
        }
        assert!(OF_PROCESS.state().all >= 64);
        // Other tests run jobs at the same time.
        for _ in 0..130 {
            thread::sleep(Duration::from_millis(100));
            in_background(|| ());
        }
        let all = OF_PROCESS.state().all;
        assert!(all < 32, "{all}");
    }
}
