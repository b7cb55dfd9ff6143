//! Removing what crashed writers have left.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;

use super::paging::no_maintenance;
use crate::error::{ErrorKind, Result};
use crate::instance::{Exports, Outcome, Worker};
use crate::interface::Interface;
use crate::maintenance::Swept;
use crate::serving::{Loaded, Running};
use crate::wasi::HostState;

impl Running {
    /// Removes the temporaries that were last written to at least `older_than` ago.
    pub(crate) async fn sweep(&self, older_than: Duration) -> Result<Swept> {
        let outcome =
            self.run(async |accessor, exports| sweep(accessor, exports, older_than).await);
        self.call.end(0, outcome.await)
    }
}

/// Sweeps beside all calls and on a thread of its own, if the backend offers it. The application
/// does not wait for it, and its outcome does not count in a trial. It ends with the store; the next
/// one runs when the store is opened again.
pub(crate) fn in_background(backend: &Arc<Loaded>, older_than: Duration) {
    if !backend.pool.offers(Interface::Maintenance) {
        return;
    }
    let call = backend.opening_sweep();
    drop(Worker::spawn(Arc::clone(call.clock()), async move || {
        let body = async |accessor: &_, exports: &_| sweep(accessor, exports, older_than).await;
        let outcome = call.backend.pool.call_aside(call.clock(), body).await;
        if !call.clock().is_closed() {
            call.tell(0, &outcome);
        }
    }));
}

async fn sweep(
    accessor: &Accessor<HostState>,
    exports: &Exports,
    older_than: Duration,
) -> Outcome<Swept> {
    let Some(maintenance) = &exports.maintenance else { return Ok(Err(no_maintenance())) };
    let answer = maintenance.call_sweep(accessor, older_than.as_secs()).await?;
    Ok(answer.map(Swept::from).map_err(ErrorKind::from))
}
