//! One line for an outage, and not one for each call that fails in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::error::Operation;

/// Failures of one kind are told no more often.
const EVERY: Duration = Duration::from_secs(60);

/// The outages of a backend: of calls that read, and of calls that change something. On a full disk
/// only those fail.
#[derive(Default)]
pub(crate) struct Outages(ArcSwap<[Outage; 2]>);

#[derive(Default)]
pub(super) struct Outage {
    /// Whether the last call failed: a call that succeeds looks at nothing else.
    is_failing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the calls began to fail.
    begun: Option<Instant>,
    /// How many have failed since.
    failed: u64,
    /// Whether operators were told.
    is_told: bool,
    kinds: Vec<Kind>,
}

/// Failures of one kind.
struct Kind {
    outcome: &'static str,
    /// When they were told last.
    told: Instant,
    /// How many came since.
    untold: u64,
}

/// What there is to tell when calls succeed again.
#[derive(Debug, PartialEq)]
pub(super) struct Over {
    pub(super) failed: u64,
    pub(super) after: Duration,
}

impl Outages {
    /// Does `then` with the outage that concerns this operation.
    pub(super) fn of<T>(&self, operation: Operation, then: impl FnOnce(&Outage) -> T) -> T {
        use Operation::{Copy, Delete, Put, Sweep};
        then(&self.0.load()[usize::from(matches!(operation, Put | Copy | Delete | Sweep))])
    }

    /// Goes on where those of another backend are: for those who call them it is one store.
    pub(crate) fn go_on(&self, before: &Self) {
        self.0.store(before.0.load_full());
    }
}

impl Outage {
    /// A call failed. If that is to be told: how many failures of this kind were not told yet.
    pub(super) fn failed(&self, outcome: &'static str, now: Instant) -> Option<u64> {
        let mut state = self.state();
        self.is_failing.store(true, Ordering::Relaxed);
        state.begun.get_or_insert(now);
        state.failed += 1;
        let untold = match state.kinds.iter_mut().find(|kind| kind.outcome == outcome) {
            None => {
                state.kinds.push(Kind { outcome, told: now, untold: 0 });
                1
            }
            Some(kind) => {
                kind.untold += 1;
                if now.saturating_duration_since(kind.told) < EVERY {
                    return None;
                }
                kind.told = now;
                std::mem::take(&mut kind.untold)
            }
        };
        state.is_told = true;
        Some(untold)
    }

    /// A call succeeded. Something is to be told only if failures before it were.
    pub(super) fn succeeded(&self, now: Instant) -> Option<Over> {
        if !self.is_failing.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state();
        self.is_failing.store(false, Ordering::Relaxed);
        let (begun, failed) = (state.begun.take(), std::mem::take(&mut state.failed));
        let was_told = std::mem::take(&mut state.is_told);
        let after = now.saturating_duration_since(begun.filter(|_| was_told)?);
        Some(Over { failed, after })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_at_its_begin_now_and_then_and_at_its_end() {
        let (outage, begin) = (Outage::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(outage.succeeded(at(0)), None);
        assert_eq!(outage.failed("unavailable", at(1)), Some(1));
        for second in 2..61 {
            assert_eq!(outage.failed("unavailable", at(second)), None);
        }
        assert_eq!(outage.failed("unavailable", at(61)), Some(60));
        // Another kind is news.
        assert_eq!(outage.failed("corrupt", at(62)), Some(1));
        let over = Over { failed: 62, after: Duration::from_secs(69) };
        assert_eq!(outage.succeeded(at(70)), Some(over));
        assert_eq!(outage.succeeded(at(71)), None);
    }

    #[test]
    fn what_fails_now_and_then_floods_nobody() {
        let (outage, begin) = (Outage::default(), Instant::now());
        let mut told = 0;
        for second in 0..600 {
            let now = begin + Duration::from_secs(second);
            told += u64::from(outage.failed("timeout", now).is_some());
            told += u64::from(outage.succeeded(now).is_some());
        }
        // Two lines a minute, and the failures that were not told are counted in the next line.
        assert_eq!(told, 20);
        let later = begin + Duration::from_secs(3600);
        assert_eq!(outage.failed("timeout", later), Some(60));
        assert_eq!(outage.succeeded(later).map(|over| over.failed), Some(1));
    }
}
