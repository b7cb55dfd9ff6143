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
    /// The same, except that the backend refused something which another rule lets it refuse. The text
    /// says what was not tested for that reason.
    Allowed(String),
    /// The backend does not offer what the rule is about; the text names it.
    NotOffered(String),
    /// The rule is broken.
    Failed(Failure),
    /// A call was not answered in time, so whether the rule holds is not known.
    TooSlow(Failure),
}

/// Evidence that a rule is broken, or that a call was not answered in time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The rule: mostly the first of [`Check::rules`](super::Check::rules).
    pub rule: &'static str,
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
        write!(f, "expected: {}\nseen:     {} ({})", self.expected, self.seen, self.way)?;
        self.cause().map_or(Ok(()), |cause| write!(f, "\nbecause:  {cause}"))
    }
}

impl Failure {
    /// What is known of the reason: of the last call that the backend did not answer itself, such as
    /// by a trap.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.calls.iter().rev().find_map(|call| call.cause.as_deref())
    }
}

/// Why a check stops early.
pub(super) enum Stop {
    NotOffered(String),
    Failed(Failure),
    /// Only the last answer is wrong.
    FailedByLast(Failure),
}

impl Stop {
    fn failure(&mut self) -> Option<&mut Failure> {
        match self {
            Self::NotOffered(_) => None,
            Self::Failed(failure) | Self::FailedByLast(failure) => Some(failure),
        }
    }
}

/// What was expected under this rule, where a check has several.
pub(super) fn under<T>(rule: &'static str, verdict: Result<T, Stop>) -> Result<T, Stop> {
    verdict.map_err(|mut stop| {
        if let Some(failure) = stop.failure() {
            failure.rule = rule;
        }
        stop
    })
}
