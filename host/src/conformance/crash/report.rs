//! The results.

use std::fmt;

use super::Fault;

/// The result of [`check`](super::check).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The scenarios, and the number of states in which each was cut off.
    pub scenarios: Vec<Scenario>,
    /// The faults of the backend, one for each rule and scenario; empty if it passed.
    pub violations: Vec<Violation>,
    /// What could not be observed, and is therefore not known to be right.
    pub unobserved: Vec<String>,
}

impl Report {
    /// How many different directories were tried.
    #[must_use]
    pub fn states(&self) -> usize {
        self.scenarios.iter().map(|scenario| scenario.states).sum()
    }

    pub(super) fn add(&mut self, violation: Violation) {
        let same = |known: &&mut Violation| {
            known.rule == violation.rule && known.scenario == violation.scenario
        };
        match self.violations.iter_mut().find(same) {
            Some(known) => known.times += 1,
            None => self.violations.push(violation),
        }
    }

    pub(super) fn not_seen(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.unobserved.contains(&what) {
            self.unobserved.push(what);
        }
    }
}

/// One sequence of calls.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// A description of the calls.
    pub name: &'static str,
    /// How many changes of the directory they made.
    pub events: usize,
    /// How many different directories a crash could leave; each of them was tried.
    pub states: usize,
}

/// A rule that a backend broke.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The sequence of calls.
    pub scenario: &'static str,
    /// The first case: when the crash came and what it left, or which call of the filesystem failed
    /// and how.
    pub case: String,
    /// What the rule requires.
    pub expected: String,
    /// What was found instead.
    pub seen: String,
    /// In how many cases of this scenario the rule was broken.
    pub times: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, scenario, case, expected, seen, times } = self;
        write!(f, "{rule}: {scenario}: {case}: expected {expected}, found {seen} ({times} times)")
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $sentence:literal,)*) => {
        /// What must hold if the machine stops or the filesystem fails.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl fmt::Display for Rule {
            /// The rule as a sentence.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $sentence,)* })
            }
        }
    };
}

rules! {
    /// After a crash: ok meant durable.
    Acknowledged "an acknowledged change survives a crash",
    /// After a crash: the old state or the new one.
    Whole "a change that was cut off is there whole or not at all",
    /// After a crash: the artifacts of other keys.
    Neighbours "a crash leaves other artifacts alone",
    /// After a crash: what a listing says.
    Listing "a listing after a crash names what is there, and each once",
    /// After a crash: storing goes on.
    Next "after a crash the next put of the key works",
    /// After a crash: the rest of unfinished writes.
    Litter "what a crashed writer left can be swept",
    /// After a failure: the error.
    Typed "a failure of the filesystem is a typed error with its cause, and not another one's",
    /// After a failure: what the error says of the artifact.
    Untouched "a change that failed leaves the old artifact, or the new one where it says unavailable",
    /// After a failure: ok.
    Ignored "a failure is not ignored",
    /// After a failure: temporaries.
    Removed "a change that failed leaves no file behind",
    /// After a failure: storing goes on.
    Again "after a failure the next try works",
    /// After a failed sync, the system may have dropped the bytes.
    SyncedAgain "a sync that failed is not tried again on the same file",
}

/// The result of [`faults`](super::faults).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FaultReport {
    /// The operations, and the failures that were tried in each.
    pub operations: Vec<Operation>,
    /// The faults of the backend, one for each rule and operation; empty if it passed.
    pub violations: Vec<Violation>,
    /// What could not be observed, and is therefore not known to be right.
    pub unobserved: Vec<String>,
}

impl FaultReport {
    /// How many failures were tried.
    #[must_use]
    pub fn injected(&self) -> usize {
        self.operations.iter().map(|operation| operation.outcomes.len()).sum()
    }
}

/// One call of the contract.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Operation {
    /// A description of the call.
    pub name: &'static str,
    /// How many calls of the filesystem it takes.
    pub calls: usize,
    /// The consequence of each failure.
    pub outcomes: Vec<Consequence>,
}

/// The consequence of one failure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Consequence {
    /// The number of the call that failed, from 1.
    pub call: usize,
    /// The name of that call in WASI.
    pub function: &'static str,
    /// How it failed.
    pub fault: Fault,
    /// The error that the caller of the contract got; `None` if the call succeeded.
    pub error: Option<String>,
}
