//! An async read is done on its caller's task where the system has everything in memory, and on
//! another thread where the disk has to be asked.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::path::Path;

use artifact_store::{ArtifactStore, Backend, Grants, ReadOptions};
use artifact_store_tests::{bare, logged};
use bytes::Bytes;
use rustix::fs::{Advice, fadvise, statfs};
use tokio::io::AsyncReadExt;

/// Around the sizes at which something changes: what is read at once, one chunk.
const SIZES: [usize; 8] = [0, 1, 5000, 65_536, 262_145, AT_ONCE - 1, AT_ONCE, AT_ONCE + 5000];

/// The largest artifact that is read on the caller's task.
const AT_ONCE: usize = 1 << 20;

/// The system may keep of a file what it was told to forget, and a fast disk may have answered by the
/// time that the system looks: what is read from the disk is sometimes there at once.
const ATTEMPTS: usize = 100;

/// What `call` returns, and whether it ended on this thread.
fn watched<T>(call: impl Future<Output = T>) -> (T, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (outcome, text) = logged(|| runtime.block_on(call));
    (outcome, text.contains(": called"))
}

fn wait<T>(call: impl Future<Output = T>) -> T {
    watched(call).0
}

async fn read(store: &ArtifactStore, offset: u64, length: Option<u64>) -> Vec<u8> {
    let mut data = Vec::new();
    let mut reader =
        store.read("k", ReadOptions::default().offset(offset).length(length)).await.unwrap();
    reader.read_to_end(&mut data).await.unwrap();
    data
}

/// Whether the test's directory lies on a filesystem that says so where it would wait.
fn says_so(dir: &Path) -> bool {
    [0xef53, 0x5846_5342, 0x9123_683e].contains(&(statfs(dir).unwrap().f_type as u64))
}

#[test]
fn what_is_in_memory_is_read_at_once_and_the_rest_on_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let says_so = says_so(dir.path());
    let store = wait(ArtifactStore::open_dir(dir.path())).unwrap();
    for size in SIZES {
        let data: Bytes = (0..size).map(|n| (n % 251) as u8).collect();
        wait(store.put("k", data.clone())).unwrap();
        let file = File::open(dir.path().join("_k")).unwrap();
        let forget = || fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let here = says_so && size <= AT_ONCE;

        let get = || {
            let (got, was_here) = watched(store.get("k"));
            assert_eq!(got.unwrap(), data, "{size}");
            was_here
        };

        // Nothing is kept of an earlier read but an instance that is ready.
        get();
        assert_eq!(get(), here, "get {size}");
        let from_disk = || {
            forget();
            get()
        };
        assert!((0..ATTEMPTS).any(|_| !from_disk()), "get of {size} from the disk");

        assert_eq!(wait(read(&store, 0, None)), data, "{size}");
        forget();
        assert_eq!(wait(read(&store, 0, None)), data, "{size}");
        let part = size / 3..size / 3 + size.min(4096) / 2;
        let options = (part.start as u64, Some(part.len() as u64));
        forget();
        assert_eq!(wait(read(&store, options.0, options.1)), data[part.clone()], "{size}");
        let (ranged, was_here) = watched(read(&store, options.0, options.1));
        assert_eq!(ranged, data[part.clone()], "{size}");
        assert_eq!(was_here, says_so, "range of {size}");
    }
}

/// Whoever gives a read up, at whatever point, leaves a store that serves, and no thread waits.
#[test]
fn a_read_that_is_given_up_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = wait(ArtifactStore::open_dir(dir.path())).unwrap();
    let data = Bytes::from(vec![7; 700_000]);
    wait(store.put("k", data.clone())).unwrap();
    let file = File::open(dir.path().join("_k")).unwrap();
    for polls in 0..200 {
        if polls % 2 == 0 {
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
        let mut call = Box::pin(store.get("k"));
        let waker = std::task::Waker::noop();
        for _ in 0..polls % 4 {
            let mut context = std::task::Context::from_waker(waker);
            if call.as_mut().poll(&mut context).is_ready() {
                break;
            }
        }
        drop(call);
        let mut reader = wait(store.read("k", ReadOptions::default()));
        drop(wait(reader.as_mut().unwrap().next_chunk()).unwrap());
    }
    assert_eq!(wait(store.get("k")).unwrap(), data);
}

/// What a backend of others does between its answers, nobody knows: it never has the task.
/// What makes it quick is what it is, not where it came from.
#[test]
fn the_built_in_backend_from_a_file_is_read_at_once_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fs.wasm");
    std::fs::write(&file, Backend::fs_component()).unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let grants = Grants::none().read_write(dir.path().join("data"), "/");
    let store = wait(ArtifactStore::open(Backend::from_file(file).grants(grants))).unwrap();
    wait(store.put("k", "some bytes")).unwrap();
    wait(store.get("k")).unwrap();
    let (got, was_here) = watched(store.get("k"));
    assert_eq!(got.unwrap(), "some bytes");
    assert_eq!(was_here, says_so(dir.path()));
}

#[test]
fn another_backend_runs_on_another_thread() {
    let store = wait(ArtifactStore::open(bare(&[]))).unwrap();
    wait(store.get("k")).unwrap();
    let (got, was_here) = watched(store.get("k"));
    assert_eq!(got.unwrap(), "");
    assert!(!was_here);
}
