//! Threads that may block, for all stores of the process. They come as they are needed, up to a
//! bound, and go when they have had nothing to do for a while.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;

use super::Deadline;
use super::deadline::Queue;
use super::runtime::{no_thread, running};
use crate::error::ErrorKind;

/// One for each call that runs, of all stores together; further ones wait.
const MOST: usize = 4096;

/// How long a thread waits for the next job.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct Threads {
    state: Mutex<State>,
    comes: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    all: usize,
}

static THREADS: Threads = Threads {
    state: Mutex::new(State { jobs: VecDeque::new(), idle: 0, all: 0 }),
    comes: Condvar::new(),
};

/// The outcome of a job, when it has one.
pub(crate) type Outcome<R> = oneshot::Receiver<Result<R, ErrorKind>>;

/// Does `job` on a thread that may block; waiting for one is time of the queue. A panic of it is an
/// error of it.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] where the system gives the process no thread at all.
pub(crate) fn on_thread<R: Send + 'static>(
    deadline: &Arc<Deadline>,
    job: impl FnOnce() -> Result<R, ErrorKind> + Send + 'static,
) -> Result<Outcome<R>, ErrorKind> {
    deadline.queue(Queue::Thread);
    let (done, outcome) = oneshot::channel();
    let clock = Arc::clone(deadline);
    spawn(Box::new(move || {
        // Its timers belong to the runtime of this process.
        let _entered = running().enter();
        // Whoever waited too long for a thread was told so.
        if clock.leave_queue() {
            let outcome = catch_unwind(AssertUnwindSafe(job));
            // Nobody may be interested any more.
            let _ = done.send(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
        }
    }))
    .map_err(no_thread)?;
    Ok(outcome)
}

/// Does `job` some time, where there is a thread for it, and gives it up otherwise.
pub(crate) fn in_background(job: impl FnOnce() + Send + 'static) {
    let job = AssertUnwindSafe(job);
    // Where there is no thread it is dropped right here.
    let _ = spawn(Box::new(move || drop(catch_unwind(job))));
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> ErrorKind {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text");
    ErrorKind::Trap(format!("a panic: {text}").into())
}

fn spawn(job: Job) -> io::Result<()> {
    let mut state = THREADS.state();
    state.jobs.push_back(job);
    if state.jobs.len() > state.idle && state.all < MOST {
        match thread::Builder::new().name("artifact-store".into()).spawn(work) {
            Ok(_) => state.all += 1,
            Err(error) if state.all == 0 => {
                state.jobs.pop_back();
                return Err(error);
            }
            // The job waits until one of the others is free.
            Err(error) => tracing::debug!(%error, "no further thread"),
        }
    }
    THREADS.comes.notify_one();
    Ok(())
}

fn work() {
    let mut state = THREADS.state();
    loop {
        while let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = THREADS.state();
        }
        state.idle += 1;
        let waited = THREADS.comes.wait_timeout_while(state, IDLE, |state| state.jobs.is_empty());
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        if state.jobs.is_empty() {
            state.all -= 1;
            return;
        }
    }
}

impl Threads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
