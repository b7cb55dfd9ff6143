//! Callers that do nothing close no store: whoever pauses in the middle of a transfer gives the turn
//! back, and has a limit of its own.

use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use artifact_store::{
    ArtifactReader, ArtifactStore, ArtifactWriter, Backend, Engine, Error, ErrorKind, Grants,
    Limits, ReadOptions, SwapOptions, WriteOptions, blocking,
};
use artifact_store_tests::{guest, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

const LARGE: usize = 3 << 20;

/// "At once", on a busy machine: far below the time of a call.
const AT_ONCE: Duration = Duration::from_secs(10);

fn limits(concurrency: u64) -> Limits {
    Limits::default().concurrency(concurrency)
}

fn fs(dir: &Path, limits: Limits) -> Backend {
    Backend::fs(dir).limits(limits)
}

/// Both faces of one store, which has an artifact that does not fit between reader and backend.
fn open(dir: &Path, limits: Limits) -> (Runtime, ArtifactStore, blocking::ArtifactStore) {
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(ArtifactStore::open(fs(dir, limits))).unwrap();
    let blocking = blocking::ArtifactStore::from(store.clone());
    blocking.put("large", vec![7; LARGE]).unwrap();
    (runtime, store, blocking)
}

/// Every verb is served.
fn serves(runtime: &Runtime, store: &ArtifactStore, blocking: &blocking::ArtifactStore) {
    let begun = Instant::now();
    runtime.block_on(async {
        store.put("other", "async").await.unwrap();
        assert_eq!(store.get("other").await.unwrap(), "async");
        assert_eq!(store.stat("large").await.unwrap().size, LARGE as u64);
        assert!(store.list("").next().await.unwrap().is_some());
        let mut reader = store.read("large", ReadOptions::default()).await.unwrap();
        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.unwrap();
        store.write("written", &[7; LARGE][..], WriteOptions::default()).await.unwrap();
        store.delete("written").await.unwrap();
    });
    blocking.put("other", "blocking").unwrap();
    assert_eq!(blocking.get("other").unwrap(), "blocking");
    assert_eq!(blocking.get("large").unwrap().len(), LARGE);
    blocking.delete("other").unwrap();
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

async fn idle_writer(store: &ArtifactStore, n: usize) -> ArtifactWriter {
    let mut writer = store.writer(&format!("idle-{n}"), WriteOptions::default()).unwrap();
    writer.write_all(b"1").await.unwrap();
    writer.flush().await.unwrap();
    writer
}

async fn idle_reader(store: &ArtifactStore) -> ArtifactReader {
    let mut reader = store.read("large", ReadOptions::default()).await.unwrap();
    reader.read_exact(&mut [0; 10]).await.unwrap();
    reader
}

fn idle_blocking_writer(store: &blocking::ArtifactStore, n: usize) -> blocking::ArtifactWriter {
    let mut writer = store.writer(&format!("blocked-{n}"), WriteOptions::default()).unwrap();
    writer.write_all(b"1").unwrap();
    writer.flush().unwrap();
    writer
}

fn idle_blocking_reader(store: &blocking::ArtifactStore) -> blocking::ArtifactReader {
    let mut reader = store.read("large", ReadOptions::default()).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    reader
}

fn temporaries(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("tmp")).map_or(0, Iterator::count)
}

#[track_caller]
fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    within(Duration::from_secs(60), what, is_so);
}

#[test]
fn a_third_call_is_served_beside_two_idle_readers() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, store, blocking) = open(dir.path(), limits(2));
    let readers =
        runtime.block_on(async { [idle_reader(&store).await, idle_reader(&store).await] });
    serves(&runtime, &store, &blocking);
    let others = [idle_blocking_reader(&blocking), idle_blocking_reader(&blocking)];
    serves(&runtime, &store, &blocking);
    // And they go on.
    for mut reader in readers {
        let mut rest = Vec::new();
        runtime.block_on(reader.read_to_end(&mut rest)).unwrap();
        assert_eq!(rest.len(), LARGE - 10);
    }
    for mut reader in others {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), LARGE - 10);
    }
}

/// As many writers and readers as there are turns, of each kind, and callers of all verbs beside them.
#[test]
fn idle_transfers_of_every_kind_close_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, store, blocking) = open(dir.path(), limits(64));
    let (writers, readers) = runtime.block_on(async {
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for n in 0..64 {
            writers.push(idle_writer(&store, n).await);
            readers.push(idle_reader(&store).await);
        }
        (writers, readers)
    });
    let others: Vec<_> = (0..64)
        .map(|n| (idle_blocking_writer(&blocking, n), idle_blocking_reader(&blocking)))
        .collect();
    // In their nature no different: one that was begun and never used at all.
    let unused: Vec<_> =
        (0..64).map(|n| store.writer(&format!("un-{n}"), WriteOptions::default())).collect();
    thread::sleep(Duration::from_millis(100));
    serves(&runtime, &store, &blocking);
    drop(unused);

    runtime.block_on(async {
        for mut writer in writers {
            writer.write_all(b"2").await.unwrap();
            assert_eq!(writer.commit().await.unwrap().size, 2);
        }
        for mut reader in readers {
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest.len(), LARGE - 10);
        }
    });
    for (mut writer, mut reader) in others {
        writer.write_all(b"2").unwrap();
        assert_eq!(writer.commit().unwrap().size, 2);
        assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), LARGE as u64 - 10);
    }
    assert_eq!(blocking.list("").count(), 1 + 2 * 64);
    eventually("no temporary is left", || temporaries(dir.path()) == 0);
}

fn is_busy(error: &Error, what: &str, limit: u64) {
    match error.kind() {
        ErrorKind::Busy { what: found, limit: of, .. } => {
            assert_eq!((*found, *of), (what, limit));
        }
        kind => panic!("{kind:?}"),
    }
    assert!(error.is_retryable());
    assert!(error.to_string().contains(&format!("all {limit} {what}")), "{error}");
}

/// Calls that really run keep their turns: who waits is told so, and that it is nobody's fault.
#[test]
fn a_call_that_gets_no_turn_says_so() {
    let limits = limits(2).turn_timeout(Duration::from_millis(200));
    let backend = Backend::from_file(guest("stalls")).limits(limits);
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(ArtifactStore::open(backend)).unwrap();
    let blocking = blocking::ArtifactStore::from(store.clone());
    let working: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            runtime.spawn(async move { store.delete("sleep-5000").await })
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    let error = runtime.block_on(store.put("k", "x")).unwrap_err();
    is_busy(&error, "turns", 2);
    is_busy(&blocking.get("k").unwrap_err(), "turns", 2);
    let error = runtime.block_on(store.read("k", ReadOptions::default())).err().unwrap();
    is_busy(&error, "turns", 2);
    is_busy(&blocking.read("k", ReadOptions::default()).err().unwrap(), "turns", 2);
    for call in working {
        runtime.block_on(call).unwrap().unwrap();
    }
    blocking.delete("k").unwrap();
}

/// A transfer that lost its turn while its caller paused, and gets none afterwards, ends likewise.
#[test]
fn a_transfer_that_gets_no_turn_back_says_so() {
    let limits = limits(2).turn_timeout(Duration::from_millis(300));
    let backend = Backend::from_file(guest("stalls")).limits(limits);
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(ArtifactStore::open(backend)).unwrap();
    let blocking = blocking::ArtifactStore::from(store.clone());
    let mut writer = runtime.block_on(idle_writer(&store, 0));
    let mut reader = runtime.block_on(store.read("flood", ReadOptions::default())).unwrap();
    runtime.block_on(reader.read_exact(&mut [0; 10])).unwrap();
    let mut other_writer = idle_blocking_writer(&blocking, 0);
    let mut other_reader = blocking.read("flood", ReadOptions::default()).unwrap();
    other_reader.read_exact(&mut [0; 10]).unwrap();
    thread::sleep(Duration::from_millis(100));
    let working: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            runtime.spawn(async move {
                loop {
                    match store.delete("sleep-12000").await {
                        // Until it has its turn.
                        Err(error) if matches!(error.kind(), ErrorKind::Busy { .. }) => {}
                        ended => return ended,
                    }
                }
            })
        })
        .collect();
    // Three times in a row, since a transfer that is about to pause has a turn for a while.
    let mut in_a_row = 0;
    eventually("both turns are taken", || {
        in_a_row = if blocking.delete("k").is_err() { in_a_row + 1 } else { 0 };
        in_a_row == 3
    });
    runtime.block_on(async {
        let written = writer.write_all(&[7; LARGE]).await;
        is_busy(&carried(written.unwrap_err()), "turns", 2);
        let read = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
        is_busy(&carried(read.unwrap_err()), "turns", 2);
    });
    is_busy(&carried(other_writer.write_all(&[7; LARGE]).unwrap_err()), "turns", 2);
    let read = std::io::copy(&mut other_reader, &mut std::io::sink());
    is_busy(&carried(read.unwrap_err()), "turns", 2);
    for call in working {
        runtime.block_on(call).unwrap().unwrap();
    }
    blocking.delete("k").unwrap();
}

/// What is open holds an instance, so that its number is bounded.
#[test]
fn no_more_transfers_are_open_than_permitted() {
    let dir = tempfile::tempdir().unwrap();
    let limits = limits(64).transfers(3).turn_timeout(Duration::from_millis(200));
    let (runtime, store, blocking) = open(dir.path(), limits);
    let reader = runtime.block_on(idle_reader(&store));
    let writer = runtime.block_on(idle_writer(&store, 0));
    let other = idle_blocking_reader(&blocking);
    let error = runtime.block_on(store.read("large", ReadOptions::default())).err().unwrap();
    is_busy(&error, "open transfers", 3);
    is_busy(&blocking.read("large", ReadOptions::default()).err().unwrap(), "open transfers", 3);
    let written = blocking.write("k", &[7; LARGE][..], WriteOptions::default());
    is_busy(&written.unwrap_err(), "open transfers", 3);
    let written = runtime.block_on(store.write("k", &[7; LARGE][..], WriteOptions::default()));
    is_busy(&written.unwrap_err(), "open transfers", 3);
    // Calls that transfer nothing piece by piece need no such place.
    assert_eq!(blocking.get("large").unwrap().len(), LARGE);
    drop(reader);
    eventually("there is a place again", || blocking.read("large", ReadOptions::default()).is_ok());
    drop((writer, other));
}

/// An error out of the I/O error that carries it.
fn carried(error: std::io::Error) -> Error {
    error.downcast().unwrap()
}

fn is_paused(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Paused(_)), "{error:?}");
}

#[test]
fn a_pause_that_is_too_long_ends_the_transfer_and_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = limits(64).pause_timeout(Duration::from_millis(500));
    let (runtime, store, blocking) = open(dir.path(), limits);
    let mut reader = runtime.block_on(idle_reader(&store));
    let mut writer = runtime.block_on(idle_writer(&store, 0));
    let committed = runtime.block_on(idle_writer(&store, 1));
    let mut other_reader = idle_blocking_reader(&blocking);
    let mut other_writer = idle_blocking_writer(&blocking, 0);
    let other_committed = idle_blocking_writer(&blocking, 1);
    eventually("the writes have begun", || temporaries(dir.path()) > 0);
    thread::sleep(Duration::from_secs(2));
    // They have ended by themselves, and left nothing.
    eventually("no temporary is left", || temporaries(dir.path()) == 0);

    runtime.block_on(async {
        let read = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
        is_paused(&carried(read.unwrap_err()));
        let written = writer.write_all(&[7; LARGE]).await;
        is_paused(&carried(written.unwrap_err()));
        is_paused(&committed.commit().await.unwrap_err());
    });
    let read = std::io::copy(&mut other_reader, &mut std::io::sink());
    is_paused(&carried(read.unwrap_err()));
    is_paused(&carried(other_writer.write_all(&[7; LARGE]).unwrap_err()));
    is_paused(&other_committed.commit().unwrap_err());
    let keys: Vec<_> = blocking.list("").map(|entry| entry.unwrap().key).collect();
    assert_eq!(keys, ["large"]);
}

/// Whoever sends or takes a little every now and then does not pause.
#[test]
fn a_slow_caller_is_no_caller_that_pauses() {
    let dir = tempfile::tempdir().unwrap();
    let limits = limits(64).pause_timeout(Duration::from_secs(2));
    let (runtime, store, blocking) = open(dir.path(), limits);
    let mut reader = runtime.block_on(idle_reader(&store));
    let mut writer = runtime.block_on(idle_writer(&store, 0));
    let mut other_reader = idle_blocking_reader(&blocking);
    let mut other_writer = idle_blocking_writer(&blocking, 0);
    for _ in 0..16 {
        thread::sleep(Duration::from_millis(250));
        runtime.block_on(async {
            reader.read_exact(&mut [0; 10]).await.unwrap();
            writer.write_all(b"2").await.unwrap();
        });
        other_reader.read_exact(&mut [0; 10]).unwrap();
        other_writer.write_all(b"2").unwrap();
    }
    assert_eq!(runtime.block_on(writer.commit()).unwrap().size, 17);
    assert_eq!(other_writer.commit().unwrap().size, 17);
    let rest = LARGE as u64 - 170;
    let read = runtime.block_on(tokio::io::copy(&mut reader, &mut tokio::io::sink()));
    assert_eq!(read.unwrap(), rest);
    assert_eq!(std::io::copy(&mut other_reader, &mut std::io::sink()).unwrap(), rest);
}

/// Waiting and pausing say nothing about a new backend, whether it is good or not.
#[test]
fn waiting_and_pausing_decide_no_trial() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trial = SwapOptions::default().trial_calls(3);
    let store = blocking::ArtifactStore::open_dir(old.path()).unwrap();
    let limits = limits(1)
        .turn_timeout(Duration::from_millis(100))
        .pause_timeout(Duration::from_millis(300));
    let stalls = Backend::from_file(guest("stalls")).limits(limits.clone());
    store.swap(stalls, trial).unwrap();
    thread::scope(|scope| {
        let working = scope.spawn(|| store.delete("sleep-3000"));
        thread::sleep(Duration::from_millis(300));
        for _ in 0..5 {
            is_busy(&store.put("k", "x").unwrap_err(), "turns", 1);
        }
        assert!(store.backend().name().ends_with("stalls.wasm"), "no rollback");
        working.join().unwrap().unwrap();
    });

    store.swap(fs(new.path(), limits), trial).unwrap();
    for n in 0..5 {
        let writer = idle_blocking_writer(&store, n);
        thread::sleep(Duration::from_millis(800));
        is_paused(&writer.commit().unwrap_err());
    }
    assert!(new.path().join("tmp").exists(), "the new one serves");
    assert_eq!(store.backend().name(), "fs");
    store.put("k", "in the new one").unwrap();
    assert!(blocking::ArtifactStore::open_dir(old.path()).unwrap().get("k").is_err());
}

/// The sweep that begins when a store is opened is no call of the application: that it succeeds proves
/// nothing.
#[test]
fn a_sweep_in_the_background_decides_no_trial() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let grants = || Grants::none().read_write(new.path(), "/");
    let file = || Backend::from_file(guest("wrong"));
    blocking::ArtifactStore::open(file().grants(grants())).unwrap().put("k", "x").unwrap();
    // So many that it still sweeps when the first calls come.
    for n in 0..3000 {
        std::fs::write(new.path().join("tmp").join(n.to_string()), "").unwrap();
    }
    let store = blocking::ArtifactStore::open_dir(old.path()).unwrap();
    for _ in 0..5 {
        let trial = SwapOptions::default().trial_calls(40);
        store.swap(file().grants(grants().env("FAULT", "lists-twice")), trial).unwrap();
        for _ in 0..40 {
            assert!(store.backend().name().ends_with("wrong.wasm"));
            let error = store.list("").find_map(Result::err).unwrap();
            assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error:?}");
        }
        assert_eq!(store.backend().name(), "fs", "it is rolled back");
    }
}

#[test]
fn an_engine_with_threads_of_its_own_waits_for_no_other() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let limits = limits(8).turn_timeout(Duration::from_millis(500));
    let engine = Engine::builder().threads(1).build().unwrap();
    // Where the bytes pass through the backend, a call needs a thread.
    let backend = |n: usize| fs(dirs[n].path(), limits.clone()).splice(false);
    Runtime::new().unwrap().block_on(async {
        let few = ArtifactStore::open(backend(0).engine(&engine)).await.unwrap();
        let many = ArtifactStore::open(backend(1)).await.unwrap();
        few.put("k", "x").await.unwrap();
        let mut writer = idle_writer(&few, 0).await;
        writer.write_all(&[7; 100]).await.unwrap();
        let error = few.get("k").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
        assert!(error.is_retryable() && error.to_string().contains("no thread"), "{error}");
        many.put("k", "x").await.unwrap();
        writer.abort().await;
        assert_eq!(few.get("k").await.unwrap(), "x");
    });
}
