//! What a layer was told of failures below it. If it reports one to its own caller, that caller hears
//! of the failure itself, and in which backend of the stack it was.

use std::sync::Arc;

use super::Deadline;
use crate::error::{Error, ErrorKind};

/// The last failure below.
pub(super) struct Failure {
    /// The layer's own error, if it passes on what it was told.
    told: String,
    error: Error,
}

impl Deadline {
    /// A call below failed with `error`, and the layer was `told` so.
    pub(crate) fn failed_below(&self, told: &ErrorKind, error: Error) {
        let told = passed_on(told);
        let below = &mut self.state().below;
        match error.kind() {
            // An answer is not a failure, and whose it is means nothing to the layer's caller.
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::ConditionFailed
            | ErrorKind::InvalidRange
            | ErrorKind::InvalidKey(_) => {}
            _ => *below = Some(Failure { told, error }),
        }
    }

    /// The failure that a layer passes on as `kind`, and the name of the backend where it was.
    pub(crate) fn of_below(&self, kind: ErrorKind) -> (ErrorKind, Option<Arc<str>>) {
        let mut state = self.state();
        let failed = state.below.take_if(|failure| failure.told == passed_on(&kind));
        match failed {
            Some(Failure { error, .. }) => {
                let name = error.backend().into();
                (error.into_kind(), Some(name))
            }
            None => (kind, None),
        }
    }
}

fn passed_on(kind: &ErrorKind) -> String {
    format!("{}: {kind}", kind.name())
}
