//! A caller that pauses: for how long, and what happens to its transfer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::turn::Turn;
use super::{Deadline, Timer, after};
use crate::error::ErrorKind;

/// The wait of a transfer for its caller.
#[derive(Default)]
pub(crate) struct Patience {
    timer: Option<Timer>,
    turn: Option<Turn>,
}

impl Patience {
    /// Waits for the caller, whose time runs. Ready if it has paused for too long, so that the
    /// transfer has to end.
    pub(crate) fn poll_over(&mut self, clock: &Arc<Deadline>, cx: &mut Context<'_>) -> Poll<()> {
        clock.pause();
        loop {
            match clock.pause_left() {
                None => {
                    return if clock.verdict().is_some() { Poll::Ready(()) } else { Poll::Pending };
                }
                Some(left) if left.is_zero() => {
                    clock.end_pause();
                    return Poll::Ready(());
                }
                // An earlier timer can only be early: the remaining time grows when the caller
                // acts.
                Some(left) => {
                    ready!(self.timer.get_or_insert_with(|| after(left)).as_mut().poll(cx));
                    self.timer = None;
                }
            }
        }
    }

    /// The caller has acted. Ready when the backend may go on, which takes a turn; an error if it
    /// got none.
    pub(crate) fn poll_turn(
        &mut self,
        clock: &Arc<Deadline>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ErrorKind>> {
        if let Some(verdict) = clock.verdict() {
            return Poll::Ready(Err(verdict));
        }
        if self.turn.is_none() && clock.has_turn() {
            clock.resume();
            return Poll::Ready(Ok(()));
        }
        let turn = self.turn.get_or_insert_with(|| clock.turn());
        let taken = ready!(turn.as_mut().poll(cx));
        self.turn = None;
        match taken {
            Ok(()) => clock.go_on(),
            Err(_) => clock.end_pause(),
        }
        Poll::Ready(taken)
    }
}

/// A transfer whose caller does the work. While the caller is elsewhere nothing runs, so that a
/// watcher has to detect that the pause is over or the backend was closed.
pub(crate) trait Away: Send + Sync {
    /// Ends the transfer on another thread if that is so. False if it need not be watched any more.
    fn look(&self) -> bool;
}

static WATCHED: Mutex<Vec<Weak<dyn Away>>> = Mutex::new(Vec::new());

/// How often pauses are checked.
const LOOK: Duration = Duration::from_millis(250);

/// Watches this transfer.
pub(crate) fn watch(away: Weak<dyn Away>) {
    watched().push(away);
}

/// Checks all of them at intervals, for as long as the process runs.
pub(super) async fn watch_all() {
    loop {
        tokio::time::sleep(LOOK).await;
        let all = std::mem::take(&mut *watched());
        let mut rest = all;
        rest.retain(|away| away.upgrade().is_some_and(|away| away.look()));
        watched().append(&mut rest);
    }
}

fn watched() -> MutexGuard<'static, Vec<Weak<dyn Away>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}
