//! A backend that misbehaves harms nobody: each call gets a typed error, and the next one works.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, Grants, Limits, ReadOptions, Resource, WriteOptions};
use artifact_store_tests::{bare, guest, guest_on};

fn hostile() -> ArtifactStore {
    open(Limits::default())
}

/// One that is soon given up: only for what never ends, since a busy machine is slow, too.
fn impatient() -> ArtifactStore {
    open(Limits::default().call_timeout(Duration::from_millis(500)))
}

fn open(limits: Limits) -> ArtifactStore {
    ArtifactStore::open(Backend::from_file(guest("hostile")).limits(limits)).unwrap()
}

/// The backend still serves.
fn serves(store: &ArtifactStore) {
    assert_eq!(store.get("fine").unwrap(), "123456789");
}

#[test]
fn a_trap_is_an_error_of_one_call() {
    let store = hostile();
    for error in [
        store.get("trap").unwrap_err(),
        store.delete("trap").unwrap_err(),
        store.put("trap", "x").unwrap_err(),
        store.stat("trap").unwrap_err(),
        store.get("overflow").unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
        serves(&store);
    }
    // What has come before is no artifact.
    assert!(matches!(store.get("late-trap").unwrap_err().kind(), ErrorKind::Trap(_)));
    serves(&store);
}

/// Each limit names itself.
#[test]
fn what_is_used_up_is_told() {
    let store = hostile();
    for (key, expected) in [
        ("exhaust", Resource::Memory),
        ("hoard-streams", Resource::Handles),
        ("hoard-futures", Resource::Handles),
    ] {
        let error = store.delete(key).unwrap_err();
        let ErrorKind::Exhausted { what, limit, .. } = error.kind() else {
            panic!("{key}: {error:?}")
        };
        assert_eq!(*what, expected, "{key}");
        let limits = Limits::default();
        let bound = if key == "exhaust" { limits.memory } else { limits.handles };
        assert_eq!(*limit, bound);
        serves(&store);
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("k"), "").unwrap();
    let store = ArtifactStore::open(guest_on("hostile", dir.path())).unwrap();
    let error = store.delete("hoard-files").unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Exhausted { what: Resource::Handles, .. }),
        "{error:?}"
    );
    serves(&store);
}

/// What it says to nobody costs nobody's memory.
#[test]
fn a_backend_that_talks_all_the_time_is_not_listened_to() {
    let store = hostile();
    store.delete("chatter").unwrap();
    serves(&store);
}

const SPIN: &str = "(loop $again (br $again))";

#[test]
fn one_that_misbehaves_at_its_start_is_refused() {
    let start = |code: &str| {
        let module = format!("(func $start {code}) (start $start)");
        let limits = Limits::default().call_timeout(Duration::from_secs(1));
        ArtifactStore::open(bare(&[("MODULE", &module)]).limits(limits)).map_err(|e| e.into_kind())
    };
    assert_eq!(start("").unwrap().get("k").unwrap(), "");
    let error = start("unreachable").err().unwrap();
    assert!(matches!(error, ErrorKind::Trap(_)), "{error:?}");
    let error = start(SPIN).err().unwrap();
    assert!(matches!(error, ErrorKind::Timeout(_)), "{error:?}");
    let grow = "(if (i32.lt_s (memory.grow (i32.const 1000)) (i32.const 0)) (then unreachable))";
    let error = start(&format!("(loop $again {grow} (br $again))")).err().unwrap();
    assert!(matches!(error, ErrorKind::Exhausted { what: Resource::Memory, .. }), "{error:?}");
}

#[test]
fn a_loop_where_the_host_asks_for_memory_is_ended() {
    let limits = Limits::default().call_timeout(Duration::from_millis(500));
    let store = ArtifactStore::open(bare(&[("REALLOC", SPIN)]).limits(limits)).unwrap();
    let error = store.get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
}

/// What a component only declares counts, too.
#[test]
fn one_that_declares_more_than_it_may_have_is_refused() {
    let grow = |what: &str| format!("(if (i32.lt_s ({what}) (i32.const 0)) (then unreachable))");
    let tables = format!(
        "(table $t 1 funcref) (func $start (loop $again {} (br $again))) (start $start)",
        grow("table.grow $t (ref.null func) (i32.const 100000)")
    );
    for (module, expected) in [
        ("(memory 5000)".to_owned(), Resource::Memory),
        // No one of them is above the limit.
        ("(memory 1500)".repeat(3), Resource::Memory),
        ("(table 2000000 funcref)".to_owned(), Resource::TableElements),
        ("(table 400000 funcref)".repeat(3), Resource::TableElements),
        (tables, Resource::TableElements),
    ] {
        let error = ArtifactStore::open(bare(&[("MODULE", &module)])).expect_err(&module);
        match error.kind() {
            ErrorKind::Exhausted { what, .. } => assert_eq!(*what, expected, "{module:.60}"),
            kind => panic!("{module:.60}: {kind:?}"),
        }
    }
}

/// A backend that does not start any more is left alone for a while, and then tried again.
#[test]
fn one_that_does_not_start_is_not_started_over_and_over() {
    // No instance outlives a trap, and while there is such a file none starts.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("unready");
    let grants = Grants::none().read_only(dir.path(), "/");
    let store = ArtifactStore::open(Backend::from_file(guest("unready")).grants(grants)).unwrap();
    std::fs::write(&file, "").unwrap();
    store.put("k", "").unwrap_err();
    let errors: Vec<_> = (0..1000).map(|_| store.get("k").unwrap_err().into_kind()).collect();
    let attempts = errors.iter().filter(|kind| matches!(kind, ErrorKind::Trap(_))).count();
    let refused = errors.iter().filter(|kind| matches!(kind, ErrorKind::Unavailable(_))).count();
    assert_eq!(attempts + refused, 1000);
    assert!((1..10).contains(&attempts), "{attempts}");

    std::fs::remove_file(&file).unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while store.get("k").is_err() {
        assert!(Instant::now() < patience, "it starts again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One that traps beside others ends none of theirs.
#[test]
fn a_trap_is_an_error_of_one_call_among_many() {
    let store = hostile();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..25 {
                    if n == 0 {
                        store.get("trap").unwrap_err();
                    } else {
                        serves(store);
                    }
                }
            });
        }
    });
}

#[test]
fn what_never_ends_is_ended() {
    let store = impatient();
    let started = Instant::now();
    for error in [
        store.get("spin").unwrap_err(),
        store.delete("spin").unwrap_err(),
        store.get("endless").unwrap_err(),
        store.get("late-spin").unwrap_err(),
        store.stat("spin").unwrap_err(),
        store.put("unread", vec![0; 1 << 20]).unwrap_err(),
        store.write("unread", &[0; 1 << 20][..], WriteOptions::default()).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
        assert!(error.is_retryable());
    }
    assert!(started.elapsed() < Duration::from_secs(60));
    // The same store goes on.
    serves_soon(&store);
}

#[test]
fn bytes_that_are_not_the_artifact_are_never_right() {
    let store = hostile();
    for key in ["short", "long", "wrong"] {
        let error = store.get(key).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{key}: {error:?}");
        let mut reader = store.read(key, ReadOptions::default()).unwrap();
        let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{key}: {error}");
    }
    assert!(matches!(store.get("failed").unwrap_err().kind(), ErrorKind::Unavailable(_)));
    assert!(matches!(store.get("huge").unwrap_err().kind(), ErrorKind::TooLarge { .. }));
    serves(&store);
}

/// A backend that takes no notice of the range.
#[test]
fn a_range_is_never_more_than_was_asked_for() {
    let store = hostile();
    let read = |key: &str, offset, length| {
        let mut data = Vec::new();
        let options = ReadOptions::default().offset(offset).length(length);
        let reader = store.read(key, options).map_err(std::io::Error::from);
        reader.and_then(|mut reader| reader.read_to_end(&mut data)).map(|_| data)
    };
    for (offset, length) in [(0, Some(0)), (0, Some(2)), (2, Some(2)), (8, Some(0))] {
        let data = read("fine", offset, length).unwrap();
        assert_eq!(data.len() as u64, length.unwrap(), "{offset}");
    }
    for (offset, length) in [(2, None), (9, None), (9, Some(1)), (4, Some(u64::MAX))] {
        let error = read("fine", offset, length).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{offset} {length:?}: {error}");
    }
    // It answers an offset beyond the end with bytes.
    for offset in [10, u64::MAX] {
        let error = store.read("fine", ReadOptions::default().offset(offset)).err().unwrap();
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::InvalidRange | ErrorKind::Protocol(_)), "{error:?}");
    }
    // Sums of offset and length that no integer holds.
    for (offset, length) in [(u64::MAX, None), (u64::MAX - 1, Some(u64::MAX)), (1, None)] {
        read("huge", offset, length).unwrap_err();
    }
    serves(&store);
}

/// The clock of a call begins with the call, on whatever instance, however long that was idle.
#[test]
fn an_instance_that_was_idle_has_its_whole_time_again() {
    let store = impatient();
    serves_soon(&store);
    std::thread::sleep(Duration::from_millis(1500));
    serves_soon(&store);
}

/// On a busy machine not each call makes it in so short a time.
fn serves_soon(store: &ArtifactStore) {
    assert!((0..20).any(|_| store.get("fine").is_ok_and(|data| data == "123456789")));
}

/// A caller that sends slowly takes its own time, not the backend's.
#[test]
fn a_slow_writer_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().call_timeout(Duration::from_secs(1));
    let store = ArtifactStore::open(Backend::fs(dir.path()).limits(limits)).unwrap();
    let mut writer = store.writer("k", WriteOptions::default()).unwrap();
    for _ in 0..3 {
        writer.write_all(&[7; 300_000]).unwrap();
        writer.flush().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
    }
    assert_eq!(writer.commit().unwrap().size, 900_000);
}

/// The shortest limit there is, one tick of the clock: whoever is ended has had it.
#[test]
fn no_call_is_ended_before_its_time() {
    let limit = Duration::from_millis(10);
    let limits = Limits::default().call_timeout(limit);
    // On a busy machine it may take longer than that to start.
    let open = || ArtifactStore::open(bare(&[]).limits(limits.clone())).ok();
    let store = (0..100).find_map(|_| open()).expect("it starts in time");
    for _ in 0..1000 {
        let begun = Instant::now();
        if let Err(error) = store.get("k") {
            assert!(begun.elapsed() >= limit, "{error:?} after {:?}", begun.elapsed());
        }
    }
}

/// One clock ticks for all, and each looks at its own limit.
#[test]
fn a_short_limit_ends_nobody_elses_call() {
    let patient = Limits::default().call_timeout(Duration::from_secs(4));
    let (patient, impatient) = (open(patient), impatient());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            patient.delete("spin").unwrap_err();
            assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
        });
        for _ in 0..3 {
            impatient.delete("spin").unwrap_err();
        }
    });
}

#[test]
fn a_slow_reader_is_waited_for() {
    let store = impatient();
    let mut reader = store.read("flood", ReadOptions::default()).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    reader.read_exact(&mut vec![0; 8 << 20]).unwrap();
    drop(reader);
    serves(&store);
}

/// The clock stands still while a backend waits for the caller, not while it computes.
#[test]
fn what_never_ends_is_ended_even_where_the_caller_is_waited_for() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = impatient().read("flood-spin", ReadOptions::default()).unwrap();
        let read = std::io::copy(&mut reader, &mut std::io::sink());
        let _ = done.send(read.map_err(|error| error.kind()));
    });
    let read = is_done.recv_timeout(Duration::from_secs(60)).expect("it is ended");
    assert_eq!(read.unwrap_err(), std::io::ErrorKind::TimedOut);
}

#[test]
fn numbers_and_texts_out_of_all_bounds_are_taken_calmly() {
    let store = hostile();
    for key in ["end-of-time", "before-time"] {
        assert_eq!(store.stat(key).unwrap().size, u64::MAX);
    }
    let error = store.get("loud").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Other(_)), "{:.200}", error.to_string());
    serves(&store);
}

/// Why a backend stopped taking bytes is for it to say; where it waits to be told first, it is.
#[test]
fn a_backend_that_takes_not_all_bytes_says_why() {
    let store = hostile();
    let fails =
        |key: &str| store.write(key, &[7; 4 << 20][..], WriteOptions::default()).unwrap_err();
    for _ in 0..20 {
        let error = fails("full");
        assert!(matches!(error.kind(), ErrorKind::NoSpace(_)), "{error:?}");
    }
    let error = fails("deaf");
    let ErrorKind::Io(why) = error.kind() else { panic!("{error:?}") };
    assert_eq!(why.to_string(), "the backend did not take all bytes");
}

#[test]
fn a_write_counts_only_as_it_was_sealed() {
    let store = hostile();
    for (key, data) in [("unsealed", "123456789"), ("fewer", "x")] {
        let error = store.put(key, data).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{key}: {error:?}");
    }
    let error = store.put("other-checksum", "x").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error:?}");
    serves(&store);
}

#[test]
fn a_listing_of_what_was_not_asked_for_is_refused() {
    let store = hostile();
    for prefix in ["elsewhere", "control", "twice", "loop", "crowd"] {
        let error = store.list(prefix).find_map(Result::err).expect(prefix);
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{prefix}: {error:?}");
    }
}

#[test]
fn a_listing_that_goes_in_a_circle_ends() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let error = hostile().list("circle").find_map(Result::err);
        let _ = done.send(error.map(|error| error.into_kind()));
    });
    let error = is_done.recv_timeout(Duration::from_secs(60)).expect("it ends");
    assert!(matches!(error, Some(ErrorKind::Protocol(_))), "{error:?}");
}

#[test]
fn what_a_backend_without_streams_hands_back_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let small = Limits::default().buffer(1 << 20);
    let open = |limits: Limits| {
        let backend = artifact_store_tests::guest_on("plain", dir.path()).limits(limits);
        ArtifactStore::open(backend).unwrap()
    };
    let (large, small) = (open(Limits::default()), open(small));
    let is_too_large = |error: artifact_store::Error| {
        assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 0x10_0000 }), "{error:?}");
    };
    for size in [(1 << 20) + 1, 3 << 20, 20 << 20] {
        large.put("k", vec![7; size]).unwrap();
        is_too_large(small.get("k").unwrap_err());
        is_too_large(small.read("k", ReadOptions::default()).err().unwrap());
        is_too_large(small.put("k", vec![8; size]).unwrap_err());
        is_too_large(small.write("k", &vec![8; size][..], WriteOptions::default()).unwrap_err());
        assert_eq!(large.get("k").unwrap().len(), size);
    }
    small.put("k", vec![9; 1 << 20]).unwrap();
    assert_eq!(small.get("k").unwrap().len(), 1 << 20);
    // Wasmtime's own bound on what is handed over at once is 128 MiB, and is not in the way.
    let huge = open(Limits::default().buffer(130 << 20).memory(1 << 30));
    for size in [127 << 20, 128 << 20, 129 << 20] {
        huge.put("huge", vec![7; size]).unwrap();
        assert_eq!(huge.get("huge").unwrap().len(), size);
    }
}

/// To open a pipe waits for whoever writes into it, which no deadline ends.
#[cfg(unix)]
#[test]
fn a_pipe_among_the_files_makes_nobody_wait() {
    let dir = tempfile::tempdir().unwrap();
    // Where this backend keeps the artifact `k`; the other one is a link to it.
    let (pipe, link) = (dir.path().join("6b.data"), dir.path().join("6c.data"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    std::os::unix::fs::symlink("6b.data", &link).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let backend = guest_on("plain", dir.path());
    std::thread::spawn(move || {
        let store = ArtifactStore::open(backend).unwrap();
        let _ = done.send(["k", "l"].map(|key| store.get(key).unwrap_err().into_kind()));
    });
    for error in is_done.recv_timeout(Duration::from_secs(60)).expect("it does not wait") {
        assert!(matches!(error, ErrorKind::AccessDenied(_)), "{error:?}");
    }
}
