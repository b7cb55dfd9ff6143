//! Work that its waiter does: what happens when the waiter pauses, loses its turn, needs a thread, or
//! goes away.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use super::State;
use super::again::poll_again;
use crate::budget::{Away, Deadline, Inline, Turn, is_child};

/// Work that its waiter does.
pub(super) struct Here<R> {
    deadline: Arc<Deadline>,
    /// `None` once it is done, or was moved to another thread.
    work: Option<Pin<Box<dyn Future<Output = R> + Send>>>,
    has_begun: bool,
    /// `Some` on a task, which may not block; `None` on a thread that may.
    inline: Option<Arc<Inline>>,
    /// Gets back the turn that another call took.
    turn: Option<Turn>,
    is_watched: bool,
    /// What it became if it was moved while its caller was elsewhere.
    moved: Option<State<R>>,
}

impl<R: Send + 'static> Here<R> {
    pub(super) fn new(
        deadline: Arc<Deadline>,
        inline: Option<Arc<Inline>>,
        work: Pin<Box<dyn Future<Output = R> + Send>>,
    ) -> Self {
        Self {
            deadline,
            work: Some(work),
            has_begun: false,
            inline,
            turn: None,
            is_watched: false,
            moved: None,
        }
    }

    /// Whether a watcher has to end the pause: true once, after the work has begun.
    pub(super) fn needs_watcher(&mut self) -> bool {
        let needs_watcher = self.has_begun && !self.is_watched;
        self.is_watched |= needs_watcher;
        needs_watcher
    }

    /// Does what can be done now. Ready when nothing more is done here.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<State<R>> {
        if let Some(moved) = self.moved.take() {
            return Poll::Ready(moved);
        }
        if self.turn.is_none() && self.deadline.has_lost_turn() {
            self.turn = Some(self.deadline.turn());
        }
        if let Some(turn) = &mut self.turn {
            let taken = ready!(turn.as_mut().poll(cx));
            self.turn = None;
            if taken.is_err() {
                self.deadline.end_pause();
                return Poll::Ready(self.go_elsewhere());
            }
            self.deadline.go_on();
        }
        self.deadline.resume();
        let Some(work) = &mut self.work else {
            return Poll::Ready(State::Done(Some(Err(self.deadline.failure()))));
        };
        self.has_begun = true;
        if let Poll::Ready(done) = poll_again(cx, |cx| work.as_mut().poll(cx)) {
            self.work = None;
            return Poll::Ready(State::Done(Some(Ok(done))));
        }
        if self.inline.as_ref().is_some_and(|inline| inline.is_asking()) {
            return Poll::Ready(self.go_elsewhere());
        }
        Poll::Pending
    }

    /// Moves the rest of the work to another thread, if it has begun.
    pub(super) fn go_elsewhere(&mut self) -> State<R> {
        let work = self.work.take().filter(|_| self.has_begun);
        let Some(work) = work else { return State::Done(Some(Err(self.deadline.failure()))) };
        if let Some(inline) = self.inline.take() {
            inline.go_on();
        }
        let deadline = Arc::clone(&self.deadline);
        State::started(&self.deadline, move || {
            pollster::block_on(async move {
                // A call that only has to be ended needs no turn.
                match deadline.verdict().is_none() && deadline.take_turn().await.is_err() {
                    true => deadline.end_pause(),
                    false => deadline.go_on(),
                }
                Ok(work.await)
            })
        })
    }
}

impl<R: Send + 'static> Away for Mutex<Here<R>> {
    fn look(&self) -> bool {
        // Its waiter is polling it.
        let Ok(mut here) = self.try_lock() else { return true };
        if here.work.is_none() || is_child() {
            return false;
        }
        if here.deadline.is_pause_over() {
            here.deadline.end_pause();
        } else if !here.deadline.is_closed() {
            return true;
        }
        here.moved = Some(here.go_elsewhere());
        false
    }
}

pub(super) fn lock<R>(here: &Mutex<Here<R>>) -> MutexGuard<'_, Here<R>> {
    here.lock().unwrap_or_else(PoisonError::into_inner)
}
