//! The turn that a call holds: it is granted, offered to other calls while it is idle, taken back,
//! and returned at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::Deadline;
use super::clock::{Queue, Whose};
use crate::budget::Turns;

/// The turn of a call.
#[derive(Default)]
pub(super) struct HeldTurn {
    permit: Option<OwnedSemaphorePermit>,
    /// Whether other calls may take it.
    is_offered: bool,
}

impl HeldTurn {
    pub(super) fn is_held(&self) -> bool {
        self.permit.is_some()
    }
}

impl Deadline {
    pub(in crate::budget) fn has_turn(&self) -> bool {
        self.turns.is_none() || self.state().turn.is_held()
    }

    /// Whether the turn went to another call while the caller paused.
    pub(crate) fn has_lost_turn(&self) -> bool {
        self.turns.is_some() && {
            let state = self.state();
            state.clock.whose == Whose::Caller && !state.turn.is_held()
        }
    }

    pub(in crate::budget) fn grant(&self, turn: OwnedSemaphorePermit) {
        let mut state = self.state();
        state.turn.permit = Some(turn);
        state.clock.began = Instant::now();
    }

    /// Takes the turn for another call if this one does nothing in it: its caller has paused for
    /// `pause`, or the task that waited for the turn has not used it for `unused`.
    pub(in crate::budget) fn take_back(
        &self,
        pause: Duration,
        unused: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        let mut state = self.state();
        let idle = state.clock.began.elapsed();
        let is_idle = match state.clock.whose {
            Whose::Caller => idle >= pause,
            Whose::Queue(Queue::Turn) => idle >= unused,
            _ => false,
        };
        let taken = state.turn.permit.take_if(|_| is_idle);
        state.turn.is_offered &= taken.is_none();
        taken
    }

    /// The call may not need its turn now.
    pub(in crate::budget) fn offer_turn(self: &Arc<Self>) {
        let was_offered = std::mem::replace(&mut self.state().turn.is_offered, true);
        if !was_offered && let Some(turns) = &self.turns {
            turns.offer(self);
        }
    }

    /// The call has ended.
    pub(in crate::budget) fn give_turn_back(self: &Arc<Self>) {
        let HeldTurn { permit, is_offered } = std::mem::take(&mut self.state().turn);
        drop(permit);
        if is_offered && let Some(turns) = &self.turns {
            turns.withdraw(self);
        }
    }

    pub(in crate::budget) fn turns(&self) -> Option<&Arc<Turns>> {
        self.turns.as_ref()
    }
}
