//! Writes and reads that are given up at any point: nothing of them is ever seen, what was there
//! stays, and nothing remains of them. Through the library, and through a host of its own, which can
//! do what the library never does: cut the stream alone, trap in the midst, drop the instance, and
//! have a clock that is wrong.

use std::fs;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, ReadOptions, WriteOptions};
use wasmtime::component::{
    Accessor, Component, Destination, FutureReader, Linker, ResourceTable, StreamProducer,
    StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi::{FsPerms, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p3};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package artifact:tests;
            world backend {
                export artifact:storage/streams@0.1.0;
                export artifact:storage/inventory@0.1.0;
                export artifact:storage/maintenance@0.1.0;
            }
        ",
        world: "artifact:tests/backend",
    });
}

use bindings::artifact::storage::types::Error;
use bindings::exports::artifact::storage::streams::{self, Mode, Seal};

const MIB: usize = 1 << 20;

fn temporaries(dir: &Path) -> Vec<fs::Metadata> {
    let Ok(found) = fs::read_dir(dir.join("tmp")) else { return Vec::new() };
    // One that goes meanwhile is none.
    found.filter_map(|entry| entry.unwrap().metadata().ok()).collect()
}

fn unswept(dir: &Path) -> ArtifactStore {
    ArtifactStore::open(Backend::fs(dir).sweep_older_than(None)).unwrap()
}

/// The old artifact is there, the new one is not, and both can be put.
fn nothing_happened(dir: &Path, what: &str) {
    let store = unswept(dir);
    assert_eq!(store.get("k").unwrap(), "old", "{what}");
    let absent = store.get("new").unwrap_err();
    assert!(matches!(absent.kind(), ErrorKind::NotFound), "{what}: {absent}");
    assert_eq!(store.list("").map(|entry| entry.unwrap().key).collect::<Vec<_>>(), ["k"]);
    for key in ["k", "new"] {
        store.put(key, "next").unwrap();
        assert_eq!(store.get(key).unwrap(), "next", "{what}");
    }
    store.put("k", "old").unwrap();
    store.delete("new").unwrap();
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{what} did not come about");
}

#[test]
fn a_writer_that_is_dropped_at_any_chunk_is_no_rival_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    for chunks in 0..12_usize {
        for options in
            [WriteOptions::default(), WriteOptions { create: false, size: Some(4 << 20) }]
        {
            let mut writer = store.writer("k", options).unwrap();
            writer.write_all(&vec![7; chunks * 100_000]).unwrap();
            if chunks % 2 == 0 {
                writer.flush().unwrap();
            }
            drop(writer);
            // At once: what is still on its way must not come after it.
            store.put("k", chunks.to_string()).unwrap();
            assert_eq!(store.get("k").unwrap(), chunks.to_string());
        }
    }
    wait_until("the end of all writes", || temporaries(dir.path()).is_empty());
    assert_eq!(store.get("k").unwrap(), "11");
}

#[test]
fn a_seal_over_more_than_came_stores_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", "old").unwrap();
    for key in ["k", "new"] {
        for create in [false, true] {
            let options = WriteOptions { create, size: Some(4 * MIB as u64) };
            let mut writer = store.writer(key, options).unwrap();
            // A `create` of what is there may be refused before its end.
            let written = writer.write_all(&vec![7; MIB]);
            let error = match written {
                Ok(()) => writer.commit().unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(error.contains("announced") || error.contains("exists"), "{error}");
            assert_eq!(temporaries(dir.path()).len(), 0);
        }
    }
    nothing_happened(dir.path(), "an announced size");
}

#[test]
fn readers_that_give_up_cost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", vec![7; 8 * MIB]).unwrap();
    let open_files = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let mut before = 0;
    for round in 0..10_000 {
        let mut reader = store.read("k", ReadOptions::default()).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
        drop(reader);
        if round == 1000 {
            before = open_files();
        }
    }
    // Other tests of this file run beside it, and the last readers are still about to end.
    wait_until("the end of all readers", || open_files() < before + 100);
    assert_eq!(store.get("k").unwrap(), vec![7; 8 * MIB]);
}

/// What comes of a stream after its first MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Data {
    /// It is dropped, which looks like an end.
    Dropped,
    Nothing,
    Trap,
}

/// What comes of the `end` of a write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
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
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A clock that is ahead of the one that dates the files.
struct Ahead(Duration);

impl HostWallClock for Ahead {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + self.0
    }
}

/// One instance of the built-in backend on `dir`, in a host that does as it likes.
struct Instance {
    store: Store<State>,
    exports: bindings::Backend,
}

impl Instance {
    async fn new(dir: &Path, ahead: Duration) -> Self {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, Backend::fs_component()).unwrap();
        let mut linker = Linker::new(&engine);
        p3::add_to_linker(&mut linker).unwrap();
        let mut wasi = WasiCtxBuilder::new();
        wasi.wall_clock(Ahead(ahead)).preopened_dir(dir, "/", FsPerms::ReadWrite).unwrap();
        let state = State { wasi: wasi.build(), table: ResourceTable::new() };
        let mut store = Store::new(&engine, state);
        let exports = bindings::Backend::instantiate_async(&mut store, &component, &linker);
        let exports = exports.await.unwrap();
        Self { store, exports }
    }

    /// Its answer, or the trap.
    async fn write(
        &mut self,
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
            let options = streams::WriteOptions { mode: Mode::Overwrite, size: None };
            let answer = streams.call_write(accessor, key.to_owned(), data, end, options).await?;
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(answer)
        };
        self.store.run_concurrent(call).await.flatten()
    }

    /// A page's keys, and where it goes on.
    async fn list(
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

    async fn sweep(&mut self, age: Duration) -> (u64, u64) {
        let maintenance = self.exports.artifact_storage_maintenance();
        let call = async |accessor: &Accessor<State>| {
            maintenance.call_sweep(accessor, age.as_secs()).await
        };
        let swept = self.store.run_concurrent(call).await.flatten().unwrap().unwrap();
        (swept.removed, swept.kept)
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

/// However a write ends that is not sealed over what came: no artifact.
#[test]
fn a_write_that_is_cut_anywhere_stores_nothing() {
    let all = [
        (Data::Dropped, End::Sealed(4 << 20)),
        (Data::Dropped, End::Sealed(MIB as u64 - 1)),
        (Data::Dropped, End::Sealed(u64::MAX)),
        (Data::Dropped, End::GivenUp),
        (Data::Nothing, End::GivenUp),
        (Data::Dropped, End::Nothing),
        (Data::Nothing, End::Nothing),
        (Data::Nothing, End::Sealed(MIB as u64)),
        (Data::Trap, End::Sealed(MIB as u64)),
        (Data::Dropped, End::Trap),
        (Data::Nothing, End::Trap),
    ];
    for (then, end) in all {
        for key in ["k", "new"] {
            let what = format!("data: {then:?}, end: {end:?}");
            let dir = tempfile::tempdir().unwrap();
            let store = unswept(dir.path());
            store.put("k", "old").unwrap();
            block_on(async {
                let mut instance = Instance::new(dir.path(), Duration::ZERO).await;
                // Where an answer cannot come, the instance is dropped when the bytes are there.
                let written = async {
                    while !temporaries(dir.path()).iter().any(|file| file.len() > MIB as u64) {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                let has_no_end = matches!(end, End::Nothing)
                    || then == Data::Nothing && matches!(end, End::Sealed(_));
                tokio::select! {
                    answer = instance.write(key, then, end) => {
                        assert!(!has_no_end, "{what}: {answer:?}");
                        let is_trap = then == Data::Trap || end == End::Trap;
                        match answer {
                            Err(_) => assert!(is_trap, "{what}"),
                            Ok(answer) => {
                                let error = answer.expect_err(&what);
                                assert!(matches!(error, Error::Other(_)), "{what}: {error:?}");
                                assert_eq!(temporaries(dir.path()).len(), 0, "{what}");
                            }
                        }
                    }
                    () = written, if has_no_end => {}
                }
            });
            nothing_happened(dir.path(), &what);
            // What an instance left that was dropped is litter, and only that.
            store.sweep(Duration::ZERO).unwrap();
            assert_eq!(temporaries(dir.path()).len(), 0, "{what}");
            assert_eq!(store.audit().count(), 0, "{what}");
        }
    }
}

/// Which of two clocks is right makes no difference: files are compared with files.
#[test]
fn a_host_whose_clock_is_wrong_sweeps_no_upload() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    let mut writer = store.writer("k", WriteOptions::default()).unwrap();
    writer.write_all(&vec![7; MIB]).unwrap();
    writer.flush().unwrap();
    wait_until("the first bytes", || temporaries(dir.path()).len() == 1);
    let day = Duration::from_secs(24 * 3600);
    for ahead in [Duration::ZERO, 2 * day, 20_000 * day] {
        let swept = block_on(async { Instance::new(dir.path(), ahead).await.sweep(day).await });
        assert_eq!(swept, (0, 1), "a clock {ahead:?} ahead");
    }
    writer.commit().unwrap();
    assert_eq!(store.get("k").unwrap(), vec![7; MIB]);
    assert_eq!(temporaries(dir.path()).len(), 0);
}

/// A limit is the caller's wish: none, too much and one are all served, in bounded pages.
#[test]
fn a_page_is_never_larger_than_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    let keys: Vec<_> = (0..50).map(|n| format!("key-{n}")).collect();
    for key in &keys {
        store.put(key, "").unwrap();
    }
    block_on(async {
        let mut instance = Instance::new(dir.path(), Duration::ZERO).await;
        for limit in [0, 1, 2, 49, 50, 51, u32::MAX] {
            let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
            loop {
                let (keys, next) = instance.list(cursor, limit).await.unwrap();
                assert!(limit == 0 || keys.len() as u64 <= u64::from(limit), "{limit}");
                found.extend(keys);
                pages += 1;
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            found.sort();
            let mut expected = keys.clone();
            expected.sort();
            assert_eq!(found, expected, "{limit}");
            assert!(pages <= 51, "{limit}: {pages} pages");
        }
        // A cursor passes through the caller, who may send anything.
        for cursor in ["", "nonsense", "/", "d4e/a/b", "../d4e/_k", "fff/\u{ff}", "zzz/", "\0"] {
            if let Ok((keys, _)) = instance.list(Some(cursor.to_owned()), 10).await {
                assert!(keys.iter().all(|key| key.starts_with("key-")), "{cursor}");
            }
        }
    });
}
