//! A backend takes the place of another one while the store serves.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, LoadError, ReadOptions, SwapOptions};
use artifact_store_tests::{bare, guest, guest_on};

fn dirs() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
}

fn open(dir: &Path) -> ArtifactStore {
    ArtifactStore::open_dir(dir).unwrap()
}

#[test]
fn calls_that_begin_after_a_swap_are_the_new_backends() {
    let (a, b) = dirs();
    let store = open(a.path());
    let clone = store.clone();
    store.put("k", "in a").unwrap();
    open(b.path()).put("k", "in b").unwrap();
    let before = store.swap(Backend::fs(b.path()), SwapOptions::default()).unwrap();
    assert_eq!(store.get("k").unwrap(), "in b");
    assert_eq!(clone.get("k").unwrap(), "in b", "clones share the backend");
    // Another language of storage, and back again.
    store.swap(guest_on("plain", b.path()), SwapOptions::default()).unwrap();
    assert!(store.backend().name().ends_with("plain.wasm"));
    store.swap_loaded(before, SwapOptions::default());
    assert_eq!(store.get("k").unwrap(), "in a");
    assert_eq!(store.backend().name(), "fs");
}

#[test]
fn what_is_no_backend_changes_nothing() {
    let (a, _) = dirs();
    let store = open(a.path());
    store.put("k", "in a").unwrap();
    let trap = bare(&[("MODULE", "(func $start unreachable) (start $start)")]);
    for bad in [
        Backend::from_file("no-such-file"),
        Backend::from_file(guest("later_version")),
        Backend::from_file(guest("asks_for_more")),
        trap,
        Backend::fs(a.path().join("no-such-directory")),
    ] {
        store.swap(bad, SwapOptions::default()).unwrap_err();
        assert_eq!(store.get("k").unwrap(), "in a");
    }
}

#[test]
fn a_call_in_flight_finishes_on_the_old_backend() {
    let (a, b) = dirs();
    let store = open(a.path());
    let data = vec![7; 3_000_000];
    store.put("read", data.clone()).unwrap();
    let mut reader = store.read("read", ReadOptions::default()).unwrap();
    let mut writer = store.writer("written", Default::default()).unwrap();
    writer.write_all(&data).unwrap();
    let mut listing = store.list("");

    store.swap(Backend::fs(b.path()), SwapOptions::default()).unwrap();
    assert!(matches!(store.get("read").unwrap_err().kind(), ErrorKind::NotFound));
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == data);
    writer.commit().unwrap();
    assert_eq!(listing.next().unwrap().unwrap().key, "read");
    assert!(open(a.path()).get("written").unwrap() == data);
    assert_eq!(store.list("").count(), 0);
}

#[test]
fn a_call_that_does_not_end_is_ended_when_the_drain_is_over() {
    let (a, b) = dirs();
    let store = open(a.path());
    store.put("k", vec![7; 3_000_000]).unwrap();
    let mut reader = store.read("k", ReadOptions::default()).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    let options = SwapOptions::default().drain_timeout(Duration::from_millis(50));
    let before = store.swap(Backend::fs(b.path()), options).unwrap();
    // The reader is in nobody's way, and does not read.
    std::thread::sleep(Duration::from_millis(500));
    let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
    let error = error.downcast::<artifact_store::Error>().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error:?}");
    assert!(error.is_retryable());
    // What was closed serves again when it is put back.
    store.swap_loaded(before, options);
    assert_eq!(store.get("k").unwrap().len(), 3_000_000);
}

#[test]
fn a_new_backend_that_fails_from_the_start_is_rolled_back() {
    let (a, _) = dirs();
    let store = open(a.path());
    store.put("k", "in a").unwrap();
    let trial = SwapOptions::default().trial_calls(3);
    store.swap(Backend::from_file(guest("hostile")), trial).unwrap();
    for _ in 0..2 {
        assert!(matches!(store.delete("trap").unwrap_err().kind(), ErrorKind::Trap(_)));
    }
    assert!(store.backend().name().ends_with("hostile.wasm"));
    // An answer of the contract proves nothing.
    store.get("k").unwrap_err();
    assert!(matches!(store.delete("trap").unwrap_err().kind(), ErrorKind::Trap(_)));
    assert_eq!(store.get("k").unwrap(), "in a");

    // One that has served stays.
    store.swap(Backend::from_file(guest("hostile")), trial).unwrap();
    assert_eq!(store.get("fine").unwrap(), "123456789");
    for _ in 0..5 {
        store.delete("trap").unwrap_err();
    }
    assert_eq!(store.get("fine").unwrap(), "123456789");
}

#[test]
fn a_pinned_backend_is_that_one_and_no_other() {
    let (a, _) = dirs();
    let digest = open(a.path()).backend().digest().to_owned();
    assert_eq!(digest.len(), 64);
    let pinned = Backend::fs(a.path()).pin(digest.to_uppercase());
    assert_eq!(ArtifactStore::open(pinned).unwrap().backend().digest(), digest);
    let error = ArtifactStore::open(guest_on("plain", a.path()).pin(&digest)).err().unwrap();
    match error.kind() {
        ErrorKind::Load(LoadError::WrongDigest { expected, found }) => {
            assert_eq!((expected, found.len()), (&digest, 64));
        }
        kind => panic!("{kind:?}"),
    }
}

/// Mixed calls from four threads through many swaps between two backends on one directory: not
/// one of them fails, and each read is what was put.
#[test]
fn no_call_is_lost_under_load() {
    const SWAPS: u32 = 1000;
    let (a, _) = dirs();
    let grants = || {
        let grants = Grants::none().read_write(a.path(), "/");
        grants.env("ARTIFACT_STORE_SYNC", "off")
    };
    let other = Backend::from_bytes("other", Backend::fs_component()).grants(grants());
    let store = ArtifactStore::open(Backend::fs(a.path()).grants(grants())).unwrap();
    let (done, calls, slowest) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let work = |n: u8| {
        let key = format!("k{n}");
        store.put(&key, vec![n; 100]).unwrap();
        let mut round = 0_u32;
        while !done.load(Ordering::Relaxed) {
            let begun = Instant::now();
            round += 1;
            let data = vec![n; 100 + (round % 50) as usize];
            match round % 4 {
                0 => assert!(store.get(&key).unwrap().iter().all(|byte| *byte == n)),
                1 => drop(store.put(&key, data).unwrap()),
                2 => assert!(store.stat(&key).unwrap().size >= 100),
                _ => {
                    let mut read = Vec::new();
                    let mut reader = store.read(&key, ReadOptions::default()).unwrap();
                    reader.read_to_end(&mut read).unwrap();
                    assert!(read.iter().all(|byte| *byte == n));
                }
            }
            calls.fetch_add(1, Ordering::Relaxed);
            slowest.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..=4).map(|n| scope.spawn(move || work(n))).collect();
        std::thread::sleep(Duration::from_millis(300));
        let without = slowest.swap(0, Ordering::Relaxed);
        let mut before = store.swap(other, SwapOptions::default()).unwrap();
        for _ in 1..SWAPS {
            before = store.swap_loaded(before, SwapOptions::default());
            std::thread::sleep(Duration::from_micros(200));
        }
        let with = slowest.load(Ordering::Relaxed);
        let calls = calls.load(Ordering::Relaxed);
        eprintln!("{SWAPS} swaps, {calls} calls; slowest {with} us, before the swaps {without} us");
        done.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}
