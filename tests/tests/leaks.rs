//! Calls that are dropped wherever they wait, reads that are given up, and backends that come and
//! go leave nothing behind: memory, open files, mappings and temporaries stay flat.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::path::Path;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use artifact_store::{ArtifactStore, Backend, Grants, Limits, ReadOptions, SwapOptions, blocking};
use artifact_store_tests::guest_on;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// More than the noise of an allocator, and less than a leak of a few KiB for each of the calls.
const SLACK: usize = 24 << 20;

/// What is counted is the whole process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

#[derive(Debug)]
struct Usage {
    resident: usize,
    files: usize,
    mappings: usize,
    threads: usize,
}

impl Usage {
    fn now() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap();
        let count = |name: &str| std::fs::read_dir(format!("/proc/self/{name}")).unwrap().count();
        let status = text("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: usize = resident.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        Self {
            resident: kibibytes << 10,
            files: count("fd"),
            mappings: text("maps").lines().count(),
            threads: count("task"),
        }
    }
}

/// Does `work` a few times, and then often: what it uses up then is the same.
fn stays_flat(dir: &Path, few: u32, often: u32, mut work: impl FnMut(u32)) {
    (0..few).for_each(&mut work);
    settle(dir);
    let before = Usage::now();
    (few..few + often).for_each(&mut work);
    settle(dir);
    let after = Usage::now();
    println!("{before:?}\n{after:?}");
    assert!(after.resident < before.resident + SLACK, "{before:?} {after:?}");
    // Each idle instance has its directory open, and there may be more of them.
    assert!(after.files <= before.files + 16, "{before:?} {after:?}");
    // A thread's stack takes two, an instance and an arena of the allocator some.
    let threads = after.threads.saturating_sub(before.threads);
    assert!(after.mappings <= before.mappings + 100 + 4 * threads, "{before:?} {after:?}");
}

/// Waits until nothing is being written any more.
fn settle(dir: &Path) {
    let patience = Instant::now() + Duration::from_secs(60);
    let temporaries = || std::fs::read_dir(dir.join("tmp")).map_or(0, Iterator::count);
    while temporaries() > 0 {
        assert!(Instant::now() < patience, "{} temporaries are left", temporaries());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Numbers without a pattern, the same in each run.
fn random(seed: u32) -> u64 {
    let x = (u64::from(seed) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33
}

/// Polls it some times, with pauses of some length, and drops it where it is then.
fn drop_somewhere<T>(n: u32, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let random = random(n);
    for _ in 0..random % 6 {
        if future.as_mut().poll(&mut context).is_ready() {
            return;
        }
        std::thread::sleep(Duration::from_micros(random / 8 % 300));
    }
}

fn grants(dir: &Path) -> Grants {
    Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", "off")
}

/// Of few instances, so that their number is soon what it stays, with as few handles as
/// `docs/operating.md` finds enough.
fn limits() -> Limits {
    Limits::default().concurrency(8).handles(32)
}

fn open(backend: Backend) -> blocking::ArtifactStore {
    blocking::ArtifactStore::open(backend.limits(limits())).unwrap()
}

/// The same store for both kinds of callers: one kind does the work itself, the other has it done.
fn open_both(backend: Backend) -> (blocking::ArtifactStore, ArtifactStore, Runtime) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = runtime.block_on(ArtifactStore::open(backend.limits(limits()))).unwrap();
    (blocking::ArtifactStore::from(store.clone()), store, runtime)
}

fn dropped_calls(dir: &Path, backend: Backend, few: u32, often: u32) {
    let (after, store, _runtime) = open_both(backend);
    after.put("k", vec![7; 1_000_000]).unwrap();
    stays_flat(dir, few, often, |n| match n % 9 {
        0 => drop_somewhere(n, store.get("k")),
        1 => drop_somewhere(n, store.put("small", "1")),
        2 => drop_somewhere(n, store.put("large", vec![8; 600_000])),
        3 => drop_somewhere(n, store.put_new("new", "1")),
        4 => drop_somewhere(n, store.delete("new")),
        5 => drop_somewhere(n, store.stat("k")),
        6 => drop_somewhere(n, async { store.list("").next().await }),
        7 => drop_somewhere(n, async {
            let mut reader = store.read("k", ReadOptions::default()).await?;
            while reader.next_chunk().await?.is_some() {}
            Ok::<(), artifact_store::Error>(())
        }),
        _ => drop_somewhere(n, async {
            let mut writer = store.writer("written", Default::default())?;
            writer.write_all(&[9; 600_000]).await.unwrap();
            writer.commit().await
        }),
    });
    assert_eq!(after.get("k").unwrap().len(), 1_000_000);
}

#[test]
fn ten_thousand_dropped_calls() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    dropped_calls(dir.path(), Backend::fs(dir.path()).grants(grants(dir.path())), 1000, 10_000);
}

/// Of a backend without streams, whose artifacts pass through memory.
#[test]
fn a_thousand_dropped_calls_without_streams() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    dropped_calls(dir.path(), guest_on("plain", dir.path()), 200, 1000);
}

#[test]
fn ten_thousand_abandoned_reads() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::fs(dir.path()).grants(grants(dir.path()));
    let (store, hosted, runtime) = open_both(backend);
    store.put("k", vec![7; 8_000_000]).unwrap();
    stays_flat(dir.path(), 1000, 10_000, |n| {
        // From nothing to more than waits between the backend and the reader.
        let mut taken = vec![0; [0, 10, 300_000][(n % 3) as usize]];
        if n % 2 == 0 {
            let mut reader = store.read("k", ReadOptions::default()).unwrap();
            reader.read_exact(&mut taken).unwrap();
        } else {
            runtime.block_on(async {
                let mut reader = hosted.read("k", ReadOptions::default()).await.unwrap();
                reader.read_exact(&mut taken).await.unwrap();
            });
        }
    });
    assert_eq!(store.get("k").unwrap().len(), 8_000_000);
}

#[test]
fn two_thousand_abandoned_writes() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::fs(dir.path()).grants(grants(dir.path()));
    let (store, hosted, runtime) = open_both(backend);
    stays_flat(dir.path(), 200, 2000, |n| {
        let given = vec![7; [0, 10, 300_000][(n % 3) as usize]];
        if n % 4 < 2 {
            let mut writer = store.writer("k", Default::default()).unwrap();
            writer.write_all(&given).unwrap();
            if n % 2 == 0 {
                writer.abort();
            }
        } else {
            runtime.block_on(async {
                let mut writer = hosted.writer("k", Default::default()).unwrap();
                writer.write_all(&given).await.unwrap();
                if n % 2 == 0 {
                    writer.abort().await;
                }
            });
        }
    });
    assert_eq!(store.list("").count(), 0);
}

#[test]
fn a_thousand_swaps() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bytes = Backend::fs_component().to_vec();
    let other = Backend::from_bytes("other", bytes).grants(grants(dir.path())).limits(limits());
    let store = open(Backend::fs(dir.path()).grants(grants(dir.path())));
    store.put("k", "x").unwrap();
    stays_flat(dir.path(), 100, 1000, |n| {
        let backend = if n % 2 == 0 {
            other.clone()
        } else {
            Backend::fs(dir.path()).grants(grants(dir.path())).limits(limits())
        };
        store.swap(backend, SwapOptions::default()).unwrap();
        assert_eq!(store.get("k").unwrap(), "x");
    });
}
