//! What one instance sees of the world: its grants, through WASI.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

#[cfg(feature = "network")]
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::limiter::Limiter;
use super::output::Output;
use super::{Deadline, Inline};
use crate::engine::TICK;
use crate::error::LoadError;
#[cfg(feature = "network")]
use crate::network::{Hooks, Network};
use crate::{Grants, Limits};

/// What the header of one request or response may take up in memory, in bytes.
#[cfg(feature = "network")]
const FIELDS: usize = 64 * 1024;

pub(crate) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) limiter: Limiter,
    pub(super) output: Output,
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

impl HostState {
    /// The endpoint that the backend asked for without a grant, since this was last asked.
    pub(crate) fn take_refused(&self) -> Option<String> {
        #[cfg(feature = "network")]
        return self.http.1.take_refused();
        #[cfg(not(feature = "network"))]
        None
    }
}

/// A store for one instance with these grants and limits, its clock running.
pub(crate) fn new_store(
    engine: &Engine,
    grants: &Grants,
    limits: &Limits,
    #[cfg(feature = "network")] network: &Arc<Network>,
    deadline: Arc<Deadline>,
) -> Result<Store<HostState>, LoadError> {
    let mut wasi = WasiCtxBuilder::new();
    // Calls run on threads that may block. Set first: each directory copies it.
    wasi.allow_blocking_current_thread(true);
    for dir in &grants.directories {
        let perms = if dir.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(&dir.host, &dir.guest, perms).map_err(|source| {
            let path = dir.host.display().to_string();
            LoadError::Directory { path, source: source.into() }
        })?;
    }
    wasi.envs(&grants.env);
    let output = Output::default();
    wasi.stdout(output.stream("stdout")).stderr(output.stream("stderr"));
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);
    let state = HostState {
        wasi: wasi.build(),
        table,
        limiter: Limiter::new(limits),
        output,
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
    store.set_max_component_handles(limits.handles);
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(limits.handles);
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        let deadline = &store.data().deadline;
        deadline.compute(TICK);
        if deadline.is_over() {
            wasmtime::bail!("the deadline is over");
        }
        Ok(UpdateDeadline::Continue(1))
    });
    Ok(store)
}
