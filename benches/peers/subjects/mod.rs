//! What is measured: one small file for each way to store artifacts, all with the same operations.

pub mod bucket;
mod cacache;
mod native;
pub mod object_store;
mod opendal;
pub mod ours;
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

    /// Copies an artifact within the store. Those that have no such call are not asked.
    fn copy(&self, _source: &str, _target: &str) {}

    /// How many artifacts and folders are directly in this one. Those that have no such call are not
    /// asked.
    fn level(&self, _folder: &str) -> usize {
        0
    }

    /// How many artifacts in this folder come behind `key`. Likewise.
    fn after(&self, _folder: &str, _key: &str) -> usize {
        0
    }

    /// The same for the first ones of them.
    fn page(&self, _folder: &str, _key: &str, _limit: usize) -> usize {
        0
    }
}

/// How a subject is made, and which of its modes that is.
pub struct Kind {
    pub name: &'static str,
    /// Whether what it acknowledged outlives a crash of the machine.
    pub durable: bool,
    /// Whether it stores in a bucket, of which the directory is but the name.
    pub is_remote: bool,
    pub open: Open,
}

impl Kind {
    /// Whether it has `level`, `after` and `page`.
    pub fn has_order(&self) -> bool {
        self.name.starts_with("artifact-store") || self.name == "object_store"
    }

    /// Whether it has `copy`.
    pub fn has_copy(&self) -> bool {
        self.has_order() || self.name == "std"
    }
}

/// Every subject in each mode that it has. `opendal` syncs the file and not its directory: that is
/// between the two, and stands with the durable ones, since it waits for the disk.
pub const ALL: [Kind; 14] = [
    kind("artifact-store-async", false, |dir| ours::asynchronous(dir, false)),
    kind("artifact-store-blocking", false, |dir| ours::blocking(dir, false)),
    kind("std", false, plain::open),
    kind("native", false, |dir| native::open(dir, false)),
    kind("object_store", false, |dir| object_store::open(dir, false)),
    kind("cacache", false, cacache::open),
    kind("artifact-store-async", true, |dir| ours::asynchronous(dir, true)),
    kind("artifact-store-blocking", true, |dir| ours::blocking(dir, true)),
    kind("native", true, |dir| native::open(dir, true)),
    kind("object_store", true, |dir| object_store::open(dir, true)),
    kind("opendal", true, opendal::open),
    remote("artifact-store-async", ours::asynchronous_bucket),
    remote("artifact-store-blocking", ours::blocking_bucket),
    remote("object_store", object_store::open_bucket),
];

type Open = fn(&Path) -> Box<dyn Subject>;

const fn kind(name: &'static str, durable: bool, open: Open) -> Kind {
    Kind { name, durable, is_remote: false, open }
}

const fn remote(name: &'static str, open: Open) -> Kind {
    Kind { name, durable: false, is_remote: true, open }
}

/// What drives the asynchronous subjects: one runtime, as an application has it.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> =
        std::sync::LazyLock::new(|| tokio::runtime::Runtime::new().expect("a runtime"));
    &RUNTIME
}
