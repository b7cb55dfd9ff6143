//! What operators see of a store: `tracing` spans and events, and `metrics`, as
//! `docs/operating.md` lists them.
//!
//! Keys may be confidential: they appear at the levels `debug` and `trace` only.

mod outage;

use std::sync::Arc;
use std::time::Instant;

use metrics::{
    Gauge, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use tracing::{Level, Span, debug, enabled, info, trace, warn};

use crate::error::{ErrorKind, Operation};
use crate::text::foreign;
use outage::Over;

pub(crate) use outage::Outages;

/// The target of all events but those of a backend's own output, whichever module they come from.
const TARGET: &str = "artifact_store";

const CALLS: &str = "artifact_store_calls_total";
const DURATION: &str = "artifact_store_call_duration_seconds";
const BYTES: &str = "artifact_store_bytes_total";
const ERRORS: &str = "artifact_store_errors_total";
const ACTIVE: &str = "artifact_store_calls_active";
const SWAPS: &str = "artifact_store_swaps_total";
const INFO: &str = "artifact_store_backend_info";
const TRIALS: &str = "artifact_store_trials_active";
#[cfg(feature = "config")]
const RELOADS: &str = "artifact_store_reloads_total";
#[cfg(feature = "config")]
const RELOADED: &str = "artifact_store_last_reload_successful";

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
    describe_gauge!(INFO, Unit::Count, "Open stores that this component serves now");
    describe_gauge!(TRIALS, Unit::Count, "Stores whose new backend is on trial");
    #[cfg(feature = "config")]
    describe_counter!(RELOADS, Unit::Count, "New backends that a configuration named, by result");
    #[cfg(feature = "config")]
    describe_gauge!(
        RELOADED,
        Unit::Count,
        "Whether a store has what its configuration names: 1 or 0"
    );
}

/// A backend, as operators see it.
#[derive(Clone, Copy)]
pub(crate) struct Backend<'a> {
    /// The store's name in its configuration; empty if there is none.
    pub(crate) store: &'a Arc<str>,
    pub(crate) name: &'a Arc<str>,
    /// The name without the folders of a file.
    pub(crate) label: &'a Arc<str>,
    pub(crate) digest: &'a str,
    pub(crate) outages: &'a Outages,
}

impl Backend<'_> {
    /// The store if it has a name, the backend, and the beginning of the digest, which tells the
    /// components of one store apart.
    fn in_short(&self) -> (Option<&str>, &str, &str) {
        let store = (!self.store.is_empty()).then_some(&**self.store);
        (store, self.name, self.digest.get(..12).unwrap_or(self.digest))
    }
}

/// A call of a backend.
pub(crate) struct Call<'a> {
    pub(crate) backend: Backend<'a>,
    pub(crate) operation: Operation,
    pub(crate) key: &'a str,
    pub(crate) begun: Instant,
}

/// The span of a call while it runs.
pub(crate) fn span(call: &Call<'_>) -> Span {
    let Call { backend, operation, key, .. } = *call;
    let operation = operation.name();
    let (store, name, digest) = backend.in_short();
    if enabled!(target: TARGET, Level::DEBUG) {
        tracing::debug_span!(target: TARGET, "call", operation, key, store, backend = name, digest)
    } else {
        tracing::info_span!(target: TARGET, "call", operation, store, backend = name, digest)
    }
}

/// Counts a call or a trial as active until this is dropped.
pub(crate) struct Active(Gauge);

impl Active {
    /// A call that has an instance.
    pub(crate) fn call(backend: &Backend<'_>) -> Self {
        Self::new(ACTIVE, backend)
    }

    /// The trial of a new backend.
    pub(crate) fn trial(backend: &Backend<'_>) -> Self {
        Self::new(TRIALS, backend)
    }

    fn new(metric: &'static str, backend: &Backend<'_>) -> Self {
        let (store, label) = (label(backend.store), label(backend.label));
        let active = gauge!(metric, "store" => store, "backend" => label);
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
    let Call { backend, operation: called, key, begun } = *call;
    let operation = called.name();
    let took = begun.elapsed();
    let (store, label) = (|| label(backend.store), || label(backend.label));
    counter!(CALLS, "store" => store(), "backend" => label(), "operation" => operation)
        .increment(1);
    histogram!(DURATION, "store" => store(), "backend" => label(), "operation" => operation)
        .record(took.as_secs_f64());
    let outcome = error.map_or("ok", ErrorKind::name);
    match error {
        None if bytes > 0 => {
            counter!(BYTES, "store" => store(), "backend" => label(), "operation" => operation)
                .increment(bytes);
        }
        None => {}
        Some(_) => {
            counter!(
                ERRORS,
                "store" => store(), "backend" => label(), "operation" => operation, "error" => outcome
            )
            .increment(1);
        }
    }
    let (store, name, digest) = backend.in_short();
    info!(
        target: TARGET,
        operation, bytes, outcome, ?took, store, backend = name, digest, "called"
    );
    let (failed, over) = backend.outages.of(called, |outage| match error {
        Some(kind) if kind.is_outage() => (outage.failed(outcome, Instant::now()), None),
        None | Some(ErrorKind::NotFound) => (None, outage.succeeded(Instant::now())),
        Some(_) => (None, None),
    });
    if let Some(failed) = failed {
        warn!(target: TARGET, operation, outcome, failed, store, backend = name, digest, "calls fail");
    }
    if let Some(Over { failed, after }) = over {
        warn!(
            target: TARGET,
            operation, failed, ?after, store, backend = name, digest, "calls succeed again"
        );
    }
    // The text of an error may name a key.
    let error = error.map(ErrorKind::to_string);
    debug!(target: TARGET, operation, key, outcome, error, store, backend = name, "in detail");
}

/// A writer was shut down, as if that would store something, and then dropped.
pub(crate) fn not_committed(backend: &Backend<'_>, key: &str) {
    let name = &**backend.name;
    warn!(target: TARGET, backend = name, "a writer was shut down and dropped without a commit: nothing is stored");
    debug!(target: TARGET, key, backend = name, "not committed");
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
    counter!(SWAPS, "store" => label(new.store), "how" => how).increment(1);
    serves(old, -1.0);
    serves(new, 1.0);
    let (from, to) = (&**old.name, &**new.name);
    let (from_digest, to_digest) = (old.digest, new.digest);
    info!(target: TARGET, from, from_digest, to, to_digest, "{verb} the backend");
}

/// So many more stores are served by a backend.
pub(crate) fn serves(backend: &Backend<'_>, stores: f64) {
    let Backend { store, label: name, digest, .. } = *backend;
    let digest = digest.to_owned();
    gauge!(INFO, "store" => label(store), "backend" => label(name), "digest" => digest)
        .increment(stores);
}

/// A store has taken a new backend that its configuration names, or refused it.
#[cfg(feature = "config")]
pub(crate) fn reloaded(store: &str, is_taken: bool) {
    let result = if is_taken { "taken" } else { "refused" };
    counter!(RELOADS, "store" => store.to_owned(), "result" => result).increment(1);
    in_step(store, is_taken);
}

/// A store has what its configuration names, or has not.
#[cfg(feature = "config")]
pub(crate) fn in_step(store: &str, is_in_step: bool) {
    gauge!(RELOADED, "store" => store.to_owned()).set(if is_in_step { 1.0 } else { 0.0 });
}

fn label(name: &Arc<str>) -> SharedString {
    SharedString::from(Arc::clone(name))
}
