//! A component that is ready to serve, and its end after it was replaced.

use std::ffi::OsStr;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Call;
use super::swap::{Serving, Trial};
use crate::budget::{Closing, spawn};
use crate::encryption::{Encryption, plain_entry, plain_info};
use crate::error::{Error, ErrorKind, Operation};
use crate::info::{Entry, Info};
use crate::instance::Pool;
use crate::interface::Interface;
use crate::telemetry;

pub(crate) struct Loaded {
    /// The store's name in its configuration; empty if it has none.
    store: Arc<str>,
    pub(crate) name: Arc<str>,
    /// What metrics call it: the name without the folders of a file.
    label: Arc<str>,
    /// SHA-256 of the component, in hexadecimal digits.
    pub(crate) digest: Arc<str>,
    pub(crate) pool: Pool,
    /// What is below it, if it is a layer.
    pub(crate) below: Option<Arc<Serving>>,
    /// Encrypts what its callers store; the component sees nothing else.
    pub(crate) encryption: Option<Encryption>,
    /// Counts the first calls after a swap, until one succeeds.
    pub(crate) trial: Trial,
    /// What operators were told of failures.
    outages: telemetry::Outages,
    /// Ends the sweep that began when it was opened.
    pub(crate) sweeping: Arc<Closing>,
    /// The task that ends the remaining calls some time after the swap.
    draining: Mutex<Option<AbortHandle>>,
}

/// What the application has of it: a store that it serves, or a former backend that may serve again.
/// Calls hold only the backend itself, until they end.
pub(crate) struct Held(Arc<Loaded>);

impl Held {
    pub(crate) fn new(backend: Loaded) -> Arc<Self> {
        Arc::new(Self(Arc::new(backend)))
    }
}

impl Deref for Held {
    type Target = Arc<Loaded>;

    fn deref(&self) -> &Arc<Loaded> {
        &self.0
    }
}

/// Calls that have begun run to their end. Nobody waits for the sweep.
impl Drop for Held {
    fn drop(&mut self) {
        self.sweeping.close();
        self.pool.preopens().leave();
    }
}

impl Loaded {
    pub(crate) fn new(store: &str, name: Arc<str>, digest: Arc<str>, pool: Pool) -> Self {
        let label = Path::new(&*name).file_name().and_then(OsStr::to_str);
        let label = label.map_or_else(|| Arc::clone(&name), Arc::from);
        let store = store.into();
        Self {
            store,
            name,
            label,
            digest,
            pool,
            below: None,
            encryption: None,
            trial: Trial::default(),
            outages: telemetry::Outages::default(),
            sweeping: Arc::default(),
            draining: Mutex::default(),
        }
    }

    /// The same as a layer over `below`.
    pub(crate) fn over(mut self, below: Option<Arc<Serving>>) -> Self {
        self.below = below;
        self
    }

    /// The same with this encryption between it and its callers.
    pub(crate) fn encrypted(mut self, encryption: Option<Encryption>) -> Self {
        self.encryption = encryption;
        self
    }

    /// Whether its callers may use this interface. A backend cannot copy what is encrypted: an
    /// artifact is bound to its key.
    pub(crate) fn offers(&self, interface: Interface) -> bool {
        let is_hidden = self.encryption.is_some() && interface == Interface::Copying;
        self.pool.offers(interface) && !is_hidden
    }

    /// What its callers learn of an artifact that has this info below.
    pub(crate) fn info(&self, stored: Info) -> Result<Info, ErrorKind> {
        if self.encryption.is_some() { plain_info(stored) } else { Ok(stored) }
    }

    /// The same for an entry of a listing.
    pub(crate) fn entry(&self, stored: Entry) -> Entry {
        if self.encryption.is_some() { plain_entry(stored) } else { stored }
    }

    /// One call of this backend, whose time starts now.
    pub(crate) fn call(self: &Arc<Self>, operation: Operation, key: &str) -> Arc<Call> {
        Call::new(Arc::clone(self), self.pool.clock(), operation, key, false)
    }

    /// One call whose caller sends or takes bytes as they come.
    pub(crate) fn transfer(self: &Arc<Self>, operation: Operation, key: &str) -> Arc<Call> {
        Call::new(Arc::clone(self), self.pool.clock(), operation, key, true)
    }

    /// The backend as operators see it.
    pub(crate) fn seen(&self) -> telemetry::Backend<'_> {
        let Self { store, name, label, digest, outages, .. } = self;
        telemetry::Backend { store, name, label, digest, outages }
    }

    pub(crate) fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> Error {
        let has_key = !matches!(operation, Operation::Audit | Operation::Sweep);
        Error::new(kind, operation, has_key.then_some(key), &self.name)
    }

    /// The sweep of what crashed writers have left, beside all calls.
    pub(crate) fn opening_sweep(self: &Arc<Self>) -> Arc<Call> {
        let clock = self.pool.clock_ended_by(&self.sweeping);
        Call::new(Arc::clone(self), clock, Operation::Sweep, "", false)
    }

    /// Another backend has replaced it. Its idle instances are dropped now; calls that are still
    /// running after `timeout` are ended.
    pub(crate) fn drain(self: &Arc<Self>, timeout: Duration) {
        self.pool.forget_idle();
        let backend = Arc::downgrade(self);
        let task = spawn(async move {
            tokio::time::sleep(timeout).await;
            // If the backend is gone, so are its calls.
            if let Some(backend) = backend.upgrade() {
                backend.pool.close();
            }
        });
        let before = self.draining().replace(task.abort_handle());
        before.inspect(AbortHandle::abort);
    }

    /// The backend serves again.
    pub(crate) fn serve_again(&self) {
        self.draining().take().inspect(AbortHandle::abort);
        self.pool.reopen();
    }

    fn draining(&self) -> std::sync::MutexGuard<'_, Option<AbortHandle>> {
        self.draining.lock().unwrap_or_else(|e| e.into_inner())
    }
}
