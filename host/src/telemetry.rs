//! What operators see of a store: `tracing` spans and events, and `metrics`, as
//! `docs/operating.md` lists them.
//!
//! Keys may be confidential: they appear at the levels `debug` and `trace` only.

use std::sync::Arc;
use std::time::Instant;

use metrics::{
    Gauge, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use tracing::{Level, Span, debug, enabled, info, trace, warn};

use crate::error::ErrorKind;
use crate::text::foreign;

/// The target of all events but those of a backend's own output, whichever module they come from.
const TARGET: &str = "artifact_store";

const CALLS: &str = "artifact_store_calls_total";
const DURATION: &str = "artifact_store_call_duration_seconds";
const BYTES: &str = "artifact_store_bytes_total";
const ERRORS: &str = "artifact_store_errors_total";
const ACTIVE: &str = "artifact_store_calls_active";
const SWAPS: &str = "artifact_store_swaps_total";

/// Describes the metrics to the recorder that is installed now.
pub(crate) fn describe() {
    describe_counter!(CALLS, Unit::Count, "Calls that ended, whether they succeeded or failed");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "How long calls took, including the wait for their turn"
    );
    describe_counter!(BYTES, Unit::Bytes, "Bytes of artifacts that successful calls transferred");
    describe_counter!(ERRORS, Unit::Count, "Calls that failed, by the case of their error");
    describe_gauge!(ACTIVE, Unit::Count, "Calls that are running on an instance of the backend");
    describe_counter!(SWAPS, Unit::Count, "Backends that replaced another one");
}

/// A backend, as operators see it.
#[derive(Clone, Copy)]
pub(crate) struct Backend<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) digest: &'a str,
}

/// A call of a backend.
pub(crate) struct Call<'a> {
    pub(crate) backend: Backend<'a>,
    pub(crate) operation: &'static str,
    pub(crate) key: &'a str,
    pub(crate) begun: Instant,
}

/// The span of a call while it runs.
pub(crate) fn span(call: &Call<'_>) -> Span {
    let Call { backend: Backend { name, digest }, operation, key, .. } = *call;
    if enabled!(target: TARGET, Level::DEBUG) {
        tracing::debug_span!(target: TARGET, "call", operation, key, backend = &**name, digest)
    } else {
        tracing::info_span!(target: TARGET, "call", operation, backend = &**name, digest)
    }
}

/// Counts a call as active until this is dropped.
pub(crate) struct Active(Gauge);

impl Active {
    pub(crate) fn new(backend: &Backend<'_>) -> Self {
        let active = gauge!(ACTIVE, "backend" => label(backend));
        active.increment(1);
        Self(active)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The bytes of a read go from their file to the caller, bypassing the backend.
pub(crate) fn spliced() {
    trace!(target: TARGET, "spliced");
}

/// A backend opens a file or directory.
pub(crate) fn opens(path: &str) {
    trace!(target: TARGET, path = foreign(path), "opens");
}

/// A call ended, with `error` or without; `bytes` were moved.
pub(crate) fn called(call: &Call<'_>, bytes: u64, error: Option<&ErrorKind>) {
    let Call { backend, operation, key, begun } = *call;
    let took = begun.elapsed();
    let label = || label(&backend);
    counter!(CALLS, "backend" => label(), "operation" => operation).increment(1);
    histogram!(DURATION, "backend" => label(), "operation" => operation).record(took.as_secs_f64());
    let outcome = error.map_or("ok", ErrorKind::name);
    match error {
        None if bytes > 0 => {
            counter!(BYTES, "backend" => label(), "operation" => operation).increment(bytes);
        }
        None => {}
        Some(_) => {
            counter!(ERRORS, "backend" => label(), "operation" => operation, "error" => outcome)
                .increment(1);
        }
    }
    let (name, digest) = (&**backend.name, backend.digest);
    if error.is_some_and(ErrorKind::is_fault) {
        warn!(target: TARGET, operation, outcome, ?took, backend = name, digest, "the backend failed");
    } else {
        info!(target: TARGET, operation, bytes, outcome, ?took, backend = name, digest, "called");
    }
    // The text of an error may name a key.
    let error = error.map(ErrorKind::to_string);
    debug!(target: TARGET, operation, key, outcome, error, backend = name, "in detail");
}

/// A directory or file of another store of the configuration cannot be compared with the grants.
pub(crate) fn silent(owner: &str, path: &std::path::Path) {
    warn!(
        target: TARGET, owner, path = %path.display(),
        "the path does not answer and is not compared with the grants"
    );
}

/// The path of a granted directory now names something else.
pub(crate) fn moved(path: &std::path::Path, instead: &str) {
    warn!(
        target: TARGET, path = %path.display(), instead,
        "the path of a granted directory now leads elsewhere; the store keeps the directory that it opened"
    );
}

/// A backend was replaced by another.
pub(crate) fn swapped(old: &Backend<'_>, new: &Backend<'_>, is_rollback: bool) {
    let (how, verb) = if is_rollback { ("rollback", "rolled back") } else { ("swap", "swapped") };
    counter!(SWAPS, "how" => how).increment(1);
    let (from, to) = (&**old.name, &**new.name);
    let (from_digest, to_digest) = (old.digest, new.digest);
    info!(target: TARGET, from, from_digest, to, to_digest, "{verb} the backend");
}

fn label(backend: &Backend<'_>) -> SharedString {
    SharedString::from(Arc::clone(backend.name))
}
