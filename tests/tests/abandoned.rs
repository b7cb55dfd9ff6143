//! Writes and reads that are given up at any point: nothing of them is ever seen, what was there
//! stays, and nothing remains of them. Through the library, and through a host of the tests' own.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, ReadOptions, WriteOptions};
use artifact_store_tests::eventually;

mod plain_host;

use plain_host::{Clock, Data, End, Error, FsPerms, Instance, MIB, Mode, block_on};

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

#[test]
fn a_writer_that_is_dropped_at_any_chunk_is_no_rival_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    for chunks in 0..12_usize {
        for options in [WriteOptions::default(), WriteOptions::default().size(4 << 20)] {
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
    eventually("the end of all writes", || temporaries(dir.path()).is_empty());
    assert_eq!(store.get("k").unwrap(), "11");
}

#[test]
fn a_seal_over_more_than_came_stores_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = unswept(dir.path());
    store.put("k", "old").unwrap();
    for key in ["k", "new"] {
        for create in [false, true] {
            let options = WriteOptions::default().create(create).size(4 * MIB as u64);
            let mut writer = store.writer(key, options).unwrap();
            // A `create` of what is there may be refused before its end.
            let written = writer.write_all(&vec![7; MIB]);
            let error = match written {
                Ok(()) => writer.commit().unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(
                error.contains("announced") || error.contains("already has an artifact"),
                "{error}"
            );
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
    eventually("the end of all readers", || open_files() < before + 100);
    assert_eq!(store.get("k").unwrap(), vec![7; 8 * MIB]);
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
                let mut instance = Instance::new(dir.path()).await;
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

/// A removal that fails once is tried again. What remains where it fails for good is litter.
#[test]
fn a_temporary_whose_removal_fails_once_is_gone() {
    let whole = End::Sealed(MIB as u64);
    let cases = [
        (Mode::Overwrite, "k", End::GivenUp, false),
        (Mode::Overwrite, "new", End::Sealed(1), false),
        (Mode::Create, "new", End::Sealed(1), false),
        // Its file has got a second name, and the first one goes.
        (Mode::Create, "new", whole, true),
    ];
    for (mode, key, end, is_stored) in cases {
        for failures in 0..4 {
            let what = format!("{mode:?}, {end:?}, {failures} failures");
            let dir = tempfile::tempdir().unwrap();
            let store = unswept(dir.path());
            store.put("k", "old").unwrap();
            block_on(async {
                let mut instance = Instance::new(dir.path()).await;
                instance.fail_removals(failures);
                let answer =
                    instance.write_as(mode.clone(), key, Data::Dropped, end).await.unwrap();
                assert_eq!(answer.is_ok(), is_stored, "{what}: {answer:?}");
            });
            let left = temporaries(dir.path()).len();
            assert_eq!(left, usize::from(failures > 1), "{what}");
            store.sweep(Duration::ZERO).unwrap();
            assert_eq!(temporaries(dir.path()).len(), 0, "{what}");
            assert_eq!(store.stat("new").is_ok(), is_stored, "{what}");
            assert_eq!(store.get("k").unwrap(), "old", "{what}");
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
    eventually("the first bytes", || temporaries(dir.path()).len() == 1);
    let day = Duration::from_secs(24 * 3600);
    let clocks = [
        Clock::Right,
        Clock::Ahead(2 * day),
        Clock::Ahead(20_000 * day),
        Clock::Behind(2 * day),
        Clock::Behind(10_000 * day),
    ];
    for clock in clocks {
        let swept = block_on(async {
            Instance::with(dir.path(), FsPerms::ReadWrite, clock).await.sweep(day).await
        });
        assert_eq!(swept.unwrap(), (0, 1), "{clock:?}");
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
        let mut instance = Instance::new(dir.path()).await;
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
        let long = "0".repeat(32);
        // A cursor passes through the caller, who may send anything.
        for cursor in [
            "",
            "nonsense",
            ":",
            "/",
            "../_k",
            ",d/_k",
            "\u{ff}",
            "\0",
            &*long,
            &format!("{long}:x"),
        ] {
            if let Ok((keys, _)) = instance.list(Some(cursor.to_owned()), 10).await {
                assert!(keys.iter().all(|key| key.starts_with("key-")), "{cursor}");
            }
        }
    });
}
