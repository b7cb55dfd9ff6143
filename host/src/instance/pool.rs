//! Instances of one component, each checked out for one call at a time. An instance that finished
//! its call cleanly is kept for the next call. Any other is dropped with everything that it holds.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::component::{Accessor, InstancePre};

use super::backoff::Backoff;
use super::call::{Instance, Outcome};
use super::exports::{Exports, Offered};
use crate::budget::{
    Closing, Deadline, Inline, Threads, Turns, after, explain_trouble, in_background, is_busy,
    room_for_calls, spawn,
};
use crate::error::{ErrorKind, LoadError};
use crate::grants::Grants;
use crate::interface::Interface;
use crate::limits::{Limits, here};
#[cfg(feature = "network")]
use crate::network::Network;
use crate::wasi::{HostState, Preopens, new_store};

/// How often an instance is started again if the system was busy for a moment, and the pause before.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// How long an instance waits for a call before it is dropped.
const IDLE: Duration = Duration::from_secs(60);

/// The idle instances; the last one used is at the end.
type Idle = Mutex<Vec<Instance>>;

pub(crate) struct Pool {
    component: InstancePre<HostState>,
    offered: Offered,
    grants: Grants,
    preopens: Arc<Preopens>,
    limits: Limits,
    #[cfg(feature = "network")]
    network: Arc<Network>,
    idle: Arc<Idle>,
    turns: Arc<Turns>,
    backoff: Backoff,
    closing: Arc<Closing>,
    threads: Threads,
    /// Whether calls may begin on their caller's task.
    pub(crate) begins_inline: bool,
    /// Whether its calls wait for no other process or machine, so that a layer may share its thread with
    /// them.
    pub(crate) waits_for_nobody: bool,
    /// Whether its calls never block a thread, so that they are tasks of the network's runtime.
    pub(crate) waits_for_sockets: bool,
}

impl Pool {
    pub(crate) fn new(
        component: InstancePre<HostState>,
        offered: Offered,
        grants: Grants,
        preopens: Arc<Preopens>,
        limits: Limits,
        threads: Threads,
    ) -> Result<Self, LoadError> {
        let concurrency = limits.concurrency.min(room_for_calls());
        let limits = Limits { concurrency, ..limits };
        Ok(Self {
            #[cfg(feature = "network")]
            network: Arc::new(Network::new(&grants)?),
            component,
            offered,
            grants,
            preopens,
            idle: Arc::default(),
            turns: Arc::new(Turns::new(&limits)),
            limits,
            backoff: Backoff::default(),
            closing: Arc::default(),
            threads,
            begins_inline: false,
            waits_for_nobody: false,
            waits_for_sockets: false,
        })
    }

    /// The same pool without instances, and with other directories.
    #[cfg(all(feature = "conformance", unix))]
    pub(crate) fn on(&self, preopens: Arc<Preopens>) -> Self {
        Self {
            #[cfg(feature = "network")]
            network: Arc::clone(&self.network),
            component: self.component.clone(),
            offered: self.offered.clone(),
            grants: self.grants.clone(),
            preopens,
            limits: self.limits.clone(),
            idle: Arc::default(),
            turns: Arc::clone(&self.turns),
            backoff: Backoff::default(),
            closing: Arc::default(),
            threads: self.threads.clone(),
            begins_inline: false,
            waits_for_nobody: false,
            waits_for_sockets: false,
        }
    }

    /// The directories that its instances share.
    pub(crate) fn preopens(&self) -> &Preopens {
        &self.preopens
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

    pub(crate) fn offers(&self, interface: Interface) -> bool {
        self.offered.has(interface)
    }

    /// A new clock for a call.
    pub(crate) fn clock(&self) -> Arc<Deadline> {
        self.clock_ended_by(&self.closing)
    }

    /// A new clock for a call that ends when `closing` says so.
    pub(crate) fn clock_ended_by(&self, closing: &Arc<Closing>) -> Arc<Deadline> {
        let (closing, turns) = (Arc::clone(closing), Arc::clone(&self.turns));
        Arc::new(Deadline::new(&self.limits, closing, Some(turns)).on(&self.threads))
    }

    /// Makes sure that the component can be instantiated, and keeps the instance for the first
    /// call.
    pub(crate) async fn probe(&self, deadline: &Arc<Deadline>) -> Result<(), ErrorKind> {
        deadline.begin();
        let instance = self.attempt(deadline).await?;
        self.keep(instance);
        Ok(())
    }

    /// Makes sure that the host can sign the requests that it is to sign.
    #[cfg(feature = "network")]
    pub(crate) async fn prepare_network(&self, deadline: &Deadline) -> Result<(), ErrorKind> {
        deadline.begin();
        self.network.prepare(deadline.of_one_wait()).await
    }

    /// Runs one call of the contract on an instance; the call has its turn. When `body` returns, it
    /// must have awaited everything that it takes from the backend (streams, futures).
    ///
    /// The instance is reused if the backend answered, also with an error of the contract. After a
    /// trap, a broken contract or a timeout it is dropped before this returns and does nothing
    /// more.
    pub(crate) async fn call<R>(
        &self,
        deadline: &Arc<Deadline>,
        inline: Option<&Arc<Inline>>,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<R, ErrorKind> {
        deadline.begin();
        let work = pin!(async {
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
        });
        within(deadline, work).await
    }

    /// Runs one call beside all others: it uses neither a turn nor a pooled instance.
    pub(crate) async fn call_aside<R>(
        &self,
        deadline: &Arc<Deadline>,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<R, ErrorKind> {
        deadline.begin();
        let work = pin!(async {
            let mut instance = self.start(deadline).await?;
            instance.call(deadline, None, body).await?
        });
        within(deadline, work).await
    }

    /// A new instance, unless the last attempts to start one have just failed.
    async fn start(&self, deadline: &Arc<Deadline>) -> Result<Instance, ErrorKind> {
        let before = self.backoff.attempt()?;
        let started = self.attempt(deadline).await;
        match &started {
            Ok(_) => self.backoff.succeeded(),
            // A resource that the host lacks may be available the next moment.
            Err(ErrorKind::Unavailable(_)) => {}
            Err(why) => self.backoff.failed(before, why),
        }
        started
    }

    async fn attempt(&self, deadline: &Arc<Deadline>) -> Result<Instance, ErrorKind> {
        within(deadline, pin!(self.instantiate(deadline))).await.map_err(explain_trouble)
    }

    async fn instantiate(&self, deadline: &Arc<Deadline>) -> Result<Instance, ErrorKind> {
        // Each start of an instance is often enough to detect moved directories, and seldom enough
        // to cost nothing.
        self.preopens.look();
        let mut attempt = 1;
        loop {
            let mut store = new_store(
                self.component.engine(),
                &self.grants,
                &self.preopens,
                &self.limits,
                #[cfg(feature = "network")]
                &self.network,
                Arc::clone(deadline),
            )?;
            match self.component.instantiate_async(&mut store).await {
                Ok(instance) => {
                    let exports = self.offered.load(&mut store, &instance)?;
                    return Ok(Instance::new(store, exports));
                }
                Err(_) if deadline.is_over() => return Err(deadline.failure()),
                Err(trap) if is_busy(&trap) && attempt < ATTEMPTS => attempt += 1,
                Err(trap) => return Err(store.data_mut().explain(trap)),
            }
            after(PAUSE).await;
        }
    }

    /// Drops the idle instances.
    pub(crate) fn forget_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        drop(idle);
    }

    /// Drops instances that have been idle for long, at intervals, as long as the pool exists.
    pub(crate) fn forget_idle_in_time(&self) {
        let idle = Arc::downgrade(&self.idle);
        drop(spawn(async move {
            loop {
                tokio::time::sleep(IDLE / 4).await;
                let Some(idle) = idle.upgrade() else { return };
                let old = take_old(&mut lock(&idle));
                // Closing its files may have to wait for the disk.
                if !old.is_empty() {
                    in_background(move || drop(old));
                }
            }
        }));
    }

    /// Ends all calls, also those that begin later.
    pub(crate) fn close(&self) {
        self.closing.close();
        self.forget_idle();
    }

    pub(crate) fn reopen(&self) {
        self.closing.reopen();
    }

    fn take(&self) -> Option<Instance> {
        lock(&self.idle).pop()
    }

    fn keep(&self, mut instance: Instance) {
        if instance.is_worth_keeping(&self.limits) {
            instance.idle_since = Instant::now();
            let mut idle = lock(&self.idle);
            // Paused transfers have instances, too: there may be more than are ever needed.
            if idle.len() < here(self.limits.concurrency) {
                idle.push(instance);
            }
        }
    }
}

fn lock(idle: &Idle) -> MutexGuard<'_, Vec<Instance>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_old(idle: &mut Vec<Instance>) -> Vec<Instance> {
    let old = idle.iter().take_while(|instance| instance.idle_since.elapsed() >= IDLE).count();
    idle.drain(..old).collect()
}

/// Ends `call` (and with it the instance that it holds) when its time is over. The time that it
/// computes is counted.
async fn within<R>(
    deadline: &Deadline,
    call: Pin<&mut impl Future<Output = Result<R, ErrorKind>>>,
) -> Result<R, ErrorKind> {
    tokio::select! {
        biased;
        result = deadline.computing(call) => result,
        () = deadline.over() => Err(deadline.failure()),
    }
}
