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

    fn write(&self, _key: &str, _data: &Bytes) {
        unasked()
    }

    fn read(&self, _key: &str) -> usize {
        unasked()
    }

    fn range(&self, _key: &str, _offset: u64, _length: usize) -> usize {
        unasked()
    }

    fn stat(&self, _key: &str) {
        unasked()
    }

    fn delete(&self, _key: &str) {
        unasked()
    }

    fn list(&self) -> usize {
        unasked()
    }

    /// Gets all of these at once, each by a task of one runtime. How many bytes they have together.
    fn together(&self, _keys: Vec<String>) -> usize {
        unasked()
    }

    /// Copies an artifact within the store. Those that have no such call are not asked.
    fn copy(&self, _source: &str, _target: &str) {
        unasked()
    }

    /// How many artifacts and folders are directly in this one. Those that have no such call are not
    /// asked.
    fn level(&self, _folder: &str) -> usize {
        unasked()
    }

    /// How many artifacts in this folder come behind `key`. Likewise.
    fn after(&self, _folder: &str, _key: &str) -> usize {
        unasked()
    }

    /// The same for the first ones of them.
    fn page(&self, _folder: &str, _key: &str, _limit: usize) -> usize {
        unasked()
    }
}

fn unasked() -> ! {
    panic!("a subject is asked only for what it has");
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

    /// Whether it has `together`.
    pub fn has_tasks(&self) -> bool {
        matches!(self.name, "artifact-store-async" | "object_store")
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

/// Runs these at once, each as a task of the runtime.
fn tasks<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    runtime().block_on(async {
        let tasks: Vec<_> = futures.map(tokio::spawn).collect();
        futures::future::try_join_all(tasks).await.expect("no task fails")
    })
}
