//! What operators see of a store: `tracing` spans and events, and `metrics`.
//!
//! Keys may be confidential, so that they are named at the level `debug` only.

use std::sync::Arc;

use metrics::{Gauge, SharedString, counter, gauge, histogram};
use tracing::{Level, Span, debug, enabled, info, warn};

use crate::backend::{Call, Loaded};
use crate::error::ErrorKind;

/// What surrounds a call while it runs.
pub(crate) fn span(call: &Call) -> Span {
    let Call { backend, operation, key, .. } = call;
    let operation = operation.name();
    let (name, digest) = (&*backend.name, &*backend.digest);
    if enabled!(Level::DEBUG) {
        tracing::debug_span!("call", operation, key, backend = name, digest)
    } else {
        tracing::info_span!("call", operation, backend = name, digest)
    }
}

/// Counts a call as one that runs, until it is dropped.
pub(crate) struct Active(Gauge);

impl Active {
    pub(crate) fn new(call: &Call) -> Self {
        let name = SharedString::from(Arc::clone(&call.backend.name));
        let active = gauge!("artifact_store_calls_active", "backend" => name);
        active.increment(1);
        Self(active)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// A call ended, well or with this error; `bytes` were moved.
pub(crate) fn called(call: &Call, bytes: u64, error: Option<&ErrorKind>) {
    let Call { backend, operation, key, begun, .. } = call;
    let (operation, name, digest) = (operation.name(), &backend.name, &*backend.digest);
    let outcome = error.map_or("ok", ErrorKind::name);
    let took = begun.elapsed();
    let label = || SharedString::from(Arc::clone(name));
    counter!("artifact_store_calls_total", "backend" => label(), "operation" => operation)
        .increment(1);
    histogram!("artifact_store_call_seconds", "backend" => label(), "operation" => operation)
        .record(took.as_secs_f64());
    if bytes > 0 {
        counter!("artifact_store_bytes_total", "backend" => label(), "operation" => operation)
            .increment(bytes);
    }
    if let Some(error) = error {
        counter!("artifact_store_errors_total", "backend" => label(), "error" => outcome)
            .increment(1);
        // The keys are at the level `debug` alone, and an error's text may name one.
        if error.is_fault() {
            warn!(operation, backend = &**name, digest, outcome, ?took, "the backend failed");
        }
    }
    debug!(
        operation,
        key,
        backend = &**name,
        digest,
        bytes,
        outcome,
        error = error.map(tracing::field::display),
        ?took,
        "called"
    );
}

/// One backend took another one's place.
pub(crate) fn swapped(old: &Loaded, new: &Loaded, how: &'static str) {
    counter!("artifact_store_swaps_total", "how" => how).increment(1);
    let (from, to) = (&*old.name, &*new.name);
    info!(from, from_digest = &*old.digest, to, to_digest = &*new.digest, "{how} the backend");
}
