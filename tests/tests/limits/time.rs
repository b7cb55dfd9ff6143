//! A backend that only looks busy is ended in time, and so is each of many at once; the store serves
//! others meanwhile and afterwards. The rule is in `docs/threat-model.md`, "Time".

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Limits, LoadLimits, ReadOptions, WriteOptions};
use artifact_store_tests::{expect, guest, guest_on};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the backend has until the next byte.
const STEP: Duration = Duration::from_secs(1);

/// Much longer than any call here may take, on a busy machine as well, and much shorter than "for
/// ever".
const PATIENCE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits::default().call_timeout(STEP)
}

fn open(limits: Limits) -> ArtifactStore {
    let backend = Backend::from_file(guest("stalls")).limits(limits);
    ArtifactStore::open(backend).unwrap()
}

/// What `call` returns, if it does in good time, and after how long.
fn ends<R: Send + 'static>(what: &str, call: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = mpsc::channel();
    let begun = Instant::now();
    thread::spawn(move || done.send(call()));
    let outcome = is_done.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} does not end"));
    eprintln!("{what}: {:?}", begun.elapsed());
    outcome
}

fn read(store: &ArtifactStore, key: &str) -> Result<u64, artifact_store::Error> {
    let mut reader = store.read(key, ReadOptions::default())?;
    let read = std::io::copy(&mut reader, &mut std::io::sink());
    read.map_err(|error| error.downcast().unwrap())
}

async fn read_async(
    store: &artifact_store::ArtifactStore,
    key: &str,
) -> Result<u64, artifact_store::Error> {
    let mut reader = store.read(key, ReadOptions::default()).await?;
    let read = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
    read.map_err(|error| error.downcast().unwrap())
}

fn is_timeout<T: std::fmt::Debug>(outcome: Result<T, artifact_store::Error>, what: &str) {
    let error = outcome.expect_err(what);
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{what}: {error:?}");
    assert!(error.is_retryable());
}

/// On a busy machine not each call makes it in so short a time.
fn serves(store: &ArtifactStore) {
    assert!((0..20).any(|_| store.get("fine").is_ok_and(|data| data == "123456789")));
}

const READS: [&str; 7] = [
    "no-bytes",
    "byte-each-100",
    "byte-and-compute-50",
    "silent",
    "no-end",
    "after-the-end",
    "nothing",
];

const WRITES: [&str; 7] = [
    "no-bytes",
    "byte-each-100",
    "asks-again-50",
    "silent",
    "no-answer",
    "compute-at-the-end-100000",
    "after-the-answer",
];

#[test]
fn a_read_that_only_looks_busy_is_ended() {
    for key in READS {
        let store = open(limits());
        let after = store.clone();
        let whole = ends(&format!("get {key}"), {
            let store = store.clone();
            move || store.get(key)
        });
        let read = ends(&format!("read {key}"), move || read(&store, key));
        if key == "nothing" {
            assert!(whole.is_err() && read.is_err());
            continue;
        }
        is_timeout(read, key);
        // Most of them seem to be too large for memory.
        if !matches!(whole.as_ref().unwrap_err().kind(), ErrorKind::TooLarge { .. }) {
            is_timeout(whole, key);
        }
        serves(&after);
    }
}

#[test]
fn a_write_that_only_looks_busy_is_ended() {
    for key in WRITES {
        let store = open(limits());
        let after = store.clone();
        let put = ends(&format!("put {key}"), {
            let store = store.clone();
            move || store.put(key, vec![7; 3 << 20])
        });
        is_timeout(put, key);
        let write = ends(&format!("write {key}"), move || {
            store.write(key, &[7; 3 << 20][..], WriteOptions::default())
        });
        is_timeout(write, key);
        serves(&after);
    }
}

#[test]
fn other_calls_that_do_not_end_are_ended() {
    let store = open(limits());
    for key in ["silent", "compute-100000", "sleep-100000"] {
        let calling = store.clone();
        is_timeout(ends(key, move || calling.delete(key)), key);
        serves(&store);
    }
}

/// Bytes that go from one stream of the host to another one run past the backend, so that neither its
/// own code nor a timer gets a turn meanwhile.
#[test]
fn a_stream_from_file_to_file_or_nowhere_is_ended() {
    for key in ["3 file-into-itself", "3 holes-to-output", "3 holes-to-file"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "some").unwrap();
        let store = ArtifactStore::open(guest_on("raids", dir.path()).limits(limits())).unwrap();
        let after = store.clone();
        is_timeout(ends(key, move || store.get(key)), key);
        after.delete("k").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let backend = guest_on("raids", dir.path()).limits(limits());
        let outcome = ends(&format!("{key}, async"), move || {
            runtime.block_on(async {
                artifact_store::ArtifactStore::open(backend).await.unwrap().get(key).await
            })
        });
        is_timeout(outcome, key);
    }
}

/// The host makes them in its own memory, for each of many calls at once.
#[test]
fn random_bytes_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(guest_on("raids", dir.path())).unwrap();
    for key in ["3 random", "3 insecure-random"] {
        assert_eq!(store.get(key).unwrap(), "1048576", "{key}");
    }
    for key in ["2 random", "2 much-random", "2 insecure-random"] {
        let error = store.get(key).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{key}: {error:?}");
    }
}

/// The async API is ended alike, and so are as many at once as there are turns.
#[test]
fn as_many_of_them_as_there_are_turns_close_no_store() {
    let store = open(limits());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clone = store.clone();
    let outcomes = ends("64 calls", move || {
        runtime.block_on(async {
            let backend = Backend::from_file(guest("stalls")).limits(limits());
            let own = artifact_store::ArtifactStore::open(backend).await.unwrap();
            let calls: Vec<_> = (0..64)
                .map(|n| {
                    let own = own.clone();
                    tokio::spawn(async move {
                        let reads = READS.len() - 1;
                        match n % 2 {
                            0 => read_async(&own, READS[n / 2 % reads]).await.map(drop),
                            _ => {
                                let key = WRITES[n / 2 % WRITES.len()];
                                own.put(key, vec![7; 1 << 20]).await.map(drop)
                            }
                        }
                    })
                })
                .collect();
            // Another store is served at once, and this one as soon as a turn is free.
            let begun = Instant::now();
            clone.delete("fine").unwrap();
            own.delete("fine").await.unwrap();
            eprintln!("a call meanwhile: {:?}", begun.elapsed());
            let mut outcomes = Vec::new();
            for call in calls {
                outcomes.push(call.await.unwrap());
            }
            own.delete("fine").await.unwrap();
            outcomes
        })
    });
    for (n, outcome) in outcomes.into_iter().enumerate() {
        is_timeout(outcome, &n.to_string());
    }
    serves(&store);
}

/// The step alone would let it go on for ever.
#[test]
fn a_byte_now_and_then_is_enough_above_the_least_rate_and_without_one() {
    for least_rate in [10, 0] {
        let store = open(limits().least_rate(least_rate));
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let _ = done.send(read(&store, "byte-each-10"));
        });
        let ended = is_done.recv_timeout(4 * STEP);
        assert!(ended.is_err(), "{ended:?}");
    }
}

/// What is computed while the caller is waited for counts, and a pause of the caller does not.
#[test]
fn a_slow_caller_is_waited_for_and_a_backend_that_computes_meanwhile_is_not() {
    let store = open(limits());
    let mut reader = store.read("flood", ReadOptions::default()).unwrap();
    for _ in 0..3 {
        reader.read_exact(&mut [0; 1 << 20]).unwrap();
        thread::sleep(STEP * 3 / 2);
    }
    reader.read_exact(&mut vec![0; 8 << 20]).unwrap();
    drop(reader);
    let mut writer = store.writer("fine", WriteOptions::default()).unwrap();
    for _ in 0..3 {
        writer.write_all(&[7; 1 << 20]).unwrap();
        writer.flush().unwrap();
        thread::sleep(STEP * 3 / 2);
    }
    writer.commit().unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backend = Backend::from_file(guest("stalls")).limits(limits());
    runtime.block_on(async {
        let store = artifact_store::ArtifactStore::open(backend).await.unwrap();
        let mut reader = store.read("flood", ReadOptions::default()).await.unwrap();
        let mut writer = store.writer("fine", WriteOptions::default()).unwrap();
        for _ in 0..3 {
            reader.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
            writer.write_all(&vec![7; 1 << 20]).await.unwrap();
            writer.flush().await.unwrap();
            tokio::time::sleep(STEP * 3 / 2).await;
        }
        writer.commit().await.unwrap();
    });
}

/// No time that can be written down makes anything panic; what no clock reaches is no limit.
#[test]
fn limits_beyond_all_clocks_are_no_limits() {
    for time in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40)] {
        let limits = Limits::default()
            .call_timeout(time)
            .turn_timeout(time)
            .pause_timeout(time)
            .least_rate(u64::MAX)
            .memory(u64::MAX)
            .handles(u64::MAX)
            .buffer(u64::MAX)
            .concurrency(u64::MAX)
            .transfers(u64::MAX)
            .load(LoadLimits::default().time(time).memory(u64::MAX));
        let dir = tempfile::tempdir().unwrap();
        let backend = || Backend::fs(dir.path()).limits(limits.clone());
        let store = ArtifactStore::open(backend().sweep_older_than(Some(time))).unwrap();
        store.put("k", vec![7; 1 << 20]).unwrap();
        assert_eq!(store.get("k").unwrap().len(), 1 << 20);
        let mut reader = store.read("k", ReadOptions::default()).unwrap();
        let mut writer = store.writer("l", WriteOptions::default()).unwrap();
        writer.write_all(&[7; 1 << 20]).unwrap();
        writer.flush().unwrap();
        thread::sleep(Duration::from_millis(300));
        assert_eq!(std::io::copy(&mut reader, &mut writer).unwrap(), 1 << 20);
        writer.commit().unwrap();
        assert_eq!(store.list("").count(), 2);
        store.sweep(time).unwrap();
        let options =
            artifact_store::SwapOptions::default().drain_timeout(time).trial_calls(u32::MAX);
        let before = store.swap(backend(), options).unwrap();
        store.swap_loaded(before, options);
        assert_eq!(store.stat("l").unwrap().size, 2 << 20);
    }
}

#[test]
fn no_time_makes_the_command_line_or_a_configuration_panic() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("store")).unwrap();
    for time in ["18446744073709551615s", "500000000000years", "1ns"] {
        let put = ["--timeout", time, "--dir", "store", "put", "k"];
        let output = artifact_store_tests::run(dir.path(), &put, b"some");
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 6)), "{time}: {code:?} {output:?}");
    }
    let limits = ["call-timeout", "turn-timeout", "pause-timeout"]
        .map(|limit| format!("{limit} = \"18446744073709551615s\""))
        .join(", ");
    let text = format!(
        "[stores.main]\nbackend = \"fs\"\ndirectories = [{{ host = \"store\" }}]\n\
         sweep-older-than = \"18446744073709551615s\"\n\
         limits = {{ {limits}, least-rate = 0, transfers = 9223372036854775807, \
         concurrency = 9223372036854775807, handles = 9223372036854775807 }}\n"
    );
    std::fs::write(dir.path().join("stores.toml"), text).unwrap();
    let config = ["--config", "stores.toml"];
    expect(dir.path(), &[&config[..], &["put", "k"]].concat(), b"some", 0);
    assert_eq!(expect(dir.path(), &[&config[..], &["get", "k"]].concat(), b"", 0), "some");
    expect(dir.path(), &[&config[..], &["config", "check"]].concat(), b"", 0);
}
