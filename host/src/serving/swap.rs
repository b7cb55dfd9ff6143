//! Replacing the backend of a store while it serves.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

#[cfg(feature = "conformance")]
use super::Fault;
use super::{Call, Held, Loaded};
use crate::error::{ErrorKind, Operation};
use crate::setters::setters;
use crate::telemetry::{self, Active};

/// How a backend replaces another one.
///
/// ```
/// use artifact_store::SwapOptions;
///
/// let careful = SwapOptions::default().trial_calls(10);
/// # let _ = careful;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwapOptions {
    /// How long calls in flight may go on with the old backend. After that they end with
    /// [`ErrorKind::Unavailable`]. Default: 30 seconds.
    pub drain_timeout: Duration,
    /// The length of the trial: if this many calls of the new backend fail through its own fault (a
    /// trap, a timeout, a broken contract, exhausted limits) before one succeeds, the old backend
    /// is restored. An error of the contract counts neither as a fault nor as a success. Default:
    /// 0, which means no trial.
    pub trial_calls: u32,
}

setters!(SwapOptions { drain_timeout: Duration, trial_calls: u32 });

impl Default for SwapOptions {
    fn default() -> Self {
        Self { drain_timeout: Duration::from_secs(30), trial_calls: 0 }
    }
}

/// A backend that was compiled, checked against the contract and started once.
/// [`ArtifactStore::swap`](crate::ArtifactStore::swap) returns the previous one, and
/// [`ArtifactStore::swap_loaded`](crate::ArtifactStore::swap_loaded) takes one.
///
/// ```
/// use artifact_store::{Backend, SwapOptions, blocking::ArtifactStore};
///
/// # let (old, new) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// let store = ArtifactStore::open_dir(old.path())?;
/// store.put("k", "in the old one")?;
/// let before = store.swap(Backend::fs(new.path()), SwapOptions::default())?;
/// assert!(store.get("k").is_err());
/// store.swap_loaded(before, SwapOptions::default());
/// assert_eq!(store.get("k")?, "in the old one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LoadedBackend(pub(crate) Arc<Held>);

impl LoadedBackend {
    /// Its name: `fs`, or the file of the component.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The SHA-256 of the component, in hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Whether artifacts are encrypted on their way to the storage, by this backend's own
    /// [layer](crate::Layer) or by one of those below it. Keys and attributes never are.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let below = || self.0.below.as_ref().is_some_and(|below| below.loaded().is_encrypted());
        self.0.encryption.is_some() || below()
    }

    /// A directory that it, or what is below it, was granted and that was removed since then: what such
    /// a backend stored is gone, and it can store nothing. Waits for the disk.
    #[must_use]
    pub fn removed_directory(&self) -> Option<PathBuf> {
        let below = || self.0.below.as_ref()?.loaded().removed_directory();
        self.0.pool.preopens().removed().map(Path::to_owned).or_else(below)
    }
}

impl std::fmt::Debug for LoadedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LoadedBackend").field(&self.name()).field(&self.digest()).finish()
    }
}

/// The backend that now serves a store and its clones.
pub(crate) struct Serving {
    held: ArcSwap<Held>,
    /// How a check lets it fail, as the store below a layer.
    #[cfg(feature = "conformance")]
    fault: Mutex<Option<Fault>>,
}

impl Serving {
    pub(crate) fn new(LoadedBackend(backend): LoadedBackend) -> Arc<Self> {
        telemetry::serves(&backend.seen(), 1.0);
        Arc::new(Self {
            held: ArcSwap::new(backend),
            #[cfg(feature = "conformance")]
            fault: Mutex::default(),
        })
    }

    pub(crate) fn backend(&self) -> Arc<Loaded> {
        Arc::clone(&self.held.load())
    }

    /// The same for the application, which may let it serve again.
    pub(crate) fn loaded(&self) -> LoadedBackend {
        LoadedBackend(self.held.load_full())
    }

    /// A call of the backend that serves now. The call stays with it until its end.
    pub(crate) fn call(&self, operation: Operation, key: &str) -> Arc<Call> {
        self.backend().call(operation, key)
    }

    /// Lets the calls of a layer fail from now on.
    #[cfg(feature = "conformance")]
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(|e| e.into_inner()) = fault;
    }

    /// How the calls of a layer are to fail.
    #[cfg(feature = "conformance")]
    pub(crate) fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Replaces the backend that serves by `new`, and returns the former.
    pub(crate) fn swap(
        self: &Arc<Self>,
        LoadedBackend(new): LoadedBackend,
        options: SwapOptions,
    ) -> LoadedBackend {
        new.serve_again();
        new.seen().outages.go_on(self.held.load().seen().outages);
        let old = self.held.swap(Arc::clone(&new));
        if !Arc::ptr_eq(&old, &new) {
            old.trial.end();
            old.drain(options.drain_timeout);
            new.trial.end();
            if options.trial_calls > 0 {
                let (serving, failed) = (Arc::downgrade(self), Arc::downgrade(&new));
                let (before, _active) = (Arc::clone(&old), Active::trial(&new.seen()));
                new.trial.start(Rollback { serving, failed, before, options, _active });
            }
            telemetry::swapped(&old.seen(), &new.seen(), false);
        }
        LoadedBackend(old)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let backend = self.held.load();
        backend.trial.end();
        telemetry::serves(&backend.seen(), -1.0);
    }
}

/// The first calls of a backend, which decide whether it stays.
#[derive(Default)]
pub(crate) struct Trial {
    is_on: AtomicBool,
    state: Mutex<Option<(u32, Rollback)>>,
}

struct Rollback {
    serving: Weak<Serving>,
    failed: Weak<Held>,
    before: Arc<Held>,
    options: SwapOptions,
    _active: Active,
}

impl Trial {
    fn start(&self, rollback: Rollback) {
        *self.state() = Some((rollback.options.trial_calls, rollback));
        self.is_on.store(true, Ordering::Release);
    }

    /// A replaced backend is no longer on trial, and keeps no other backend in reserve.
    fn end(&self) {
        self.is_on.store(false, Ordering::Release);
        *self.state() = None;
    }

    /// A call ended, with `error` or without.
    pub(crate) fn observe(&self, error: Option<&ErrorKind>) {
        if !self.is_on.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        let Some((left, _)) = &mut *state else { return };
        match error {
            Some(error) if error.is_fault() => *left -= 1,
            Some(_) => return,
            None => {}
        }
        if error.is_some() && *left > 0 {
            return;
        }
        self.is_on.store(false, Ordering::Release);
        let ended = state.take();
        drop(state);
        if let (Some(_), Some((_, rollback))) = (error, ended) {
            rollback.run();
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<(u32, Rollback)>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Rollback {
    /// Restores the old backend, unless another one has been swapped in since.
    fn run(self) {
        let Some((serving, failed)) = self.serving.upgrade().zip(self.failed.upgrade()) else {
            return;
        };
        self.before.serve_again();
        let found = serving.held.compare_and_swap(&failed, Arc::clone(&self.before));
        if Arc::ptr_eq(&found, &failed) {
            failed.drain(self.options.drain_timeout);
            telemetry::swapped(&failed.seen(), &self.before.seen(), true);
        }
    }
}
