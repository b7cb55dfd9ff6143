//! Component layers: what a stack of them serves, and what it says of the one that fails.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{
    Attributes, Backend, ErrorKind, Interface, Limits, LoadError, Mode, ReadOptions, SwapOptions,
    WriteOptions,
};
use artifact_store_tests::{artifact_files, bare, guest, logged_at};
use tracing::Level;

/// The built-in backend, without the cost of its syncs.
fn fs(dir: &Path) -> Backend {
    Backend::fs(dir).map_grants(|it| it.env("ARTIFACT_STORE_SYNC", "off")).sweep_older_than(None)
}

fn prefix(prefix: &str) -> Backend {
    Backend::from_file(guest("prefix")).map_grants(|it| it.env("PREFIX", prefix))
}

fn odd(what: &str) -> Backend {
    Backend::from_file(guest("odd_layer")).map_grants(|it| it.env("ODD", what))
}

fn plain() -> Backend {
    Backend::from_file(guest("layer"))
}

fn open(backend: Backend) -> ArtifactStore {
    ArtifactStore::open(backend).unwrap()
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 251) as u8).collect()
}

fn keys(store: &ArtifactStore, prefix: &str) -> Vec<String> {
    let mut keys: Vec<_> = store.list(prefix).map(|entry| entry.unwrap().key).collect();
    keys.sort();
    keys
}

/// It drops the stream, and then asks for the seal, which comes when all bytes are taken or dropped.
#[test]
fn a_store_below_that_takes_no_more_bytes_keeps_no_layer_waiting() {
    for (layer, key) in [(plain(), "deaf"), (prefix("de"), "af")] {
        let store = open(Backend::from_file(guest("hostile")).layer(layer));
        let begun = Instant::now();
        let error = store.put(key, bytes(3 << 20)).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
        assert!(!matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
    }
}

#[test]
fn a_prefix_is_a_store_within_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let whole = open(fs(dir.path()));
    whole.put("other/k", "not seen").unwrap();
    whole.put("team", "not seen").unwrap();
    let scope = open(fs(dir.path()).layer(prefix("team/")));
    scope.put("k", "one").unwrap();
    scope.put("a/b", "two").unwrap();
    assert_eq!(scope.get("k").unwrap(), "one");
    assert_eq!(keys(&scope, ""), ["a/b", "k"]);
    assert_eq!(keys(&scope, "a"), ["a/b"]);
    assert_eq!(keys(&whole, ""), ["other/k", "team", "team/a/b", "team/k"]);
    assert_eq!(scope.stat("k").unwrap(), whole.stat("team/k").unwrap());
    for outside in ["../other/k", "other/k", "/k", "team/k"] {
        assert!(matches!(scope.get(outside).unwrap_err().kind(), ErrorKind::NotFound));
    }
    scope.delete("k").unwrap();
    assert!(matches!(whole.get("team/k").unwrap_err().kind(), ErrorKind::NotFound));
    assert_eq!(whole.get("team").unwrap(), "not seen");
    // A key is lengthened and never shortened.
    let longest = "k".repeat(1024 - "team/".len());
    scope.put(&longest, "fits").unwrap();
    assert_eq!(whole.get(&format!("team/{longest}")).unwrap(), "fits");
    let error = scope.put(&"k".repeat(1024), "does not fit").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidKey(_)), "{error}");
    // What it does not pass on is not there.
    assert!(!scope.offers(Interface::Maintenance) && scope.offers(Interface::Streams));
}

#[test]
fn prefixes_stand_on_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let scope = open(fs(dir.path()).layer(prefix("outer/")).layer(prefix("inner/")));
    scope.put("k", "v").unwrap();
    assert_eq!(keys(&open(fs(dir.path())), ""), ["outer/inner/k"]);
    assert_eq!(keys(&scope, ""), ["k"]);
    let levels: Vec<_> =
        std::iter::successors(Some(scope), ArtifactStore::below).map(|it| it.backend()).collect();
    assert_eq!(levels.len(), 3);
    assert_eq!(levels[2].name(), "fs");
    assert_eq!(levels[0].digest(), levels[1].digest());
}

#[test]
fn every_verb_goes_through_a_stack() {
    let dir = tempfile::tempdir().unwrap();
    for layers in [vec!["nothing"], vec!["copies"], vec!["buffers"], vec!["nothing", "copies"]] {
        let mut backend = fs(dir.path());
        for what in &layers {
            backend = backend.layer(odd(what));
        }
        let store = open(backend);
        for size in [0, 1, 1000, 262_144, 262_145, 1_500_000] {
            let (data, key) = (bytes(size), format!("k{size}"));
            let put = store.put(&key, data.clone()).unwrap();
            assert_eq!(store.get(&key).unwrap(), data, "{layers:?} {size}");
            assert_eq!(store.stat(&key).unwrap(), put);
            let mut writer = store.writer(&key, WriteOptions::default()).unwrap();
            for part in data.chunks(100_000) {
                writer.write_all(part).unwrap();
            }
            writer.commit().unwrap();
            let mut read = Vec::new();
            let mut reader = store.read(&key, ReadOptions::default()).unwrap();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, data, "{layers:?} {size}");
            let half = size as u64 / 2;
            for (offset, length) in [(half, None), (0, Some(half)), (half, Some(7)), (0, Some(0))] {
                let options = ReadOptions::default().offset(offset).length(length);
                let (_, part) = store.get_with(&key, options).unwrap();
                let end = length.map_or(size, |length| size.min((offset + length) as usize));
                assert_eq!(part, data[offset as usize..end], "{layers:?} {size} {options:?}");
            }
            let options = ReadOptions::default().offset(size as u64 + 1);
            let error = store.get_with(&key, options).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidRange), "{error}");
        }
        let attributes: Attributes = [("content-type", "text/plain")].into_iter().collect();
        let options = WriteOptions::default().attributes(attributes.clone());
        let stored = store.put_with("with", "attributes", options).unwrap();
        assert_eq!(store.stat("with").unwrap().attributes, attributes);
        let error = store.put_new("with", "again").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
        let version = stored.version.unwrap();
        store.put_if("with", "version", &version).unwrap();
        let error = store.put_if("with", "version", &version).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
        store.copy_with("with", "copy", Mode::Overwrite).unwrap();
        assert_eq!(store.get("copy").unwrap(), "version");
        assert_eq!(keys(&store, "k").len(), 6);
        let mut writer = store.writer("never", WriteOptions::default()).unwrap();
        writer.write_all(&bytes(300_000)).unwrap();
        // The level that copies has bytes that nobody takes any more.
        let begun = Instant::now();
        writer.abort();
        assert!(begun.elapsed() < Duration::from_secs(20), "{layers:?} {:?}", begun.elapsed());
        assert!(matches!(store.stat("never").unwrap_err().kind(), ErrorKind::NotFound));
        std::fs::write(dir.path().join("foreign.txt"), "x").unwrap();
        let found: Vec<_> = store.audit().map(|found| found.unwrap().name).collect();
        assert_eq!(found, ["foreign.txt"]);
        store.sweep(Duration::ZERO).unwrap();
        store.delete("with").unwrap();
    }
}

#[test]
fn a_stream_that_layers_hand_on_goes_past_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(fs(dir.path()).layer(plain()).layer(prefix("p/")));
    let data = bytes(3 << 20);
    store.put("k", data.clone()).unwrap();
    // What is below a layer may run on other threads, whose events are not seen here.
    let spliced = |store: &ArtifactStore, outermost: &str, size: u64| {
        let ((), log) = logged_at(Level::TRACE, || {
            let options = ReadOptions::default().length(size);
            assert_eq!(store.get_with("k", options).unwrap().1, data[..size as usize]);
        });
        let seen = log.lines().filter(|line| line.ends_with("spliced") && line.contains(outermost));
        seen.count()
    };
    assert_eq!(spliced(&store, "prefix.wasm", 3 << 20), 1);
    assert_eq!(spliced(&store, "prefix.wasm", 100_000), 1);
    // It comes without a stream.
    assert_eq!(spliced(&store, "prefix.wasm", 1000), 0);
    // One that writes the bytes itself.
    let copies = open(fs(dir.path()).layer(odd("copies")));
    copies.put("k", data.clone()).unwrap();
    assert_eq!(spliced(&copies, "odd_layer.wasm", 3 << 20), 0);
    let mut reader = store.read("k", ReadOptions::default()).unwrap();
    let mut start = [0; 10];
    reader.read_exact(&mut start).unwrap();
    drop(reader);
    assert_eq!(store.get("k").unwrap(), data);
}

#[test]
fn wrong_bytes_of_a_layer_are_never_right() {
    let dir = tempfile::tempdir().unwrap();
    let below = open(fs(dir.path()));
    let data = bytes(700_000);
    below.put("k", data.clone()).unwrap();
    below.put("k-else", vec![9; 700_000]).unwrap();
    for what in ["flips", "elsewhere"] {
        let store = open(fs(dir.path()).layer(odd(what)));
        let error = store.get("k").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{what}: {error}");
        assert!(error.backend().ends_with("odd_layer.wasm"), "{what}: {error}");
    }
    // Fewer bytes than are due.
    let store = open(fs(dir.path()).layer(odd("shifts")));
    let error = store.get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
    // An artifact of its own.
    let store = open(fs(dir.path()).layer(odd("takes-some")));
    assert_eq!(store.get("k").unwrap(), data[1000..]);
    // The seal of the caller goes down to the storage, which finds what the layer did.
    let store = open(fs(dir.path()).layer(odd("flips")));
    store.put("new", data.clone()).unwrap();
    let error = below.get("new").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
    // What is damaged below is not passed on as right by one that says so.
    let file = artifact_files(dir.path())
        .into_iter()
        .find(|file| {
            std::fs::metadata(file).unwrap().len() > 700_000 && {
                let read = std::fs::read(file).unwrap();
                read.windows(1000).any(|some| some == &data[..1000])
            }
        })
        .unwrap();
    let mut damaged = std::fs::read(&file).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    for what in ["hides-failures", "nothing"] {
        let store = open(fs(dir.path()).layer(odd(what)));
        let error = store.get("k").unwrap_err();
        let is_right = match what {
            "nothing" => matches!(error.kind(), ErrorKind::Corrupt(_)) && error.backend() == "fs",
            _ => matches!(error.kind(), ErrorKind::Protocol(_)),
        };
        assert!(is_right, "{what}: {error:?}");
    }
}

#[test]
fn an_error_names_the_level_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    // A trap below two layers.
    let trap = [("GET", "unreachable"), ("DELETE", "unreachable")];
    let store = open(fs(dir.path()).layer(odd("traps")).layer(plain()));
    let error = store.get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
    assert!(error.backend().ends_with("odd_layer.wasm"), "{error}");
    assert_eq!(error.key(), Some("k"));
    let error = store.delete("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
    // The backend itself has no streams, and so cannot be below such a layer.
    let error = ArtifactStore::open(bare(&trap).layer(plain())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`artifact:storage/streams@0.1.0`"), "{text}");
    assert!(text.contains("`bare`"), "{text}");
}

#[test]
fn a_layer_is_bounded_as_a_backend_is() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default()
        .call_timeout(Duration::from_millis(300))
        .turn_timeout(Duration::from_millis(300))
        .memory(64 << 20);
    for what in ["loops", "hangs", "asks-for-ever", "grows"] {
        let layer = odd(what).limits(limits.clone());
        let store = open(fs(dir.path()).limits(limits.clone()).layer(layer));
        let begun = Instant::now();
        let error = store.get("k").unwrap_err();
        let kind = error.kind();
        let is_right = match what {
            "grows" => matches!(kind, ErrorKind::Exhausted { .. } | ErrorKind::Trap(_)),
            _ => matches!(kind, ErrorKind::Timeout(_)),
        };
        assert!(is_right, "{what}: {error:?}");
        assert!(error.backend().ends_with("odd_layer.wasm"), "{what}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
    }
    let layer = odd("keeps-the-end").limits(limits.clone().pause_timeout(Duration::from_secs(1)));
    let store = open(fs(dir.path()).limits(limits.clone()).layer(layer));
    let error = store.put("k", "v").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
    // A lie about a write is believed by nobody who reads.
    let store = open(fs(dir.path()).layer(odd("lies")));
    let _ = store.put("k", "v");
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
}

/// A call holds its turn on each level, and one level never waits for another's turn.
#[test]
fn one_turn_on_each_level_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().concurrency(1);
    let layers = [odd("copies"), prefix("a/"), plain()];
    let stack = layers.into_iter().fold(fs(dir.path()).limits(limits.clone()), |stack, layer| {
        stack.layer(layer.limits(limits.clone()))
    });
    let store = open(stack);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..5 {
                    let (key, data) = (format!("{n}/{round}"), bytes(300_000 + n));
                    store.put(&key, data.clone()).unwrap();
                    let mut reader = store.read(&key, ReadOptions::default()).unwrap();
                    // Another call comes between.
                    store.stat(&key).unwrap();
                    let mut read = Vec::new();
                    reader.read_to_end(&mut read).unwrap();
                    assert_eq!(read, data);
                }
            });
        }
    });
    assert_eq!(keys(&store, "").len(), 20);
}

#[test]
fn what_stands_in_the_wrong_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |backend: Backend| {
        let error = ArtifactStore::open(backend).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Load(_)), "{error:?}");
        error.to_string()
    };
    let text = refused(plain());
    assert!(text.contains("needs a backend below it"), "{text}");
    let text = refused(fs(dir.path()).layer(fs(dir.path())));
    assert!(text.contains("is a backend and no layer"), "{text}");
    let text = refused(fs(dir.path()).layer(plain().layer(plain())));
    assert!(text.contains("no layers of its own"), "{text}");
    let text = refused(fs(dir.path()).layer(plain().pin("00")));
    assert!(text.contains("SHA-256") && text.contains("layer.wasm"), "{text}");
    let error = ArtifactStore::open(fs(dir.path()).layer(Backend::from_file(guest("prefix"))));
    let error = error.unwrap_err();
    let ErrorKind::Load(LoadError::Settings(problems)) = error.kind() else { panic!("{error:?}") };
    assert_eq!(problems[0].name, "PREFIX");
    // It can be asked what it reads, with nothing below.
    let asked = Backend::from_file(guest("prefix"));
    let settings =
        tokio::runtime::Runtime::new().unwrap().block_on(asked.settings()).unwrap().unwrap();
    assert_eq!(settings[0].name, "PREFIX");
}

#[test]
fn a_stack_is_swapped_as_a_whole_or_below_a_layer() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(fs(one.path()).layer(prefix("p/")));
    store.put("k", "one").unwrap();
    // Below the layer only.
    let below = store.below().unwrap();
    assert_eq!(below.get("p/k").unwrap(), "one");
    let before = below.swap(fs(two.path()), SwapOptions::default()).unwrap();
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
    store.put("k", "two").unwrap();
    below.swap_loaded(before, SwapOptions::default());
    assert_eq!(store.get("k").unwrap(), "one");
    // As a whole, on trial: the faults of each level count.
    let trial = SwapOptions::default().trial_calls(2);
    store.swap(fs(two.path()).layer(prefix("p/")), trial).unwrap();
    assert_eq!(store.get("k").unwrap(), "two");
    // Its first call is part of the swap.
    let error = store.swap(fs(one.path()).layer(odd("traps")).layer(plain()), trial);
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:?}");
    store.swap(fs(one.path()).layer(odd("flips")).layer(prefix("p/")), trial).unwrap();
    for _ in 0..2 {
        store.get("k").unwrap_err();
    }
}
