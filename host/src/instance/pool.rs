//! Instances of one component, each checked out for one call at a time. An instance that
//! finished its call cleanly is kept for the next; any other is dropped with all it holds.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use wasmtime::Store;
use wasmtime::component::{Accessor, InstancePre};

use super::backoff::Backoff;
use super::deadline::Closing;
use super::state::{HostState, new_store};
use super::{Deadline, Inline};
use crate::bindings::{
    INVENTORY, MAINTENANCE, STORE, STREAMS, artifact_store, inventory, maintenance, streams, types,
};
use crate::error::{ErrorKind, LoadError, wrong_interface};
#[cfg(feature = "network")]
use crate::network::Network;
use crate::{Grants, Limits};

/// After so many calls an instance is dropped, since its linear memory never shrinks.
const CALLS_PER_INSTANCE: u32 = 1000;

/// How much of a text of the backend is kept, in bytes: it is for people.
const TEXT: usize = 4096;

/// What the component offers, as looked up once at load.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) store: artifact_store::GuestIndices,
    pub(crate) streams: Option<streams::GuestIndices>,
    pub(crate) inventory: Option<inventory::GuestIndices>,
    pub(crate) maintenance: Option<maintenance::GuestIndices>,
}

/// The functions of one instance.
pub(crate) struct Exports {
    pub(crate) store: artifact_store::Guest,
    pub(crate) streams: Option<streams::Guest>,
    pub(crate) inventory: Option<inventory::Guest>,
    pub(crate) maintenance: Option<maintenance::Guest>,
}

struct Instance {
    store: Store<HostState>,
    exports: Exports,
    calls: u32,
}

pub(crate) struct Pool {
    component: InstancePre<HostState>,
    offered: Offered,
    grants: Grants,
    limits: Limits,
    #[cfg(feature = "network")]
    network: Arc<Network>,
    idle: Mutex<Vec<Instance>>,
    turns: Arc<Semaphore>,
    backoff: Backoff,
    closing: Arc<Closing>,
    /// Whether calls may begin on their caller's task.
    pub(crate) begins_inline: bool,
}

impl Pool {
    pub(crate) fn new(
        component: InstancePre<HostState>,
        offered: Offered,
        grants: Grants,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            #[cfg(feature = "network")]
            network: Arc::new(Network::new(&grants)?),
            component,
            offered,
            grants,
            idle: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            limits,
            backoff: Backoff::default(),
            closing: Arc::default(),
            begins_inline: false,
        })
    }

    /// The same without an instance, and with other directories.
    #[cfg(all(feature = "conformance", unix))]
    pub(crate) fn with_grants(&self, grants: Grants) -> Self {
        Self {
            #[cfg(feature = "network")]
            network: Arc::clone(&self.network),
            component: self.component.clone(),
            offered: self.offered.clone(),
            grants,
            limits: self.limits.clone(),
            idle: Mutex::default(),
            turns: Arc::clone(&self.turns),
            backoff: Backoff::default(),
            closing: Arc::default(),
            begins_inline: false,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it is granted any endpoint.
    pub(crate) fn has_network(&self) -> bool {
        #[cfg(feature = "network")]
        return !(self.grants.endpoints.is_empty() && self.grants.signing.is_empty());
        #[cfg(not(feature = "network"))]
        false
    }

    pub(crate) fn offers_streams(&self) -> bool {
        self.offered.streams.is_some()
    }

    #[cfg(feature = "conformance")]
    pub(crate) fn offers(&self, interface: crate::conformance::Interface) -> bool {
        use crate::conformance::Interface;
        match interface {
            Interface::Streams => self.offers_streams(),
            Interface::Inventory => self.offered.inventory.is_some(),
            Interface::Maintenance => self.offers_maintenance(),
        }
    }

    pub(crate) fn offers_maintenance(&self) -> bool {
        self.offered.maintenance.is_some()
    }

    /// A deadline for a call that begins now.
    pub(crate) fn deadline(&self) -> Arc<Deadline> {
        Arc::new(Deadline::new(self.limits.call_timeout, Arc::clone(&self.closing)))
    }

    /// Makes sure that an instance can be had, and keeps it for the first call.
    pub(crate) async fn probe(&self, deadline: &Arc<Deadline>) -> Result<(), ErrorKind> {
        deadline.restart();
        let instance = within(deadline, self.instantiate(deadline)).await?;
        self.keep(instance);
        Ok(())
    }

    /// What a call has to have one of while it runs.
    pub(crate) fn turns(&self) -> &Arc<Semaphore> {
        &self.turns
    }

    /// Runs one call of the contract on an instance, when it has its turn. `body` must have
    /// awaited all that it takes from the backend (streams, futures) when it returns.
    ///
    /// The instance serves again when the backend answered, be it with an error of the
    /// contract. After a trap, a broken contract or a timeout it is dropped before this
    /// returns: it does nothing more.
    pub(crate) async fn call<R>(
        &self,
        deadline: &Arc<Deadline>,
        has_turn: bool,
        inline: Option<&Arc<Inline>>,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<R, ErrorKind> {
        within(deadline, async {
            let _turn = if has_turn { None } else { self.turns.acquire().await.ok() };
            deadline.restart();
            let mut instance = match self.take() {
                Some(instance) => instance,
                None => {
                    if let Some(inline) = inline {
                        poll_fn(|cx| inline.poll_thread(cx)).await;
                    }
                    self.start(deadline).await?
                }
            };
            let answer = instance.call(deadline, inline, body).await?;
            self.keep(instance);
            answer
        })
        .await
    }

    /// Runs one call beside all others: it takes neither their turn nor their instances.
    pub(crate) async fn call_aside<R>(
        &self,
        deadline: &Arc<Deadline>,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<R, ErrorKind> {
        within(deadline, async {
            let mut instance = self.start(deadline).await?;
            instance.call(deadline, None, body).await?
        })
        .await
    }

    /// An instance, unless the last ones failed to start a moment ago.
    async fn start(&self, deadline: &Arc<Deadline>) -> Result<Instance, ErrorKind> {
        self.backoff.attempt()?;
        let started = within(deadline, self.instantiate(deadline)).await;
        match &started {
            Ok(_) => self.backoff.succeeded(),
            Err(why) => self.backoff.failed(why),
        }
        started
    }

    async fn instantiate(&self, deadline: &Arc<Deadline>) -> Result<Instance, ErrorKind> {
        let mut store = new_store(
            self.component.engine(),
            &self.grants,
            &self.limits,
            #[cfg(feature = "network")]
            &self.network,
            Arc::clone(deadline),
        )?;
        let made = self.component.instantiate_async(&mut store).await;
        let instance = made.map_err(|trap| match deadline.is_over() {
            true => deadline.failure(),
            false => store.data().limiter.explain(trap),
        })?;
        let offered = &self.offered;
        // Here the functions' types are compared with the contract's.
        let exports = Exports {
            store: offered.store.load(&mut store, &instance).map_err(wrong_interface(STORE))?,
            streams: (offered.streams.as_ref())
                .map(|streams| streams.load(&mut store, &instance))
                .transpose()
                .map_err(wrong_interface(STREAMS))?,
            inventory: (offered.inventory.as_ref())
                .map(|inventory| inventory.load(&mut store, &instance))
                .transpose()
                .map_err(wrong_interface(INVENTORY))?,
            maintenance: (offered.maintenance.as_ref())
                .map(|maintenance| maintenance.load(&mut store, &instance))
                .transpose()
                .map_err(wrong_interface(MAINTENANCE))?,
        };
        Ok(Instance { store, exports, calls: 0 })
    }

    /// Lets go of the instances that wait for a call.
    pub(crate) fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }

    /// Ends all calls, and each that is still begun.
    pub(crate) fn close(&self) {
        self.closing.close();
        self.forget_idle();
    }

    pub(crate) fn reopen(&self) {
        self.closing.reopen();
    }

    fn take(&self) -> Option<Instance> {
        self.idle.lock().unwrap_or_else(|e| e.into_inner()).pop()
    }

    fn keep(&self, mut instance: Instance) {
        instance.calls += 1;
        if instance.calls < CALLS_PER_INSTANCE {
            self.idle.lock().unwrap_or_else(|e| e.into_inner()).push(instance);
        }
    }
}

impl Instance {
    /// The outer result is an error where the instance is of no more use.
    async fn call<R>(
        &mut self,
        deadline: &Arc<Deadline>,
        inline: Option<&Arc<Inline>>,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<Result<R, ErrorKind>, ErrorKind> {
        let Self { store, exports, .. } = self;
        store.data_mut().deadline = Arc::clone(deadline);
        store.data_mut().inline = inline.cloned();
        store.data_mut().limiter.begin();
        store.data_mut().output.begin();
        store.set_epoch_deadline(1);
        let outcome = store
            .run_concurrent(async |accessor| {
                let outcome = body(accessor, exports).await;
                // What the backend still does after its answer is part of the call.
                deadline.restart();
                if outcome.is_ok() {
                    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                }
                outcome
            })
            .await
            .unwrap_or_else(|trap| Err(Failed::Trap(trap)));
        store.data().output.finish();
        let refused = store.data().take_refused();
        let outcome = outcome.map(|answer| {
            answer.map_err(|kind| match refused {
                Some(endpoint) => not_granted(&endpoint, kind),
                None => kind,
            })
        });
        outcome.map_err(|failed| match failed {
            _ if deadline.is_over() => deadline.failure(),
            Failed::Trap(trap) => store.data().limiter.explain(trap),
            Failed::Protocol(text) => ErrorKind::Protocol(text),
        })
    }
}

/// What a failure means in which the backend was refused an endpoint: where its answer may come
/// from that, it is named, whatever the backend makes of it.
fn not_granted(endpoint: &str, kind: ErrorKind) -> ErrorKind {
    match kind {
        ErrorKind::AccessDenied(_) | ErrorKind::Unavailable(_) | ErrorKind::Other(_) => {
            ErrorKind::AccessDenied(format!(
                "the backend asked for `{endpoint}`, which is not granted (it says: {kind})"
            ))
        }
        kind => kind,
    }
}

/// How a call ended: with the backend's answer, or so that the instance is of no more use.
pub(crate) type Outcome<R> = Result<Result<R, ErrorKind>, Failed>;

pub(crate) enum Failed {
    Trap(wasmtime::Error),
    Protocol(String),
}

impl From<wasmtime::Error> for Failed {
    fn from(trap: wasmtime::Error) -> Self {
        Self::Trap(trap)
    }
}

/// Ends `call` (and with it the instance that it holds) when the deadline is over.
async fn within<R>(
    deadline: &Deadline,
    call: impl Future<Output = Result<R, ErrorKind>>,
) -> Result<R, ErrorKind> {
    tokio::select! {
        biased;
        result = pin!(call) => result,
        () = deadline.over() => Err(deadline.failure()),
    }
}

impl From<types::Error> for ErrorKind {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::NotFound => Self::NotFound,
            types::Error::AlreadyExists => Self::AlreadyExists,
            types::Error::InvalidKey(text) => Self::InvalidKey(shortened(text)),
            types::Error::InvalidRange => Self::InvalidRange,
            types::Error::TooLarge(limit) => Self::TooLarge { limit },
            types::Error::AccessDenied(text) => Self::AccessDenied(shortened(text)),
            types::Error::NoSpace(text) => Self::NoSpace(shortened(text)),
            types::Error::Corrupt(text) => Self::Corrupt(shortened(text)),
            types::Error::Unavailable(text) => Self::Unavailable(shortened(text)),
            types::Error::Unsupported(text) => Self::Unsupported(shortened(text)),
            types::Error::Other(text) => Self::Other(shortened(text)),
        }
    }
}

pub(crate) fn shortened(mut text: String) -> String {
    if text.len() > TEXT {
        let whole = text.len();
        text.truncate(text.floor_char_boundary(TEXT));
        text.push_str(&format!("… ({whole} bytes in all)"));
        text.shrink_to_fit();
    }
    text
}
