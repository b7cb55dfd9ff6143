//! The outcome of a check.

use std::fmt;

use super::check::Way;
use super::trace::Recorded;

/// The outcome of a check. The enum is exhaustive, so that a new outcome cannot be mistaken for one
/// of these.
#[derive(Clone, Debug)]
#[must_use]
pub enum Outcome {
    /// The check found no violation.
    Passed,
    /// The backend does not offer what the rule is about; the text names it.
    NotOffered(String),
    /// The rule is broken.
    Failed(Failure),
}

/// Evidence that a rule is broken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// How the backend was reached.
    pub way: Way,
    /// The calls that show it, in the order in which they ended.
    pub calls: Vec<Recorded>,
    /// Whether the calls are minimal: repeated over a fresh store they show the failure, and each
    /// of them is needed. Otherwise they are the last calls, some of which may be unrelated: the
    /// rule is about several answers, or about concurrent calls.
    pub is_reduced: bool,
    /// What the rule requires.
    pub expected: String,
    /// What happened instead.
    pub seen: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in &self.calls {
            writeln!(f, "  {call}")?;
        }
        write!(f, "expected: {}\nseen:     {} ({})", self.expected, self.seen, self.way)
    }
}

/// Why a check stops early.
pub(super) enum Stop {
    NotOffered(String),
    Failed(Failure),
    /// Only the last answer is wrong.
    FailedByLast(Failure),
}
