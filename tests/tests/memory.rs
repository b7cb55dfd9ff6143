//! What the store keeps in memory stays small, whatever passes through it. One test after the
//! other, since they share a process.
#![cfg(target_os = "linux")]

use std::io::Read;

use artifact_store::{ArtifactStore, ReadOptions, WriteOptions, blocking};
use tokio::io::AsyncWriteExt;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A line of `/proc/self/status`, in bytes: `VmRSS` is what is resident, `VmHWM` the most so far.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    let kib = value.trim_start_matches(':').trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * KIB
}

#[test]
fn memory_stays_small() {
    an_idle_instance_is_cheap();
    a_large_artifact_passes_through_little_memory();
    many_calls_at_once_share_it();
}

fn an_idle_instance_is_cheap() {
    const INSTANCES: u64 = 32;
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = ArtifactStore::open_dir(dir.path()).await.unwrap();
        let begin = async |n: u64| {
            let mut writer = store.writer(&n.to_string(), WriteOptions::default()).unwrap();
            // There is room for two: with the fourth the backend has taken one.
            for _ in 0..4 {
                writer.write_all(b"x").await.unwrap();
                writer.flush().await.unwrap();
            }
            writer
        };
        begin(0).await.abort().await;
        let before = memory("VmRSS");
        let mut writers = Vec::new();
        for n in 0..INSTANCES {
            writers.push(begin(n).await);
        }
        for writer in writers {
            writer.abort().await;
        }
        let each = memory("VmRSS").saturating_sub(before) / INSTANCES;
        eprintln!("an idle instance, with the thread that made it: {} KiB", each / KIB);
        assert!(each <= MIB, "{each} bytes for each instance");
    });
}

fn a_large_artifact_passes_through_little_memory() {
    const SIZE: u64 = 256 * MIB;
    let dir = tempfile::tempdir().unwrap();
    let store = blocking::ArtifactStore::open_dir(dir.path()).unwrap();
    let options = WriteOptions::default().size(SIZE);
    store.write("warm", std::io::repeat(1).take(8 * MIB), WriteOptions::default()).unwrap();
    let before = memory("VmHWM");
    store.write("large", std::io::repeat(7).take(SIZE), options).unwrap();
    let mut reader = store.read("large", ReadOptions::default()).unwrap();
    assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), SIZE);
    let grown = memory("VmHWM") - before;
    eprintln!("{} MiB through put and get: {} KiB", SIZE / MIB, grown / KIB);
    assert!(grown <= 16 * MIB, "{grown} bytes");
}

fn many_calls_at_once_share_it() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let before = memory("VmHWM");
    runtime.block_on(async {
        let store = ArtifactStore::open_dir(dir.path()).await.unwrap();
        store.put("k", vec![7; 64 << 10]).await.unwrap();
        let gets: Vec<_> = (0..1000)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.get("k").await.unwrap().len() })
            })
            .collect();
        for get in gets {
            assert_eq!(get.await.unwrap(), 64 << 10);
        }
    });
    let grown = memory("VmHWM") - before;
    eprintln!("1000 gets at once: {} MiB", grown / MIB);
    assert!(memory("VmHWM") < 256 * MIB && grown < 256 * MIB, "{grown} bytes");
}
