//! The checks of the contract, some of them side by side.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use artifact_store::conformance::{Check, Outcome, Target, Way};

use super::report::Line;

/// After so many checks in a row whose calls were not answered in time, the others are not tried:
/// each would take as long.
const SILENT: usize = 3;

/// What the thread that runs the checks tells.
pub enum News {
    Begins(String),
    /// The lines of the check with this number; those of others come behind them.
    Ended(usize, Vec<Line>),
    Failed(anyhow::Error),
}

/// Checks that are run in this order, `jobs` of them at once. Each has a store of its own.
pub struct Run<'a> {
    checks: &'a [&'static Check],
    target: &'a Target,
    seed: u64,
    /// Gets what goes on, and says whether to go on.
    told: &'a (dyn Fn(News) -> bool + Sync),
    next: AtomicUsize,
    /// How many of the last checks were not answered in time.
    silent: AtomicUsize,
    is_over: AtomicBool,
}

impl<'a> Run<'a> {
    pub fn new(
        checks: &'a [&'static Check],
        target: &'a Target,
        seed: u64,
        told: &'a (dyn Fn(News) -> bool + Sync),
    ) -> Self {
        let (next, silent, is_over) = Default::default();
        Self { checks, target, seed, told, next, silent, is_over }
    }

    /// Whether there is more to do: the backend answers, and somebody listens.
    pub fn run(self, jobs: usize) -> bool {
        thread::scope(|scope| {
            for _ in 1..jobs.min(self.checks.len()) {
                let started: io::Result<_> =
                    thread::Builder::new().name("check".into()).spawn_scoped(scope, || self.work());
                // Where the system has no thread left, the others do the work.
                if started.is_err() {
                    break;
                }
            }
            self.work();
        });
        !self.is_over.into_inner() && self.silent.into_inner() < SILENT
    }

    fn work(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(check) = self.checks.get(at) else { return };
            if !self.one(at, check) {
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
    }

    fn one(&self, at: usize, check: &'static Check) -> bool {
        let told = self.told;
        if self.silent.load(Ordering::Relaxed) >= SILENT {
            return told(News::Ended(at, vec![Line::not_tried(check)]));
        }
        let begun = Instant::now();
        if !told(News::Begins(check.name().into())) {
            return false;
        }
        match run_check(check, self.target, self.seed) {
            Ok(outcome) => {
                match outcome {
                    Outcome::TooSlow(_) => drop(self.silent.fetch_add(1, Ordering::Relaxed)),
                    // Those at the same time may still be waited for.
                    _ if self.silent.load(Ordering::Relaxed) >= SILENT => {}
                    _ => self.silent.store(0, Ordering::Relaxed),
                }
                told(News::Ended(at, vec![Line::new(check, outcome, begun.elapsed())]))
            }
            Err(error) => {
                told(News::Failed(error.into()));
                false
            }
        }
    }
}

fn run_check(check: &Check, target: &Target, seed: u64) -> artifact_store::Result<Outcome> {
    let outcome = check.run(target, Way::Reused, seed)?;
    match outcome {
        Outcome::Passed if check.runs(Way::Fresh) => check.run(target, Way::Fresh, seed),
        Outcome::Allowed(_) if check.runs(Way::Fresh) => {
            match check.run(target, Way::Fresh, seed)? {
                Outcome::Passed => Ok(outcome),
                other => Ok(other),
            }
        }
        _ => Ok(outcome),
    }
}
