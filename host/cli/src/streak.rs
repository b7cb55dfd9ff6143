//! When to stop: failures that would come again with every further artifact.

use artifact_store::ErrorKind;

use crate::failure::{self, Single};

/// After so many refusals in a row the fault is in the store itself.
const IN_A_ROW: u32 = 3;
/// The same if the error does not say whether it concerns the store or one artifact.
const UNCLEAR_IN_A_ROW: u32 = 10;

/// How many artifacts in a row have failed.
#[derive(Default)]
pub struct Streak(u32);

impl Streak {
    /// The store answered.
    pub fn succeeded(&mut self) {
        self.0 = 0;
    }

    /// Whether to stop after this failure.
    pub fn failed(&mut self, error: &anyhow::Error) -> bool {
        let limit = match failure::find::<artifact_store::Error>(error) {
            Some(error) => limit(error),
            None if failure::find::<Single>(error).is_some() => return false,
            None => Some(UNCLEAR_IN_A_ROW),
        };
        let Some(limit) = limit else {
            self.succeeded();
            return false;
        };
        self.0 += 1;
        self.0 >= limit
    }
}

/// How many such failures in a row are enough; none if the store answered and the failure concerns
/// one artifact.
fn limit(error: &artifact_store::Error) -> Option<u32> {
    use ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound
        | Kind::AlreadyExists
        | Kind::InvalidKey(_)
        | Kind::InvalidRange
        | Kind::TooLarge { .. }
        | Kind::Corrupt(_)
        | Kind::Protocol(_) => None,
        Kind::Load(_) | Kind::Configuration(_) => Some(1),
        Kind::AccessDenied(_) | Kind::NoSpace(_) | Kind::Trap(_) | Kind::Exhausted { .. } => {
            Some(IN_A_ROW)
        }
        _ if error.is_retryable() => Some(IN_A_ROW),
        _ => Some(UNCLEAR_IN_A_ROW),
    }
}

/// What is said when it stops.
pub const STOPPED: &str = "stopped because the remaining artifacts would fail in the same way";
