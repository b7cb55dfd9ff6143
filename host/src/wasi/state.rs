//! What one instance can access: its grants, through WASI.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

#[cfg(feature = "network")]
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

#[cfg(unix)]
use super::errno::{Called, Code, Refusal};
use super::output::Output;
use super::trouble::Trouble;
use crate::budget::{Deadline, Inline, Limiter};
use crate::error::{ErrorKind, LoadError, Refused};
use crate::grants::Grants;
use crate::limits::{Limits, here};
#[cfg(feature = "network")]
use crate::network::{Hooks, Network};
use crate::wasi::Preopens;

/// The most random bytes that one call of a backend gets. The host generates them in its own
/// memory, and this cannot be interrupted.
const RANDOM: u64 = 1 << 20;

/// The most memory, in bytes, for the header fields of one request or response.
#[cfg(feature = "network")]
const FIELDS: usize = 64 * 1024;

pub(crate) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) output: Output,
    /// The granted directories.
    pub(crate) preopens: Arc<Preopens>,
    /// Failures of the system in the current call.
    pub(crate) trouble: Trouble,
    /// The deadline of the current call.
    pub(crate) deadline: Arc<Deadline>,
    /// How the current call runs on its caller's task; `None` if it may block from the beginning.
    pub(crate) inline: Option<Arc<Inline>>,
    #[cfg(feature = "network")]
    http: (WasiHttpCtx, Hooks),
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

#[cfg(feature = "network")]
impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (ctx, hooks) = &mut self.http;
        hooks.deadline = Arc::clone(&self.deadline);
        WasiHttpCtxView { ctx, table: &mut self.table, hooks }
    }
}

#[cfg(unix)]
impl HostState {
    /// The handles of the backend.
    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The result of a call of the filesystem; the outer error ends the backend.
    pub(super) fn answer<T>(&self, called: Called<T>) -> wasmtime::Result<Result<T, Code>> {
        Ok(match called {
            Ok(done) => Ok(done),
            Err(Refusal::Trap(trap)) => return Err(trap),
            Err(Refusal::Refused(code)) => Err(code),
            Err(Refusal::System(error)) => {
                self.trouble.note(&error);
                Err(Code::of(&error))
            }
        })
    }
}

impl HostState {
    /// How many handles of the host the instance holds.
    pub(crate) fn entries(&mut self) -> usize {
        self.table.iter_mut().count()
    }

    /// Fails if the call has used up its time. The host checks this where it may run for long while
    /// the backend does not, such as between two streams of its own.
    pub(crate) fn check_deadline(&self) -> wasmtime::Result<()> {
        if self.deadline.is_over() {
            wasmtime::bail!("the deadline has passed");
        }
        Ok(())
    }

    /// The meaning of a trap.
    pub(crate) fn explain(&mut self, trap: wasmtime::Error) -> ErrorKind {
        self.limiter.explain(trap, self.output.last_words())
    }

    /// The request that the network refused to the backend since this was last asked.
    pub(crate) fn take_refused(&self) -> Option<Refused> {
        #[cfg(feature = "network")]
        return self.http.1.take_refused();
        #[cfg(not(feature = "network"))]
        None
    }
}

/// A store for one instance with these grants and limits, whose clock runs. `preopens` are the
/// directories of the grants.
pub(crate) fn new_store(
    engine: &Engine,
    grants: &Grants,
    preopens: &Arc<Preopens>,
    limits: &Limits,
    #[cfg(feature = "network")] network: &Arc<Network>,
    deadline: Arc<Deadline>,
) -> Result<Store<HostState>, LoadError> {
    let mut wasi = WasiCtxBuilder::new();
    // Calls run on threads that may block.
    wasi.allow_blocking_current_thread(true);
    wasi.envs(&grants.env);
    wasi.max_random_size(RANDOM);
    let output = Output::default();
    wasi.stdout(output.output()).stderr(output.error());
    let mut table = ResourceTable::new();
    table.set_max_capacity(here(limits.handles));
    let state = HostState {
        wasi: wasi.build(),
        table,
        limiter: Limiter::new(limits),
        output,
        preopens: Arc::clone(preopens),
        trouble: Trouble::default(),
        inline: None,
        #[cfg(feature = "network")]
        http: {
            let mut ctx = WasiHttpCtx::new();
            ctx.set_field_size_limit(FIELDS);
            (ctx, Hooks::new(Arc::clone(network), Arc::clone(&deadline)))
        },
        deadline,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(Limiter::handed_back(limits));
    store.set_max_component_handles(here(limits.handles));
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(here(limits.handles));
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        store.data().check_deadline()?;
        Ok(UpdateDeadline::Continue(1))
    });
    Ok(store)
}
