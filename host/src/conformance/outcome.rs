//! What comes of a check.

use std::fmt;

use super::check::Way;
use super::trace::Recorded;

/// What came of a check. It is exhaustive, so that nobody takes a new outcome for one of these.
#[derive(Clone, Debug)]
#[must_use]
pub enum Outcome {
    /// Nothing was seen that breaks the rule.
    Passed,
    /// The backend does not offer what the rule is about, which is named.
    NotOffered(String),
    /// The rule is broken.
    Failed(Failure),
}

/// What shows that a rule is broken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// How the backend was reached.
    pub way: Way,
    /// The calls that show it, in the order in which they ended.
    pub calls: Vec<Recorded>,
    /// Whether they are the fewest: made again over a fresh store they show the same, and that
    /// needs each of them. Else they are the last calls, of which some may have nothing to do with
    /// it: the rule is about several answers, or calls at the same time.
    pub is_reduced: bool,
    /// What the rule asks for.
    pub expected: String,
    /// What came instead.
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

/// What ends a check before its end.
pub(super) enum Stop {
    NotOffered(String),
    Failed(Failure),
    /// The last answer is what is wrong.
    FailedByLast(Failure),
}
