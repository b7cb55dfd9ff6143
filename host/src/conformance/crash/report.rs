//! What came out.

use std::fmt;

use super::Fault;

/// What a check of crashes found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What was done, and in how many states it was cut off.
    pub scenarios: Vec<Scenario>,
    /// What the backend got wrong; empty where it passed. One for each rule and scenario.
    pub violations: Vec<Violation>,
    /// What could not be looked at, and is therefore not known to be right.
    pub unobserved: Vec<String>,
}

impl Report {
    /// How many different directories were tried in all.
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
    /// What was done.
    pub name: &'static str,
    /// How many changes of the directory that took.
    pub events: usize,
    /// How many different directories a crash could leave, each of which was tried.
    pub states: usize,
}

/// A rule that a backend broke.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// In which sequence of calls.
    pub scenario: &'static str,
    /// When the crash came and what it left, or which call of the filesystem failed and how: the
    /// first case that was found.
    pub case: String,
    /// What the rule asks for.
    pub expected: String,
    /// What was there instead.
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
        /// What holds when the machine stops, or the filesystem fails.
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

/// What a check of failures found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FaultReport {
    /// What was done, and how often it failed.
    pub operations: Vec<Operation>,
    /// What the backend got wrong; empty where it passed. One for each rule and operation.
    pub violations: Vec<Violation>,
    /// What could not be looked at, and is therefore not known to be right.
    pub unobserved: Vec<String>,
}

impl FaultReport {
    /// How many failures were tried in all.
    #[must_use]
    pub fn injected(&self) -> usize {
        self.operations.iter().map(|operation| operation.outcomes.len()).sum()
    }
}

/// One call of the contract.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Operation {
    /// What was done.
    pub name: &'static str,
    /// How many calls of the filesystem that takes.
    pub calls: usize,
    /// What each failure led to.
    pub outcomes: Vec<Consequence>,
}

/// What one failure led to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Consequence {
    /// Which call failed, counted from 1.
    pub call: usize,
    /// That call's name in WASI.
    pub function: &'static str,
    /// How it failed.
    pub fault: Fault,
    /// The error that the caller of the contract got; none where it was ok.
    pub error: Option<String>,
}
