//! A component that is ready to serve, and its end after it was replaced.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Call;
use super::swap::Trial;
use crate::budget::spawn;
use crate::error::{Error, ErrorKind, Operation};
use crate::instance::Pool;
use crate::telemetry;

pub(crate) struct Loaded {
    pub(crate) name: Arc<str>,
    /// SHA-256 of the component, in hexadecimal digits.
    pub(crate) digest: Arc<str>,
    pub(crate) pool: Pool,
    /// Counts the first calls after a swap, until one succeeds.
    pub(crate) trial: Trial,
    /// The task that ends the remaining calls some time after the swap.
    draining: Mutex<Option<AbortHandle>>,
}

impl Loaded {
    pub(crate) fn new(name: Arc<str>, digest: Arc<str>, pool: Pool) -> Self {
        Self { name, digest, pool, trial: Trial::default(), draining: Mutex::default() }
    }

    /// One call of this backend, whose time starts now.
    pub(crate) fn call(self: &Arc<Self>, operation: Operation, key: &str) -> Arc<Call> {
        Call::new(Arc::clone(self), operation, key, false)
    }

    /// One call whose caller sends or takes bytes as they come.
    pub(crate) fn transfer(self: &Arc<Self>, operation: Operation, key: &str) -> Arc<Call> {
        Call::new(Arc::clone(self), operation, key, true)
    }

    /// The backend as operators see it.
    pub(super) fn seen(&self) -> telemetry::Backend<'_> {
        telemetry::Backend { name: &self.name, digest: &self.digest }
    }

    pub(crate) fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> Error {
        let has_key = !matches!(operation, Operation::Audit | Operation::Sweep);
        Error::new(kind, operation, has_key.then_some(key), &self.name)
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
