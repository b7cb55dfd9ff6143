//! A host of the tests' own for the built-in backend: WASI 0.3 as wasmtime has it, like the stock
//! command line, and nothing of this project's. It can do what the library never does: cut the
//! stream alone, trap in the midst, drop the instance, and have a clock that is wrong.

// Each test uses a part of it.
#![allow(dead_code, unused_imports)]

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use artifact_store::Backend;
use wasmtime::component::{
    Accessor, Component, Destination, FutureReader, Linker, Resource, ResourceTable,
    StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{Engine, Store, StoreContextMut};
pub use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types::{ErrorCode, HostDescriptorWithStore};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p3};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package artifact:tests;
            world backend {
                include artifact:storage/full-backend@0.1.0;
                export artifact:storage/maintenance@0.1.0;
            }
        ",
        world: "artifact:tests/backend",
    });
}

pub use bindings::artifact::storage::types::Error;
pub use bindings::exports::artifact::storage::maintenance::{Finding, FindingKind};
pub use bindings::exports::artifact::storage::streams::Mode;
use bindings::exports::artifact::storage::streams::{self, Seal};

pub const MIB: usize = 1 << 20;

/// What comes of a stream after its first MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Data {
    /// It is dropped, which looks like an end.
    Dropped,
    Nothing,
    Trap,
}

/// What comes of the `end` of a write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Sealed(u64),
    GivenUp,
    Nothing,
    Trap,
}

/// A stream of one MiB, and what then comes of it.
struct Producer {
    sent: bool,
    then: Data,
}

impl StreamProducer<State> for Producer {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if !self.sent {
            self.sent = true;
            destination.set_buffer(VecBuffer::from(vec![7; MIB]));
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.then {
            Data::Dropped => Poll::Ready(Ok(StreamResult::Dropped)),
            Data::Trap => Poll::Ready(Err(wasmtime::format_err!("as asked"))),
            Data::Nothing if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Data::Nothing => Poll::Pending,
        }
    }
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    /// How many of the next removals of a file fail.
    failing_removals: usize,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// How far the host's clock is from the one that dates the files.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    Right,
    Ahead(Duration),
    Behind(Duration),
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        match *self {
            Self::Right => now,
            Self::Ahead(by) => now + by,
            Self::Behind(by) => now - by,
        }
    }
}

/// One instance of the built-in backend on `dir`.
pub struct Instance {
    store: Store<State>,
    exports: bindings::Backend,
}

impl Instance {
    pub async fn new(dir: &Path) -> Self {
        Self::with(dir, FsPerms::ReadWrite, Clock::Right).await
    }

    pub async fn with(dir: &Path, perms: FsPerms, clock: Clock) -> Self {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, Backend::fs_component()).unwrap();
        let mut linker = Linker::new(&engine);
        p3::add_to_linker(&mut linker).unwrap();
        may_fail_to_remove(&mut linker).unwrap();
        let mut wasi = WasiCtxBuilder::new();
        wasi.wall_clock(clock).preopened_dir(dir, "/", perms).unwrap();
        let state = State { wasi: wasi.build(), table: ResourceTable::new(), failing_removals: 0 };
        let mut store = Store::new(&engine, state);
        let exports = bindings::Backend::instantiate_async(&mut store, &component, &linker);
        let exports = exports.await.unwrap();
        Self { store, exports }
    }

    /// The next removals of a file fail, as on a device that recovers.
    pub fn fail_removals(&mut self, count: usize) {
        self.store.data_mut().failing_removals = count;
    }

    /// Its answer, or the trap.
    pub async fn write(
        &mut self,
        key: &str,
        then: Data,
        end: End,
    ) -> wasmtime::Result<Result<streams::Info, Error>> {
        self.write_as(Mode::Overwrite, key, then, end).await
    }

    pub async fn write_as(
        &mut self,
        mode: Mode,
        key: &str,
        then: Data,
        end: End,
    ) -> wasmtime::Result<Result<streams::Info, Error>> {
        let streams = self.exports.artifact_storage_streams();
        let call = async |accessor: &Accessor<State>| {
            let (data, end) = accessor.with(|mut access| {
                let data = StreamReader::new(&mut access, Producer { sent: false, then })?;
                let end = async move {
                    match end {
                        End::Sealed(size) => wasmtime::error::Ok(Ok(Seal { size, checksum: 1 })),
                        End::GivenUp => Ok(Err("the caller changed its mind".to_owned())),
                        End::Trap => Err(wasmtime::format_err!("as asked")),
                        End::Nothing => std::future::pending().await,
                    }
                };
                wasmtime::error::Ok((data, FutureReader::new(&mut access, end)?))
            })?;
            let options = streams::WriteOptions { mode, size: None, attributes: Vec::new() };
            let answer = streams.call_write(accessor, key.to_owned(), data, end, options).await?;
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(answer)
        };
        self.store.run_concurrent(call).await.flatten()
    }

    pub async fn put(&mut self, key: &str, data: &str) -> Result<(), Error> {
        let store = self.exports.artifact_storage_artifact_store();
        let call = async |accessor: &Accessor<State>| {
            store.call_put(accessor, key.to_owned(), data.into()).await
        };
        self.store.run_concurrent(call).await.flatten().unwrap()
    }

    pub async fn get(&mut self, key: &str) -> Result<Vec<u8>, Error> {
        let store = self.exports.artifact_storage_artifact_store();
        let call =
            async |accessor: &Accessor<State>| store.call_get(accessor, key.to_owned()).await;
        self.store.run_concurrent(call).await.flatten().unwrap()
    }

    /// A page's keys, and where it goes on.
    pub async fn list(
        &mut self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let inventory = self.exports.artifact_storage_inventory();
        let call = async |accessor: &Accessor<State>| {
            inventory.call_list_artifacts(accessor, String::new(), cursor, limit).await
        };
        let page = self.store.run_concurrent(call).await.flatten().unwrap()?;
        Ok((page.entries.into_iter().map(|entry| entry.key).collect(), page.next))
    }

    /// A page's findings, and where it goes on.
    pub async fn audit(
        &mut self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<(Vec<Finding>, Option<String>), Error> {
        let maintenance = self.exports.artifact_storage_maintenance();
        let call = async |accessor: &Accessor<State>| {
            maintenance.call_audit(accessor, cursor, limit).await
        };
        let page = self.store.run_concurrent(call).await.flatten().unwrap()?;
        Ok((page.items, page.next))
    }

    /// How many temporaries were removed, and how many were kept.
    pub async fn sweep(&mut self, age: Duration) -> Result<(u64, u64), Error> {
        let maintenance = self.exports.artifact_storage_maintenance();
        let call = async |accessor: &Accessor<State>| {
            maintenance.call_sweep(accessor, age.as_secs()).await
        };
        let swept = self.store.run_concurrent(call).await.flatten().unwrap()?;
        Ok((swept.removed, swept.kept))
    }
}

fn may_fail_to_remove(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance("wasi:filesystem/types@0.3.0")?.func_wrap_concurrent(
        "[method]descriptor.unlink-file-at",
        |accessor: &Accessor<State>, (dir, path): (Resource<Descriptor>, String)| {
            Box::pin(async move {
                let fails = accessor.with(|mut access| {
                    let left = &mut access.data_mut().failing_removals;
                    let fails = *left > 0;
                    *left = left.saturating_sub(1);
                    fails
                });
                if fails {
                    return Ok((Err(ErrorCode::Io),));
                }
                let accessor = accessor.with_getter::<WasiFilesystem>(State::filesystem);
                match WasiFilesystem::unlink_file_at(&accessor, dir, path).await {
                    Ok(()) => Ok((Ok(()),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}
