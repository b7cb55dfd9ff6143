//! Blocking work: on another thread, for callers that must not block, or on the thread of its
//! caller.

mod again;
mod here;

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;

use crate::Limits;
use crate::budget::{
    Admitted, Deadline, Inline, Joined, begin_beside, guarded, has_place, is_child,
    network_runtime, on_thread, running, runtime, watch,
};
use crate::error::ErrorKind;

use here::{Here, lock};

/// How long a call may run after its end before it is abandoned. Unless it is stuck in the system,
/// it ends much sooner.
const GRACE: Duration = Duration::from_secs(1);

/// Resolves to the result of work on another thread, or to an error if it panicked. If that thread
/// hangs in the system and cannot see its end, it is abandoned.
///
/// Work that has begun runs to its end, even if its result is no longer needed.
///
/// Work that is done [`here`](Self::here) needs no other thread: the task or thread that polls does
/// it.
pub(crate) struct Worker<R: Send + 'static> {
    state: State<R>,
    deadline: Arc<Deadline>,
    overdue: Pin<Box<dyn Future<Output = ErrorKind> + Send + Sync>>,
}

enum State<R> {
    /// A call that waits for a turn holds no thread: threads are for running calls, including those
    /// of other backends.
    Waiting(Waiting, Start<R>),
    Running(Joined<R>),
    /// The waiter is a layer, and one thread does both.
    Beside(Joined<R>),
    Here(Arc<Mutex<Here<R>>>),
    /// The result; `None` once it was taken.
    Done(Option<Result<R, ErrorKind>>),
}

/// Where work is done that nobody does who waits for it.
#[derive(Clone, Copy)]
pub(crate) enum Site {
    /// On a thread of its own, which may block.
    Thread,
    /// On the thread of the layer that waits for it, if that has a place.
    Beside,
    /// As a task of the runtime that drives its sockets, which may not block.
    Network,
}

type Waiting = Pin<Box<dyn Future<Output = Result<Admitted, ErrorKind>> + Send + Sync>>;

type Start<R> = Option<Box<dyn FnOnce(Admitted) -> State<R> + Send + Sync>>;

impl<R: Send + 'static> State<R> {
    fn started(
        deadline: &Arc<Deadline>,
        job: impl FnOnce() -> Result<R, ErrorKind> + Send + 'static,
    ) -> Self {
        match on_thread(deadline, job) {
            Ok(outcome) => Self::Running(outcome),
            Err(no_thread) => Self::Done(Some(Err(no_thread))),
        }
    }

    /// As a task beside the sockets that it waits for.
    fn networked(work: impl Future<Output = R> + Send + 'static) -> Self {
        let runtime = match network_runtime() {
            Ok(runtime) => runtime,
            Err(no_thread) => return Self::Done(Some(Err(no_thread))),
        };
        let (work, outcome) = reported(work);
        drop(runtime.spawn(work));
        Self::Running(outcome)
    }

    /// There has to be a place for it.
    fn beside(work: impl Future<Output = R> + Send + 'static) -> Self {
        let (work, outcome) = reported(work);
        begin_beside(Box::pin(work));
        Self::Beside(outcome)
    }
}

/// The same work, which ends with nothing, and who receives its outcome.
fn reported<R>(work: impl Future<Output = R>) -> (impl Future<Output = ()>, Joined<R>) {
    let (done, outcome) = oneshot::channel();
    // The receiver may be gone.
    (guarded(work).map(|outcome| drop(done.send(outcome))), outcome)
}

impl<R: Send + 'static> Worker<R> {
    /// Begins at once.
    pub(crate) fn spawn(
        deadline: Arc<Deadline>,
        work: impl AsyncFnOnce() -> R + Send + 'static,
    ) -> Self {
        let state = State::started(&deadline, move || Ok(pollster::block_on(work())));
        Self::new(deadline, state)
    }

    /// Work that is over.
    pub(crate) fn ended(deadline: Arc<Deadline>, outcome: R) -> Self {
        Self::new(deadline, State::Done(Some(Ok(outcome))))
    }

    /// Begins when it has its turn: now, if one is free.
    pub(crate) fn in_turn<F>(
        deadline: Arc<Deadline>,
        is_transfer: bool,
        site: Site,
        work: impl FnOnce(Admitted) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = R> + Send + 'static,
    {
        let clock = Arc::clone(&deadline);
        let start = move |admitted| match site {
            Site::Network => State::networked(work(admitted)),
            Site::Beside if has_place() => State::beside(work(admitted)),
            _ => State::started(&clock, move || Ok(pollster::block_on(work(admitted)))),
        };
        let state = match deadline.try_admit(is_transfer) {
            Some(admitted) => start(admitted),
            None => {
                let admitted = Arc::clone(&deadline).admit(is_transfer);
                State::Waiting(Box::pin(admitted), Some(Box::new(start)))
            }
        };
        Self::new(deadline, state)
    }

    /// Work that its waiter does on a thread that may block.
    pub(crate) fn here(
        deadline: Arc<Deadline>,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        Self::new_here(deadline, None, Box::pin(work))
    }

    /// Work that its waiter does on a task, until it asks for a thread.
    pub(crate) fn inline(
        deadline: Arc<Deadline>,
        inline: Arc<Inline>,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        Self::new_here(deadline, Some(inline), Box::pin(work))
    }

    fn new_here(
        deadline: Arc<Deadline>,
        inline: Option<Arc<Inline>>,
        work: Pin<Box<dyn Future<Output = R> + Send>>,
    ) -> Self {
        let here = Here::new(Arc::clone(&deadline), inline, work);
        Self::new(deadline, State::Here(Arc::new(Mutex::new(here))))
    }

    fn new(deadline: Arc<Deadline>, state: State<R>) -> Self {
        let watched = Arc::clone(&deadline);
        let overdue = async move {
            loop {
                watched.over().await;
                tokio::time::sleep(GRACE).await;
                // Bytes may have moved in between.
                if watched.is_over() {
                    return watched.failure();
                }
            }
        };
        Self { state, deadline, overdue: Box::pin(overdue) }
    }

    /// Advances work that is done here, as far as possible now.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        if let State::Here(here) = &self.state {
            // Timers belong to this runtime, whatever executor polls.
            let _entered = running().enter();
            let next = lock(here).poll(cx);
            if let Poll::Ready(next) = next {
                self.state = next;
            }
        }
    }

    /// The caller turns to something else, and nothing is done here meanwhile. This is the caller's
    /// time, and other calls may have the turn.
    pub(crate) fn pause(&self) {
        let State::Here(here) = &self.state else { return };
        self.deadline.pause();
        if lock(here).needs_watcher() {
            let here: Weak<Mutex<Here<R>>> = Arc::downgrade(here);
            watch(here);
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, ErrorKind>> {
        loop {
            match &mut self.state {
                State::Waiting(turn, start) => {
                    let admitted = ready!(turn.as_mut().poll(cx));
                    self.state = match (admitted, start.take()) {
                        (Ok(admitted), Some(start)) => start(admitted),
                        (Ok(_), None) => State::Done(None),
                        (Err(busy), _) => State::Done(Some(Err(busy))),
                    };
                }
                State::Running(outcome) | State::Beside(outcome) => {
                    let outcome = ready!(Pin::new(outcome).poll(cx));
                    // A call that waited too long for a thread has not begun.
                    return Poll::Ready(outcome.unwrap_or_else(|_| Err(self.deadline.failure())));
                }
                State::Here(_) => {
                    self.advance(cx);
                    if let State::Here(_) = self.state {
                        return Poll::Pending;
                    }
                }
                State::Done(done) => {
                    let twice = || ErrorKind::Unavailable("the outcome was already taken".into());
                    return Poll::Ready(done.take().unwrap_or_else(|| Err(twice())));
                }
            }
        }
    }
}

impl<R: Send + 'static> Future for Worker<R> {
    type Output = Result<R, ErrorKind>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Timers belong to this runtime, whatever executor polls.
        let _entered = running().enter();
        if let Poll::Ready(done) = self.poll_work(cx) {
            return Poll::Ready(done);
        }
        match self.state {
            // These detect their end by themselves.
            State::Here(_) | State::Beside(_) | State::Waiting(..) => Poll::Pending,
            _ => self.overdue.as_mut().poll(cx).map(Err),
        }
    }
}

/// Runs `look`, which waits for the disk, on a thread that may block. It is abandoned if the disk
/// does not answer within `call_timeout`.
pub(crate) async fn look_at_disk<R: Send + Sync + 'static>(
    limits: &Limits,
    look: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ErrorKind> {
    runtime()?;
    let clock = Arc::new(Deadline::new(limits, Arc::default(), None));
    let looking = Arc::clone(&clock);
    Worker::spawn(clock, async move || {
        looking.look();
        look()
    })
    .await
}

/// Only boxed contents are pinned.
impl<R: Send + 'static> Unpin for Worker<R> {}

/// If its result is no longer needed, work that has begun here goes on elsewhere.
impl<R: Send + 'static> Drop for Worker<R> {
    fn drop(&mut self) {
        if let State::Here(here) = &self.state {
            match is_child() {
                // It holds things of threads that exist only in the parent.
                true => std::mem::forget(Arc::clone(here)),
                false => drop(lock(here).go_elsewhere()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
