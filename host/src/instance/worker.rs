//! Work that blocks: on a thread of its own, for callers that may not, or on the caller's.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::engine::running;
use super::{Deadline, Inline};
use crate::error::ErrorKind;

/// The right to be one of the calls that run at once; none for what needs no such right.
pub(crate) type Permit = Option<OwnedSemaphorePermit>;

/// How long after its deadline a call that does not end is left to itself. All that is not stuck
/// in the system ends much sooner.
const GRACE: Duration = Duration::from_secs(1);

/// Resolves to what the work on another thread returned, or to an error where it panicked. Where
/// that thread hangs in the system, so that it cannot see its deadline, it is left to itself.
///
/// Work that has begun runs to its end even where nobody waits for it any more.
///
/// Work that is done [`here`](Self::here) needs no other thread: whoever polls does it.
pub(crate) struct Worker<R: Send + 'static> {
    state: State<R>,
    deadline: Arc<Deadline>,
    overdue: Pin<Box<dyn Future<Output = ErrorKind> + Send + Sync>>,
}

enum State<R> {
    /// Whoever waits for a turn holds no thread: those are for the calls that run, also the ones
    /// of other backends.
    Waiting(Pin<Box<dyn Future<Output = Permit> + Send + Sync>>, Start<R>),
    Running(JoinHandle<R>),
    /// Never locked: only one thread at a time may have it, and a lock says so.
    Here(Mutex<Here<R>>),
    /// Done here; taken by the one who asks.
    Done(Option<R>),
}

struct Here<R> {
    work: Pin<Box<dyn Future<Output = R> + Send>>,
    has_begun: bool,
    /// On a task, which may not block; none on a thread that may.
    inline: Option<Arc<Inline>>,
}

impl<R: Send + 'static> Here<R> {
    /// Goes on elsewhere.
    fn move_on(&mut self) -> JoinHandle<R> {
        let nothing = Box::pin(std::future::pending());
        let work = std::mem::replace(&mut self.work, nothing);
        if let Some(inline) = self.inline.take() {
            inline.go_on();
        }
        running().spawn_blocking(move || pollster::block_on(work))
    }
}

type Start<R> = Option<Box<dyn FnOnce(Permit) -> JoinHandle<R> + Send + Sync>>;

impl<R: Send + 'static> Worker<R> {
    /// Begins at once.
    pub(crate) fn spawn(
        deadline: Arc<Deadline>,
        work: impl AsyncFnOnce() -> R + Send + 'static,
    ) -> Self {
        let work = running().spawn_blocking(move || pollster::block_on(work()));
        Self::new(deadline, State::Running(work))
    }

    /// Begins when it has its turn, which is now if one is free.
    pub(crate) fn spawn_in_turn(
        turns: &Arc<Semaphore>,
        deadline: Arc<Deadline>,
        work: impl AsyncFnOnce(Permit) -> R + Send + Sync + 'static,
    ) -> Self {
        let start =
            move |permit| running().spawn_blocking(move || pollster::block_on(work(permit)));
        let state = match Arc::clone(turns).try_acquire_owned() {
            Ok(permit) => State::Running(start(Some(permit))),
            Err(_) => {
                let turn = Arc::clone(turns).acquire_owned();
                // It fails where the semaphore is closed, which nobody does.
                State::Waiting(Box::pin(async { turn.await.ok() }), Some(Box::new(start)))
            }
        };
        Self::new(deadline, state)
    }

    /// Is done by whoever waits for it, on a thread that may block.
    pub(crate) fn here(
        deadline: Arc<Deadline>,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        let here = Here { work: Box::pin(work), has_begun: false, inline: None };
        Self::new(deadline, State::Here(Mutex::new(here)))
    }

    /// Is done by whoever waits for it, on a task, until it asks for a thread.
    pub(crate) fn inline(
        deadline: Arc<Deadline>,
        inline: Arc<Inline>,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        let here = Here { work: Box::pin(work), has_begun: false, inline: Some(inline) };
        Self::new(deadline, State::Here(Mutex::new(here)))
    }

    fn new(deadline: Arc<Deadline>, state: State<R>) -> Self {
        let watched = Arc::clone(&deadline);
        let overdue = async move {
            loop {
                watched.over().await;
                tokio::time::sleep(GRACE).await;
                // Bytes may have moved again.
                if watched.is_over() {
                    return watched.failure();
                }
            }
        };
        Self { state, deadline, overdue: Box::pin(overdue) }
    }
}

impl<R: Send + 'static> Worker<R> {
    /// Does what can be done now of work that is done here.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        if let State::Here(here) = &mut self.state {
            let here = here.get_mut().unwrap_or_else(|e| e.into_inner());
            here.has_begun = true;
            // Timers belong to this runtime, whichever one polls.
            let _entered = here.inline.as_ref().map(|_| running().enter());
            if let Poll::Ready(done) = here.work.as_mut().poll(cx) {
                self.state = State::Done(Some(done));
            } else if here.inline.as_ref().is_some_and(|inline| inline.is_asking()) {
                self.state = State::Running(here.move_on());
            }
        }
    }

    /// The caller turns to something else, and nothing is done here meanwhile: that is not the
    /// backend's time.
    pub(crate) fn pause(&self) {
        if let State::Here(_) = self.state {
            self.deadline.pause();
        }
    }

    /// The caller is back.
    pub(crate) fn resume(&self) {
        if let State::Here(_) = self.state {
            self.deadline.resume();
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, ErrorKind>> {
        loop {
            match &mut self.state {
                State::Waiting(turn, start) => {
                    let permit = ready!(turn.as_mut().poll(cx));
                    if let Some(start) = start.take() {
                        self.state = State::Running(start(permit));
                    }
                }
                State::Running(work) => {
                    let done = ready!(Pin::new(work).poll(cx));
                    return Poll::Ready(done.map_err(|panic| ErrorKind::Trap(panic.into())));
                }
                State::Here(_) => {
                    self.advance(cx);
                    if let State::Here(_) = self.state {
                        return Poll::Pending;
                    }
                }
                State::Done(done) => {
                    let twice = || ErrorKind::Unavailable("the outcome was taken before".into());
                    return Poll::Ready(done.take().ok_or_else(twice));
                }
            }
        }
    }
}

impl<R: Send + 'static> Future for Worker<R> {
    type Output = Result<R, ErrorKind>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = self.poll_work(cx) {
            return Poll::Ready(done);
        }
        if let State::Here(_) = self.state {
            return Poll::Pending;
        }
        // The timer belongs to this runtime, whichever one polls.
        let _entered = running().enter();
        if let Poll::Ready(failure) = self.overdue.as_mut().poll(cx) {
            return Poll::Ready(Err(failure));
        }
        if matches!(self.state, State::Waiting(..)) && self.deadline.is_over() {
            return Poll::Ready(Err(self.deadline.failure()));
        }
        Poll::Pending
    }
}

/// Nothing in it is pinned but what lies in a box.
impl<R: Send + 'static> Unpin for Worker<R> {}

/// Nobody waits for it any more: what has begun here goes on elsewhere.
impl<R: Send + 'static> Drop for Worker<R> {
    fn drop(&mut self) {
        if let State::Here(here) = &mut self.state {
            let here = here.get_mut().unwrap_or_else(|e| e.into_inner());
            if !here.has_begun {
                return;
            }
            self.deadline.resume();
            drop(here.move_on());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn soon() -> Arc<Deadline> {
        Arc::new(Deadline::new(Duration::from_millis(10), Arc::default()))
    }

    #[test]
    fn work_that_hangs_in_the_system_is_left_to_itself() {
        let begun = Instant::now();
        let hanging = Worker::spawn(soon(), async || std::thread::sleep(Duration::from_secs(60)));
        let outcome = pollster::block_on(hanging);
        assert!(matches!(outcome, Err(ErrorKind::Timeout(_))), "{outcome:?}");
        // At its end a process waits for no such thread.
        assert!(begun.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn work_that_waits_for_its_turn_holds_no_thread_and_gives_up() {
        let turns = Arc::new(Semaphore::new(1));
        let taken = Arc::clone(&turns).try_acquire_owned().unwrap();
        // More than there are threads.
        let waiting = || Worker::spawn_in_turn(&turns, soon(), async |_| ());
        let waiting: Vec<_> = (0..2000).map(|_| waiting()).collect();
        let late = || Arc::new(Deadline::new(Duration::from_secs(60), Arc::default()));
        pollster::block_on(Worker::spawn(late(), async || ())).unwrap();
        for waiting in waiting {
            let outcome = pollster::block_on(waiting);
            assert!(matches!(outcome, Err(ErrorKind::Timeout(_))), "{outcome:?}");
        }
        drop(taken);
        let in_turn = Worker::spawn_in_turn(&turns, late(), async |permit| permit.is_some());
        assert!(pollster::block_on(in_turn).unwrap());
    }
}
