//! The right to run a call.

use std::pin::pin;
use std::sync::Arc;

use tracing::Instrument;
use wasmtime::component::Accessor;

use super::Call;
use crate::budget::{Admitted, Inline};
use crate::error::ErrorKind;
use crate::instance::{Exports, Outcome};
use crate::telemetry;
use crate::wasi::HostState;

/// The right to run a call: its turn, once it has one. The verbs of the contract are its methods.
pub(crate) struct Running {
    pub(crate) call: Arc<Call>,
    admitted: Option<Admitted>,
    inline: Option<Arc<Inline>>,
}

impl Running {
    /// The call takes its turn when it first needs the backend.
    pub(crate) fn new(call: Arc<Call>) -> Self {
        Self { call, admitted: None, inline: None }
    }

    /// A call that already has its turn. If it runs on a task, `inline` asks for a thread.
    pub(super) fn admitted(mut self, admitted: Admitted, inline: Option<Arc<Inline>>) -> Self {
        self.admitted = Some(admitted);
        self.inline = inline;
        self
    }

    /// Runs `body` on an instance of the backend once the call has its turn.
    pub(crate) async fn run<R>(
        &self,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<R, ErrorKind> {
        let call = &self.call;
        let span = telemetry::span(&call.seen());
        let body = async |accessor: &Accessor<HostState>, exports: &Exports| {
            let _active = telemetry::Active::call(&call.backend.seen());
            body(accessor, exports).await
        };
        let _admitted = match &self.admitted {
            Some(_) => None,
            None => Some(Arc::clone(call.clock()).admit(call.is_transfer()).await?),
        };
        let outcome = pin!(call.backend.pool.call(call.clock(), self.inline.as_ref(), body));
        match (outcome.instrument(span).await, call.verdict()) {
            // The backend's answer to an ended call is not a failure of its own.
            (Err(kind), Some(verdict)) if !kind.is_fault() => Err(verdict),
            (outcome, _) => outcome,
        }
    }
}
