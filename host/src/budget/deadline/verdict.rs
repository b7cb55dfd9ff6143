//! What the caller is told of a call that was ended.

use super::clock::{Queue, Times, Whose};
use super::service::Service;
use super::{Deadline, State};
use crate::error::ErrorKind;
use crate::limits::LoadLimits;
use crate::text::span;

/// Why a call ends, if the reason is not the backend's time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Busy(Queue),
    Paused,
}

impl Deadline {
    /// The error of a call that was ended.
    pub(crate) fn failure(&self) -> ErrorKind {
        if self.is_closed() {
            let text = "the backend was replaced, and the call did not end in time";
            return ErrorKind::Unavailable(text.into());
        }
        let state = self.settled();
        let (clock, limits) = (&state.clock, &self.limits);
        if let (None, Whose::Backend, Some(text)) =
            (state.verdict, clock.whose, state.unreached(limits))
        {
            return ErrorKind::Unavailable(text);
        }
        match (state.verdict, clock.whose) {
            (Some(verdict), _) => limits.told(verdict),
            (None, Whose::Queue(queue)) => limits.told(Verdict::Busy(queue)),
            (None, Whose::Compiler) => LoadLimits::too_slow(limits.load).into(),
            (None, Whose::Disk) => {
                let seconds = limits.call.as_secs_f64();
                ErrorKind::Unavailable(format!("the disk did not answer within {seconds} s"))
            }
            // The whole call took too long, and its last step did not.
            (None, _) if clock.step < limits.call && clock.computed()[0] <= limits.call => {
                ErrorKind::Timeout(limits.allowed(clock.bytes.total()))
            }
            (None, _) => ErrorKind::Timeout(limits.call),
        }
    }

    /// Why the call ends, if the reason is not the backend's time.
    pub(crate) fn verdict(&self) -> Option<ErrorKind> {
        self.state().verdict.map(|verdict| self.limits.told(verdict))
    }

    /// Whether the call took its time by computing, and not by waiting.
    pub(crate) fn was_computing(&self) -> bool {
        self.state().was_computing(&self.limits)
    }
}

impl State {
    fn was_computing(&self, limits: &Times) -> bool {
        self.clock.computed()[1] > limits.call / 2
    }

    /// What the backend waited for in vain all the time, if it was a service that could not be
    /// reached.
    fn unreached(&self, limits: &Times) -> Option<String> {
        let Service::Unreached(why) = &self.service else { return None };
        (!self.was_computing(limits))
            .then(|| format!("{why}; the backend tried for {}", span(limits.call)))
    }
}

impl Times {
    fn told(&self, verdict: Verdict) -> ErrorKind {
        let (what, limit) = match verdict {
            Verdict::Paused => return ErrorKind::Paused(self.pause),
            Verdict::Busy(Queue::Thread) => {
                return ErrorKind::Unavailable(format!(
                    "no thread became free within {} s, and the process or engine can start no other",
                    self.turn.as_secs_f64()
                ));
            }
            Verdict::Busy(Queue::Turn) => ("turns", self.concurrency),
            Verdict::Busy(Queue::Transfer) => ("open transfers", self.transfers),
        };
        ErrorKind::Busy { what, limit, waited: self.turn }
    }
}
