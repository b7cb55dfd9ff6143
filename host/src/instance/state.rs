//! What one instance sees of the world: its grants, through WASI.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::engine::TICK;
use super::{Deadline, engine};
use crate::error::LoadError;
use crate::{Grants, Limits};

pub(crate) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
    /// The deadline of the call that runs now.
    pub(crate) deadline: Arc<Deadline>,
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A store for one instance with these grants and limits, its clock running.
pub(crate) fn new_store(
    grants: &Grants,
    limits: &Limits,
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
    let state = HostState {
        wasi: wasi.build(),
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new().memory_size(limits.memory).build(),
        deadline,
    };
    let engine = engine().map_err(|e| LoadError::Invalid(e.into()))?;
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    // One list of bytes may cross in a call, with room for its key or error text.
    let fuel = usize::try_from(limits.buffer).unwrap_or(usize::MAX).saturating_add(1 << 20);
    store.set_hostcall_fuel(fuel);
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
