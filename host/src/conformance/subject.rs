//! A backend over a fresh store, as the checks use it: each call is recorded.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Accessor;

use super::shown::error_shown;
use super::step::Step;
use super::trace::{Entry, Trace};
use super::{Failure, Interface, Stop, Way};
use crate::bindings::types;
use crate::budget::on_this_thread;
use crate::error::{ErrorKind, Operation};
use crate::instance::{Exports, Outcome};
use crate::serving::Running;
use crate::wasi::HostState;
use crate::{Backend, LoadedBackend, blocking};

pub(super) type Answer<T> = Result<T, ErrorKind>;
pub(super) type Verdict<T = ()> = Result<T, Stop>;

/// The backend of one check, and the calls that it made.
pub(super) struct Subject {
    /// The backend as it was given, not loaded.
    pub(super) origin: Backend,
    backend: LoadedBackend,
    pub(super) way: Way,
    /// Whether it is the second host over one store.
    is_other: bool,
    trace: Arc<Trace>,
    /// The directory that the backend was granted, if any.
    pub(super) dir: Option<PathBuf>,
    pub(super) seed: u64,
}

impl Subject {
    pub(super) fn open(
        backend: Backend,
        way: Way,
        dir: Option<PathBuf>,
        seed: u64,
    ) -> crate::Result<Self> {
        let origin = backend.checked();
        let backend = on_this_thread(origin.clone().load())?;
        let layer = backend.0.below.is_some().then(|| Arc::clone(&backend.0.name));
        let trace = Arc::new(Trace::of(layer));
        Ok(Self { origin, backend, way, is_other: false, trace, dir, seed })
    }

    /// A second host over the same store, which shares nothing else with the first.
    pub(super) fn other(&self, backend: Backend) -> crate::Result<Self> {
        let origin = backend.checked();
        let backend = on_this_thread(origin.clone().load())?;
        let (trace, dir) = (Arc::clone(&self.trace), self.dir.clone());
        Ok(Self { origin, backend, way: self.way, is_other: true, trace, dir, seed: self.seed })
    }

    pub(super) fn offers(&self, interface: Interface) -> bool {
        self.backend.0.pool.offers(interface)
    }

    /// What follows does not depend on what was before.
    pub(super) fn begin(&self) {
        self.trace.restart();
    }

    /// Drops all instances, and what they keep in memory.
    pub(super) fn drop_instances(&self) {
        self.backend.0.pool.forget_idle();
        self.trace.add(Step::DropInstances, self.is_other, Ok(String::new()));
    }

    /// Records an event beside the calls.
    pub(super) fn note(&self, what: &str) {
        self.note_about("", what);
    }

    pub(super) fn note_about(&self, key: &str, what: &str) {
        self.trace.note(key, format!("{}{what}", Trace::label(self.is_other)));
    }

    /// Whether a call was not answered in time.
    pub(super) fn was_slow(&self) -> bool {
        self.trace.was_slow()
    }

    /// What the backend refused and another rule lets it refuse.
    pub(super) fn allowance(&self) -> Option<String> {
        self.trace.allowance()
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// All calls, if each of them can be repeated.
    pub(super) fn steps(&self) -> Option<Vec<Entry>> {
        self.trace.steps()
    }

    /// The outcome of each call.
    pub(super) fn outcomes(&self) -> Vec<String> {
        self.trace.outcomes()
    }

    /// Repeats a recorded call.
    pub(super) fn repeat(&self, step: &Step) {
        match step {
            Step::Put(key, data) => drop(self.put(key, data)),
            Step::Get(key) => drop(self.get(key)),
            Step::Delete(key) => drop(self.delete(key)),
            Step::DeleteIf { key, version } => drop(self.delete_if(key, version)),
            Step::Write(key, upload) => drop(self.write(key, upload.clone())),
            Step::Read { key, range, take } => drop(self.read_with(key, *range, *take, None)),
            Step::Copy { source, key, mode } => drop(self.copy(source, key, mode)),
            Step::Stat(key) => drop(self.stat(key)),
            Step::List { prefix, cursor, limit } => {
                drop(self.page(prefix, cursor.as_deref(), *limit));
            }
            Step::ListOrdered { prefix, after, delimiter, limit } => {
                drop(self.ordered(prefix, after.as_deref(), delimiter.as_deref(), *limit));
            }
            Step::Audit { cursor, limit } => drop(self.audit(cursor.as_deref(), *limit)),
            Step::Sweep(age) => drop(self.sweep(*age)),
            Step::DropInstances => self.drop_instances(),
        }
    }

    pub(super) fn call(&self, operation: Operation, key: &str) -> Running {
        if self.way == Way::Fresh {
            self.backend.0.pool.forget_idle();
        }
        Running::new(self.backend.0.call(operation, key))
    }

    /// Runs `body` on an instance of the backend.
    pub(super) fn run<R>(
        &self,
        operation: Operation,
        key: &str,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Answer<R> {
        let running = self.call(operation, key);
        let answer = on_this_thread(running.run(body));
        self.placed(&running, answer)
    }

    /// Notes a fault of another component of the stack, which a layer passes on as an answer.
    pub(super) fn placed<R>(&self, running: &Running, answer: Answer<R>) -> Answer<R> {
        if !self.is_layer() {
            return answer;
        }
        answer.map_err(|kind| {
            let (found, place) = running.call.clock().of_below(kind);
            let Some(place) = place.filter(|_| found.is_fault()) else {
                // A layer that hears its own reason for giving up was told it as `other`.
                return match found {
                    ErrorKind::Io(reason) => ErrorKind::Other(reason.to_string()),
                    found => found,
                };
            };
            self.trace.note_time(&found);
            let text = format!("below the layer, `{place}` failed: {}", error_shown(&found));
            self.note_about(&running.call.key, &text);
            ErrorKind::Unavailable(found.to_string())
        })
    }

    pub(super) fn loaded(&self) -> &LoadedBackend {
        &self.backend
    }

    pub(super) fn host(&self) -> blocking::ArtifactStore {
        blocking::ArtifactStore::serve(self.backend.clone())
    }

    pub(super) fn record<T>(
        &self,
        step: Step,
        answer: Answer<T>,
        show: impl FnOnce(&T) -> String,
    ) -> Answer<T> {
        self.trace.add(step, self.is_other, answer.as_ref().map(show));
        answer
    }

    /// A failure with the calls that led to it.
    pub(super) fn fail(&self, expected: impl Into<String>, seen: impl Into<String>) -> Stop {
        self.fail_about(&[], expected, seen)
    }

    /// The same with only the calls that are about these keys.
    pub(super) fn fail_about(
        &self,
        keys: &[&str],
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Stop {
        Stop::Failed(self.failure(keys, expected.into(), seen.into()))
    }

    /// The same if only the last answer is wrong.
    pub(super) fn fail_by_last(
        &self,
        keys: &[&str],
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Stop {
        Stop::FailedByLast(self.failure(keys, expected.into(), seen.into()))
    }

    fn failure(&self, keys: &[&str], expected: String, seen: String) -> Failure {
        let calls = self.trace.about(keys);
        Failure { rule: "", way: self.way, calls, is_reduced: false, expected, seen }
    }
}

/// Through the host, times are not checked.
pub(super) fn info_of(info: &crate::Info) -> types::Info {
    let (version, attributes) = (info.version.clone(), info.attributes.list());
    types::Info { size: info.size, checksum: info.checksum, modified: None, version, attributes }
}

pub(super) fn kind(error: crate::Error) -> ErrorKind {
    error.into_kind()
}

pub(super) fn not_offered() -> ErrorKind {
    ErrorKind::Unsupported("the backend does not offer this".into())
}
