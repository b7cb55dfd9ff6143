//! The calls of a check and their outcomes, so that a failure can show how it came about.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use super::shown::{cause_shown, error_shown};
use super::step::Step;
use crate::error::ErrorKind;

/// How many calls a report shows.
const MOST: usize = 40;
/// How many calls are kept for repetition.
const KEPT: usize = 400;

/// One call of a backend, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The call, with its arguments.
    pub call: String,
    /// Its outcome.
    pub outcome: String,
    /// The causes of an error that the host found, such as a trap, on one line.
    pub cause: Option<String>,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome.as_str() {
            "" => write!(f, "({})", self.call),
            outcome => write!(f, "{} -> {outcome}", self.call),
        }
    }
}

/// One call, or an event beside the calls.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) recorded: Recorded,
    /// The key of the call; empty if it has none.
    pub(super) key: String,
    /// How to repeat it; `None` if that takes more than one call.
    pub(super) step: Option<Step>,
    /// Whether the second host over the store made it.
    pub(super) is_other: bool,
}

/// The last calls.
pub(super) struct Trace {
    entries: Mutex<VecDeque<Entry>>,
    /// The check's own thread: concurrent calls of other threads have no order.
    thread: ThreadId,
    /// Whether a call was not answered in time.
    was_slow: AtomicBool,
    /// The name of the layer that is called, if it is one.
    layer: Option<Arc<str>>,
    /// The lengths of the keys that a layer may refuse.
    refused: Mutex<Vec<usize>>,
}

impl Trace {
    /// Of a layer of this name, or of a backend.
    pub(super) fn of(layer: Option<Arc<str>>) -> Self {
        let (entries, refused, thread) =
            (Mutex::default(), Mutex::default(), thread::current().id());
        Self { entries, thread, was_slow: AtomicBool::new(false), layer, refused }
    }

    /// The case of an error and its text, and of a fault also which one of a stack it was.
    pub(super) fn error_shown(&self, kind: &ErrorKind) -> String {
        match &self.layer {
            Some(layer) if kind.is_fault() => format!("{} in `{layer}`", error_shown(kind)),
            _ => error_shown(kind),
        }
    }

    /// A key of so many bytes was refused, which the rule layer-5 allows.
    pub(super) fn allow(&self, bytes: usize) {
        self.refused().push(bytes);
    }

    /// What was allowed, if anything was.
    pub(super) fn allowance(&self) -> Option<String> {
        let refused = self.refused();
        let (least, most) = (refused.iter().min()?, refused.iter().max()?);
        let keys = if refused.len() == 1 { "key" } else { "keys" };
        Some(format!(
            "layer-5: {} {keys} of {least} to {most} bytes became too long below, and were refused",
            refused.len()
        ))
    }

    fn refused(&self) -> MutexGuard<'_, Vec<usize>> {
        self.refused.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn add(&self, step: Step, is_other: bool, outcome: Result<String, &ErrorKind>) {
        let call = format!("{}{step}", Self::label(is_other));
        let cause = outcome.as_ref().err().and_then(|kind| cause_shown(kind));
        if let Err(kind) = &outcome {
            self.note_time(kind);
        }
        let outcome = outcome.unwrap_or_else(|kind| self.error_shown(kind));
        let recorded = Recorded { call, outcome, cause };
        let key = step.key().to_owned();
        let step = (thread::current().id() == self.thread).then_some(step);
        self.push(Entry { recorded, key, step, is_other });
    }

    /// Whether an error means that the time was over.
    pub(super) fn note_time(&self, kind: &ErrorKind) {
        if matches!(kind, ErrorKind::Timeout(_) | ErrorKind::Busy { .. }) {
            self.was_slow.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a call was not answered in time.
    pub(super) fn was_slow(&self) -> bool {
        self.was_slow.load(Ordering::Relaxed)
    }

    /// An event beside the calls.
    pub(super) fn note(&self, key: &str, what: String) {
        let recorded = Recorded { call: what, outcome: String::new(), cause: None };
        self.push(Entry { recorded, key: key.to_owned(), step: None, is_other: false });
    }

    fn push(&self, entry: Entry) {
        let mut entries = self.entries();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The mark of the calls of the second host over one store.
    pub(super) fn label(is_other: bool) -> &'static str {
        if is_other { "2nd host: " } else { "" }
    }

    /// What follows does not depend on what was before.
    pub(super) fn restart(&self) {
        self.entries().clear();
    }

    /// The calls about these keys or about no key; all calls if `keys` is empty.
    pub(super) fn about(&self, keys: &[&str]) -> Vec<Recorded> {
        let entries = self.entries();
        let is_meant = |entry: &&Entry| {
            keys.is_empty() || entry.key.is_empty() || keys.contains(&entry.key.as_str())
        };
        let calls = entries.iter().filter(is_meant).map(|entry| entry.recorded.clone());
        let calls: Vec<_> = calls.collect();
        calls[calls.len().saturating_sub(MOST)..].to_vec()
    }

    /// All calls, if each of them is known and can be repeated.
    pub(super) fn steps(&self) -> Option<Vec<Entry>> {
        let entries = self.entries();
        let is_whole = entries.len() < KEPT && entries.iter().all(|entry| entry.step.is_some());
        is_whole.then(|| entries.iter().cloned().collect())
    }

    pub(super) fn outcomes(&self) -> Vec<String> {
        self.entries().iter().map(|entry| entry.recorded.outcome.clone()).collect()
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(|e| e.into_inner())
    }
}
