//! What one instance sees of the world: its grants, through WASI.

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
use crate::error::LoadError;
use crate::grants::Grants;
use crate::limits::{Limits, here};
#[cfg(feature = "network")]
use crate::network::{Hooks, Network};
use crate::wasi::Preopens;

/// The most random bytes, in bytes, that one call of a backend gets: the host makes them in its own
/// memory, in time that nothing interrupts.
const RANDOM: u64 = 1 << 20;

/// What the header of one request or response may take up in memory, in bytes.
#[cfg(feature = "network")]
const FIELDS: usize = 64 * 1024;

pub(crate) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) output: Output,
    /// The directories that it is granted.
    pub(crate) preopens: Arc<Preopens>,
    /// What the system failed with, in the call that runs now.
    pub(crate) trouble: Trouble,
    /// The deadline of the call that runs now.
    pub(crate) deadline: Arc<Deadline>,
    /// Where that call runs; none where it may block from the beginning.
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
    /// What the handles of the backend stand for.
    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// What a call of the filesystem answers; the outer error ends the backend.
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
    /// How many handles the host has given to the instance and not got back.
    pub(crate) fn entries(&mut self) -> usize {
        self.table.iter_mut().count()
    }

    /// An error when the call has had its time. The host asks for it wherever it may go on for long
    /// without the backend running, such as between two streams of its own.
    pub(super) fn check_deadline(&self) -> wasmtime::Result<()> {
        if self.deadline.is_over() {
            wasmtime::bail!("the deadline has passed");
        }
        Ok(())
    }

    /// What the backend asked of the network and was refused, since this was last asked: the rest of
    /// a sentence about it.
    pub(crate) fn take_refused(&self) -> Option<String> {
        #[cfg(feature = "network")]
        return self.http.1.take_refused();
        #[cfg(not(feature = "network"))]
        None
    }
}

/// A store for one instance with these grants and limits, its clock running. `preopens` are the
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
    wasi.stdout(output.stream("stdout")).stderr(output.stream("stderr"));
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
