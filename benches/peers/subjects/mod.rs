//! What is measured: one small file for each way to store artifacts, all with the same operations.

mod cacache;
mod native;
mod object_store;
mod opendal;
mod ours;
mod plain;

use std::path::Path;

use bytes::Bytes;

/// The pieces in which streams are written and read.
pub const PIECE: usize = 256 * 1024;

/// A way to store artifacts in a directory. Each operation is what its users would call; a failure
/// ends the benchmark. Those that read return how many bytes or artifacts they saw.
pub trait Subject: Send + Sync {
    fn put(&self, key: &str, data: &Bytes);
    fn get(&self, key: &str) -> usize;
    fn write(&self, key: &str, data: &Bytes);
    fn read(&self, key: &str) -> usize;
    fn range(&self, key: &str, offset: u64, length: usize) -> usize;
    fn stat(&self, key: &str);
    fn delete(&self, key: &str);
    fn list(&self) -> usize;
}

/// How a subject is made, and which of its modes that is.
pub struct Kind {
    pub name: &'static str,
    /// Whether what it acknowledged outlives a crash of the machine.
    pub durable: bool,
    pub open: fn(&Path) -> Box<dyn Subject>,
}

/// Every subject in each mode that it has. `opendal` syncs the file and not its directory: that is
/// between the two, and stands with the durable ones, since it waits for the disk.
pub const ALL: [Kind; 11] = [
    Kind {
        name: "artifact-store-async",
        durable: false,
        open: |dir| ours::asynchronous(dir, false),
    },
    Kind {
        name: "artifact-store-blocking",
        durable: false,
        open: |dir| ours::blocking(dir, false),
    },
    Kind { name: "std", durable: false, open: plain::open },
    Kind { name: "native", durable: false, open: |dir| native::open(dir, false) },
    Kind { name: "object_store", durable: false, open: |dir| object_store::open(dir, false) },
    Kind { name: "cacache", durable: false, open: cacache::open },
    Kind { name: "artifact-store-async", durable: true, open: |dir| ours::asynchronous(dir, true) },
    Kind { name: "artifact-store-blocking", durable: true, open: |dir| ours::blocking(dir, true) },
    Kind { name: "native", durable: true, open: |dir| native::open(dir, true) },
    Kind { name: "object_store", durable: true, open: |dir| object_store::open(dir, true) },
    Kind { name: "opendal", durable: true, open: opendal::open },
];

/// What drives the asynchronous subjects: one runtime, as an application has it.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> =
        std::sync::LazyLock::new(|| tokio::runtime::Runtime::new().expect("a runtime"));
    &RUNTIME
}
