//! When to stop: failures that would come again with every further artifact.

use artifact_store::ErrorKind;

use crate::exit;

/// So many failures in a row of what may pass or may be this artifact's own are no accident.
const IN_A_ROW: u32 = 3;
/// The same where the error does not say whose it is.
const UNCLEAR_IN_A_ROW: u32 = 10;

/// How it went with one artifact after the other.
#[derive(Default)]
pub struct Streak {
    failures: u32,
    has_succeeded: bool,
}

impl Streak {
    /// The store answered.
    pub fn succeeded(&mut self) {
        *self = Self { failures: 0, has_succeeded: true };
    }

    /// Whether there is no point in going on after this failure.
    pub fn failed(&mut self, error: &anyhow::Error) -> bool {
        let Some(error) = exit::find::<artifact_store::Error>(error) else {
            self.failures += 1;
            return self.failures >= UNCLEAR_IN_A_ROW;
        };
        use ErrorKind as Kind;
        let limit = match error.kind() {
            // The store answered: this concerns the one artifact.
            Kind::NotFound
            | Kind::AlreadyExists
            | Kind::InvalidKey(_)
            | Kind::InvalidRange
            | Kind::TooLarge { .. }
            | Kind::Corrupt(_)
            | Kind::Protocol(_) => {
                self.succeeded();
                return false;
            }
            Kind::Load(_) | Kind::Configuration(_) | Kind::Unsupported(_) | Kind::NoSpace(_) => 1,
            Kind::AccessDenied(_) if !self.has_succeeded => 1,
            Kind::AccessDenied(_) | Kind::Trap(_) | Kind::Exhausted { .. } => IN_A_ROW,
            _ if error.is_retryable() => IN_A_ROW,
            _ => UNCLEAR_IN_A_ROW,
        };
        self.failures += 1;
        self.failures >= limit
    }
}

/// What is said when it stops.
pub const STOPPED: &str = "stopped, since the remaining artifacts would fail in the same way";
