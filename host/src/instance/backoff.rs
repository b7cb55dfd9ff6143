use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::ErrorKind;

/// The delay after the first failure; each further failure doubles it.
const FIRST: Duration = Duration::from_millis(100);

const LONGEST: Duration = Duration::from_secs(10);

/// Prevents a component that fails to start from being started over and over. Between two attempts
/// all calls fail at once; a single call makes the next attempt.
#[derive(Default)]
pub(super) struct Backoff(Mutex<Option<Failing>>);

struct Failing {
    times: u32,
    why: String,
    until: Instant,
}

impl Backoff {
    /// Whether to try now; the error says when. Returns the number of failures before this attempt,
    /// for [`failed`](Self::failed).
    pub(super) fn attempt(&self) -> Result<u32, ErrorKind> {
        let mut state = self.state();
        let Some(Failing { times, why, until }) = &mut *state else { return Ok(0) };
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            // Calls that come meanwhile fail until this attempt has an outcome.
            *until = Instant::now() + delay(*times);
            return Ok(*times);
        }
        Err(ErrorKind::Unavailable(format!(
            "the backend failed to start {times} times in a row; the next attempt is in {} ms; {why}",
            wait.as_millis()
        )))
    }

    pub(super) fn succeeded(&self) {
        *self.state() = None;
    }

    /// An attempt failed. Attempts that began together count as one.
    pub(super) fn failed(&self, before: u32, why: &ErrorKind) {
        let mut state = self.state();
        let times = state.as_ref().map_or(0, |failing| failing.times);
        let times = times.max(before.saturating_add(1));
        let until = Instant::now() + delay(times);
        *state = Some(Failing { times, why: why.to_string(), until });
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Option<Failing>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn delay(times: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_left_alone_for_longer() {
        assert_eq!([1, 2, 3].map(delay), [100, 200, 400].map(Duration::from_millis));
        assert_eq!(delay(u32::MAX), LONGEST);
    }

    #[test]
    fn attempts_that_began_together_fail_once() {
        let backoff = Backoff::default();
        let begun: Vec<_> = (0..64).map(|_| backoff.attempt().unwrap()).collect();
        begun.into_iter().for_each(|before| backoff.failed(before, &ErrorKind::NotFound));
        assert_eq!(backoff.state().as_ref().unwrap().times, 1);
        std::thread::sleep(FIRST);
        let before = backoff.attempt().unwrap();
        backoff.failed(before, &ErrorKind::NotFound);
        assert_eq!(backoff.state().as_ref().unwrap().times, 2);
    }

    #[test]
    fn a_success_ends_it() {
        let backoff = Backoff::default();
        let before = backoff.attempt().unwrap();
        backoff.failed(before, &ErrorKind::NotFound);
        let error = backoff.attempt().unwrap_err();
        assert!(matches!(&error, ErrorKind::Unavailable(_)), "{error}");
        backoff.succeeded();
        backoff.attempt().unwrap();
    }
}
