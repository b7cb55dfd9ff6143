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

struct State {
    jobs: VecDeque<Job>,
    /// The threads that wait, each for its own bell. The one that began last is woken first, so that
    /// the others come to their end however many jobs there are for a few.
    idle: Vec<Arc<Condvar>>,
    all: usize,
}

static THREADS: Mutex<State> =
    Mutex::new(State { jobs: VecDeque::new(), idle: Vec::new(), all: 0 });

/// The outcome of a job, when it has one.
pub(crate) type Joined<R> = oneshot::Receiver<Result<R, ErrorKind>>;

/// Does `job` on a thread that may block; waiting for one is time of the queue. A panic of it is an
/// error of it.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] where the system gives the process no thread at all.
pub(crate) fn on_thread<R: Send + 'static>(
    deadline: &Arc<Deadline>,
    job: impl FnOnce() -> Result<R, ErrorKind> + Send + 'static,
) -> Result<Joined<R>, ErrorKind> {
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
    let mut state = threads();
    state.jobs.push_back(job);
    if let Some(bell) = state.idle.pop() {
        bell.notify_one();
    } else if state.all < MOST {
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

fn work() {
    let bell = Arc::new(Condvar::new());
    let mut state = threads();
    loop {
        while let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = threads();
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

fn threads() -> MutexGuard<'static, State> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_burst_go_while_a_few_have_work() {
        for _ in 0..64 {
            in_background(|| thread::sleep(Duration::from_millis(500)));
        }
        assert!(threads().all >= 64);
        // Jobs of other tests come beside these.
        for _ in 0..130 {
            thread::sleep(Duration::from_millis(100));
            in_background(|| ());
        }
        let all = threads().all;
        assert!(all < 32, "{all}");
    }
}
