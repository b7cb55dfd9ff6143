//! A trial: the histories of its processes, and what they show.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::history::{Answer, Call, History, Log, Operation};
use super::judge::{About, Judgement, judge};
use super::now;
use crate::conformance::Failure;

/// A key with which nobody has begun a call for so long is done with, in nanoseconds.
const QUIET: u64 = 1_000_000_000;

/// The histories of several processes.
#[derive(Debug, Default)]
pub struct Trial {
    logs: Vec<Log>,
    history: History,
    judged: BTreeSet<String>,
    undecided: BTreeSet<String>,
    broken: Option<(About, Failure)>,
}

/// What a trial has shown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What is asserted, and whether it held.
    pub assertions: Vec<Assertion>,
    /// How many calls were made.
    pub calls: usize,
    /// On how many keys.
    pub keys: usize,
    /// How many of the calls had no answer, or one after which the change may yet take effect.
    pub unanswered: usize,
}

/// Something that holds for calls at the same time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Assertion {
    /// What it asserts, as words joined by `_`.
    pub name: &'static str,
    /// The rules of the contract that it shows.
    pub rules: &'static [&'static str],
    /// Whether it held.
    pub outcome: Outcome,
}

/// Whether an assertion held.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// In all calls.
    Held,
    /// The backend has no such calls.
    NotOffered(String),
    /// It is not known.
    NotObserved(String),
    /// It did not.
    Broken(Failure),
}

impl Report {
    /// Whether an assertion did not hold.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.assertions.iter().any(|it| matches!(it.outcome, Outcome::Broken(_)))
    }
}

impl Trial {
    /// Another process writes to this file, or has written to it.
    pub fn add(&mut self, log: Log) {
        self.logs.push(log);
    }

    /// How many calls are known.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.history.keys.values().map(Vec::len).sum()
    }

    /// Looks at what was written since, and at the keys that are done with. Whether there is an
    /// answer that no order explains; then there is no need to go on.
    ///
    /// # Errors
    ///
    /// A log cannot be read.
    pub fn look(&mut self) -> io::Result<bool> {
        // Whatever an answer before this moment shows has begun before it, and is in a log.
        let until = now();
        self.read()?;
        let is_done = |operations: &[Operation]| {
            operations.last().is_some_and(|it| it.begin.saturating_add(QUIET) < until)
        };
        let all = self.history.keys.iter();
        let done = all.filter(|(key, it)| !self.judged.contains(*key) && is_done(it));
        let done: Vec<_> = done.map(|(key, _)| key.clone()).collect();
        done.into_iter().for_each(|key| self.judge(key, until));
        Ok(self.broken.is_some())
    }

    /// Looks at everything, when no process works any more.
    ///
    /// # Errors
    ///
    /// A log cannot be read.
    pub fn end(mut self) -> io::Result<Report> {
        self.read()?;
        self.undecided.clear();
        let keys: Vec<_> = self.history.keys.keys().cloned().collect();
        keys.into_iter().for_each(|key| self.judge(key, u64::MAX));
        Ok(self.report())
    }

    fn read(&mut self) -> io::Result<()> {
        self.logs.iter_mut().try_for_each(|log| log.read_into(&mut self.history).map(drop))
    }

    fn judge(&mut self, key: String, until: u64) {
        if self.broken.is_some() {
            return;
        }
        match judge(&known(&self.history.keys[&key], until)) {
            Judgement::Explained => {}
            Judgement::Undecided => drop(self.undecided.insert(key.clone())),
            Judgement::Broken(about, failure) => self.broken = Some((about, failure)),
        }
        self.judged.insert(key);
    }

    fn report(mut self) -> Report {
        let all: Vec<_> = self.history.keys.values().flatten().collect();
        let is_open = |it: &&&Operation| matches!(it.answer, Answer::Unknown(_));
        let (calls, keys) = (all.len(), self.history.keys.len());
        let unanswered = all.iter().filter(is_open).count();
        let seen = Counts::of(&all);
        let broken = self.broken.take();
        let is_over = "the trial ended at the first failure";
        let outcome = |about: About, otherwise: Outcome| match (&broken, otherwise) {
            (Some((what, failure)), _) if *what == about => Outcome::Broken(failure.clone()),
            (Some(_), Outcome::Held) => Outcome::NotObserved(is_over.into()),
            (_, otherwise) => otherwise,
        };
        let order = match (seen.stored > 0 && seen.read > 0, self.undecided.len()) {
            (true, 0) => Outcome::Held,
            (true, some) => Outcome::NotObserved(format!(
                "the calls on {some} of {keys} keys have too many orders to look at them all"
            )),
            (false, _) => Outcome::NotObserved("no change, or no read, was answered".into()),
        };
        let mut assertions = vec![
            Assertion {
                name: "one_order_explains_all_answers",
                rules: &["change-6", "change-2", "change-3", "change-5"],
                outcome: outcome(About::Order, order.clone()),
            },
            Assertion {
                name: "of_creates_at_once_one_wins",
                rules: &["create-1", "create-2"],
                outcome: outcome(About::Creates, seen.mode("create", &order)),
            },
            Assertion {
                name: "of_replaces_at_once_one_wins",
                rules: &["replace-2", "replace-1"],
                outcome: outcome(About::Replaces, seen.mode("replace", &order)),
            },
            Assertion {
                name: "a_delete_if_removes_only_its_version",
                rules: &["delete-if-3", "delete-if-1"],
                outcome: outcome(About::Deletions, seen.deletions(&order)),
            },
            Assertion {
                name: "a_version_names_one_generation",
                rules: &["version-1", "version-2", "info-1"],
                outcome: outcome(About::Versions, seen.versions()),
            },
        ];
        for Assertion { rules, outcome, .. } in &mut assertions {
            if let Outcome::Broken(failure) = outcome {
                failure.rule = rules.first().copied().unwrap_or_default();
            }
        }
        Report { assertions, calls, keys, unanswered }
    }
}

/// What is known at this time: what ends later has no answer yet.
fn known(operations: &[Operation], until: u64) -> Vec<Operation> {
    let begun = operations.iter().filter(|it| it.begin <= until).cloned();
    let known = begun.map(|mut it| {
        if it.end.is_some_and(|end| end > until) {
            (it.end, it.answer) = (None, Answer::Unknown("no answer yet".into()));
        }
        it
    });
    known.collect()
}

/// What the answers have shown, so that what was not tried does not count as passed.
#[derive(Default)]
struct Counts {
    stored: usize,
    read: usize,
    versions: usize,
    /// By the name of the call: how many were made, and how many are not supported.
    changes: BTreeMap<&'static str, (usize, usize)>,
}

impl Counts {
    fn of(operations: &[&Operation]) -> Self {
        let mut counts = Self::default();
        for Operation { call, answer, .. } in operations {
            let change = counts.changes.entry(call.name()).or_default();
            match answer {
                Answer::Unsupported => change.1 += 1,
                Answer::Deleted => change.0 += 1,
                Answer::Stored(seen) => {
                    change.0 += 1;
                    counts.stored += 1;
                    counts.versions += usize::from(seen.version.is_some());
                }
                Answer::Got(_, seen) | Answer::Stated(seen) => {
                    counts.read += 1;
                    counts.versions += usize::from(seen.version.is_some());
                }
                _ => {}
            }
        }
        counts
    }

    fn mode(&self, name: &str, order: &Outcome) -> Outcome {
        let has_versions = self.versions > 0 || name != Call::Replace(String::new()).name();
        match self.changes.get(name) {
            _ if !has_versions => Outcome::NotOffered("versions".into()),
            Some((0, 1..)) => Outcome::NotOffered(format!("the mode `{name}`")),
            Some((1.., _)) => order.clone(),
            _ => Outcome::NotObserved(format!("no `{name}` stored anything")),
        }
    }

    fn deletions(&self, order: &Outcome) -> Outcome {
        match self.changes.get(Call::DeleteIf(String::new()).name()) {
            _ if self.versions == 0 => Outcome::NotOffered("versions".into()),
            Some((0, 1..)) => Outcome::NotOffered("deletions of one version".into()),
            Some((1.., _)) => order.clone(),
            _ => Outcome::NotObserved("no `delete-if` removed anything".into()),
        }
    }

    fn versions(&self) -> Outcome {
        match self.versions {
            0 => Outcome::NotOffered("versions".into()),
            _ => Outcome::Held,
        }
    }
}
