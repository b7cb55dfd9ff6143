//! Keeps the keys that were found, and renews them before they expire: one renewal at a time, and
//! with the old keys in use for as long as they are valid.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::Lack;
use crate::budget::spawn;
use crate::grants::Keys;

/// Keys are renewed this long before they expire, or after half of the time that they have left.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// Keys that state no end, but may be replaced where they were found, are looked at again after so
/// long.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Attempts that fail are at least so far apart, and at most as far as [`AGAIN`].
const LEAST: SignedDuration = SignedDuration::from_secs(1);

/// Where keys come from.
pub(in crate::network) trait Find: Send + Sync + 'static {
    fn find(&self) -> impl Future<Output = Result<Found, Lack>> + Send;
}

/// Keys, and how long they are good for.
#[derive(Clone, Debug)]
pub(in crate::network) struct Found {
    pub(super) keys: Arc<Keys>,
    pub(super) until: Until,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::network) enum Until {
    Expires(Timestamp),
    /// Until they are replaced where they were found.
    Replaced,
    Ever,
}

pub(in crate::network) struct Source<F> {
    find: F,
    kept: Mutex<Kept>,
    /// Held by whoever finds new keys.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Kept {
    found: Option<Found>,
    /// When they have to be renewed; `None` for never.
    renewal: Option<Timestamp>,
    /// The last failure, and when it was.
    failure: Option<(Instant, Lack)>,
    /// When the log was last told of one.
    told: Option<Instant>,
}

enum State {
    Fresh(Arc<Keys>),
    /// They are valid, and it is time to renew them.
    Ageing(Arc<Keys>),
    /// They have expired, the last attempt failed, and it is not yet time for the next one.
    Lacking(Lack),
    Absent,
}

impl Kept {
    fn is_due(&self, now: Timestamp) -> bool {
        self.renewal.is_some_and(|at| at <= now)
    }

    fn state(&self, now: Timestamp) -> State {
        match &self.found {
            Some(Found { until: Until::Expires(end), .. }) if *end <= now => match &self.failure {
                Some((_, lack)) if !self.is_due(now) => State::Lacking(lack.clone()),
                _ => State::Absent,
            },
            // To look again costs little, and old keys may be of no use.
            Some(Found { until: Until::Replaced, .. }) if self.is_due(now) => State::Absent,
            Some(found) if self.is_due(now) => State::Ageing(Arc::clone(&found.keys)),
            Some(found) => State::Fresh(Arc::clone(&found.keys)),
            None => State::Absent,
        }
    }

    fn keep(&mut self, found: Found, now: Timestamp) {
        self.renewal = match found.until {
            Until::Expires(end) => Some(end - half(end, now).min(AHEAD)),
            Until::Replaced => Some(now + AGAIN),
            Until::Ever => None,
        };
        (self.found, self.failure, self.told) = (Some(found), None, None);
    }

    /// The next attempt comes after half of the time that is left, or half of the time since the
    /// end: the longer it lasts, the rarer they are.
    fn fail(&mut self, lack: Lack, now: Timestamp) {
        if let Some(found) = &self.found {
            let pause = match found.until {
                Until::Expires(end) => half(end, now).abs().clamp(LEAST, AGAIN),
                _ => AGAIN,
            };
            self.renewal = Some(now + pause);
        }
        self.failure = Some((Instant::now(), lack));
    }

    /// Whether the log is to be told of a failure: at once, and then once a minute.
    fn tells(&mut self) -> bool {
        let is_told = self.told.is_some_and(|at| at.elapsed() < AGAIN.unsigned_abs());
        if !is_told {
            self.told = Some(Instant::now());
        }
        !is_told
    }
}

fn half(end: Timestamp, now: Timestamp) -> SignedDuration {
    end.duration_since(now) / 2
}

impl<F: Find> Source<F> {
    pub(super) fn new(find: F) -> Self {
        Self { find, kept: Mutex::default(), turn: Arc::default() }
    }

    /// Keys that are valid now.
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<Keys>, Lack> {
        match self.state() {
            State::Fresh(keys) => return Ok(keys),
            State::Ageing(keys) => {
                if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
                    drop(self.renew(turn));
                }
                return Ok(keys);
            }
            State::Lacking(lack) => return Err(lack),
            State::Absent => {}
        }
        let since = Instant::now();
        let turn = Arc::clone(&self.turn).lock_owned().await;
        match self.state() {
            State::Fresh(keys) | State::Ageing(keys) => return Ok(keys),
            State::Lacking(lack) => return Err(lack),
            State::Absent => {}
        }
        // Whoever waited for an attempt shares its outcome.
        if let Some((at, lack)) = &self.kept().failure
            && *at >= since
        {
            return Err(lack.clone());
        }
        let gone = |_| Err(Lack::passing("the search for credentials of AWS was given up"));
        self.renew(turn).await.unwrap_or_else(gone)
    }

    /// Finds new keys in a task of its own, which goes on if nobody waits for it any more.
    fn renew(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
    ) -> oneshot::Receiver<Result<Arc<Keys>, Lack>> {
        let (tell, told) = oneshot::channel();
        let source = Arc::clone(self);
        spawn(async move {
            let outcome = source.find.find().await;
            let outcome = source.note(outcome);
            drop(turn);
            // The receiver may be gone.
            let _ = tell.send(outcome);
        });
        told
    }

    fn note(&self, outcome: Result<Found, Lack>) -> Result<Arc<Keys>, Lack> {
        let mut kept = self.kept();
        let now = Timestamp::now();
        let outcome = outcome.and_then(|found| match found.until {
            Until::Expires(end) if end <= now => Err(Lack::lasting(format!(
                "the credentials of AWS that were found have expired at {end}, by this machine's clock"
            ))),
            _ => Ok(found),
        });
        match outcome {
            Ok(found) => {
                let keys = Arc::clone(&found.keys);
                kept.keep(found, now);
                Ok(keys)
            }
            Err(mut lack) => {
                // What had some will have some again.
                lack.is_passing |= lack.is_nothing && kept.found.is_some();
                if kept.found.is_some() && kept.tells() {
                    tracing::warn!("the credentials of AWS are not renewed: {}", lack.text);
                }
                kept.fail(lack.clone(), now);
                match &kept.found {
                    Some(Found { keys, until: Until::Replaced }) => Ok(Arc::clone(keys)),
                    _ => Err(lack),
                }
            }
        }
    }

    fn state(&self) -> State {
        self.kept().state(Timestamp::now())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> fmt::Debug for Source<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::budget::{on_this_thread, runtime};

    fn found(key: &str, until: Until) -> Found {
        Found { keys: Arc::new(Keys::new(key.into(), "hush".into())), until }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    /// Whether there are keys, and whether it is time to renew them.
    fn state(kept: &Kept, second: i64) -> &'static str {
        match kept.state(at(second)) {
            State::Fresh(_) => "fresh",
            State::Ageing(_) => "ageing",
            State::Lacking(_) => "lacking",
            State::Absent => "absent",
        }
    }

    #[test]
    fn keys_are_renewed_ahead_of_their_end() {
        for (life, ageing) in [(3600, 3300), (60, 30), (2, 1)] {
            let mut kept = Kept::default();
            assert_eq!(state(&kept, 0), "absent");
            kept.keep(found("a", Until::Expires(at(life))), at(0));
            let seen = [0, ageing - 1, ageing, life - 1, life].map(|at| state(&kept, at));
            let last = if ageing == life - 1 { "ageing" } else { seen[3] };
            assert_eq!(seen, ["fresh", "fresh", "ageing", last, "absent"], "{life}");
        }
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again_and_the_old_keys_serve_meanwhile() {
        let mut kept = Kept::default();
        kept.keep(found("a", Until::Expires(at(600))), at(0));
        assert_eq!(state(&kept, 300), "ageing");
        for (failed, seen) in [
            (300, [(359, "fresh"), (360, "ageing")]),
            (560, [(579, "fresh"), (580, "ageing")]),
            (599, [(599, "fresh"), (600, "absent")]),
        ] {
            kept.fail(Lack::passing("later"), at(failed));
            seen.iter().for_each(|(second, what)| assert_eq!(state(&kept, *second), *what));
        }
        // Once they have expired, each failure is that of all calls until the next attempt, and the
        // attempts become rarer, down to one a minute.
        for (failed, next) in [(600, 601), (602, 603), (640, 660), (720, 780), (5000, 5060)] {
            kept.fail(Lack::passing("later"), at(failed));
            assert_eq!([next - 1, next].map(|at| state(&kept, at)), ["lacking", "absent"]);
        }
        kept.keep(found("a", Until::Expires(at(9000))), at(5060));
        assert_eq!(state(&kept, 5060), "fresh");
        // Keys of a file are looked at again, and those of variables never.
        kept.keep(found("a", Until::Replaced), at(0));
        assert_eq!([59, 60].map(|at| state(&kept, at)), ["fresh", "absent"]);
        kept.keep(found("a", Until::Ever), at(0));
        assert_eq!(state(&kept, 1 << 30), "fresh");
    }

    /// Counts how often it is asked.
    struct Slow(AtomicUsize, Result<Found, Lack>);

    impl Find for Slow {
        async fn find(&self) -> Result<Found, Lack> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            self.1.clone()
        }
    }

    /// Finds keys that soon expire, and then none.
    struct Brief(AtomicUsize);

    impl Find for Brief {
        async fn find(&self) -> Result<Found, Lack> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(found("a", Until::Expires(Timestamp::now() + LEAST / 2))),
                _ => Err(Lack::passing("log in")),
            }
        }
    }

    #[test]
    fn when_keys_have_expired_each_call_fails_and_few_search() {
        runtime().unwrap();
        let source = Arc::new(Source::new(Brief(AtomicUsize::new(0))));
        let ask = || on_this_thread(source.keys());
        ask().unwrap();
        let begun = Instant::now();
        while ask().is_ok() {
            assert!(begun.elapsed().as_secs() < 60);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let searches = || source.find.0.load(Ordering::Relaxed);
        let (before, begun) = (searches(), Instant::now());
        (0..1000).for_each(|_| assert_eq!(ask().unwrap_err().text, "log in"));
        let most = before + 1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
        assert!(searches() <= most, "{before} {most} {}", searches());
    }

    #[test]
    fn all_who_wait_share_one_search_and_its_outcome() {
        runtime().unwrap();
        for (outcome, is_ok) in
            [(Ok(found("a", Until::Ever)), true), (Err(Lack::passing("later")), false)]
        {
            let source = Arc::new(Source::new(Slow(AtomicUsize::new(0), outcome)));
            let waiting = (0..50).map(|_| source.keys());
            let keys = on_this_thread(futures::future::join_all(waiting));
            assert!(keys.iter().all(|keys| keys.is_ok() == is_ok));
            assert_eq!(source.find.0.load(Ordering::Relaxed), 1);
            assert!(!format!("{source:?}").contains("hush"));
        }
    }
}
