//! Bytes that go past a backend are the ones that would have gone through it: every behaviour of a
//! backend that passes a stream on, whole or in part, has the same outcome with the splice and
//! without it.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Limits, ReadOptions, WriteOptions};
use artifact_store_tests::{guest_on, logged};

/// Around the sizes at which something changes: nothing, what the guest takes, what comes with that,
/// a page, one chunk.
const SIZES: [usize; 14] =
    [0, 1, 999, 1000, 1001, 3047, 3048, 3049, 4095, 4096, 4097, 262_144, 262_145, 700_000];

fn stores(dir: &Path) -> [ArtifactStore; 2] {
    [true, false]
        .map(|splice| ArtifactStore::open(guest_on("passes_on", dir).splice(splice)).unwrap())
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 251) as u8).collect()
}

/// What came, and how it ended: an error by its kind alone.
type Seen = (Vec<u8>, Option<std::io::ErrorKind>);

fn read(store: &ArtifactStore, key: &str, offset: u64, length: Option<u64>) -> Seen {
    let mut data = Vec::new();
    let options = ReadOptions::default().offset(offset).length(length);
    let reader = store.read(key, options).map_err(std::io::Error::from);
    let ended = reader.and_then(|mut reader| reader.read_to_end(&mut data));
    (data, ended.err().map(|error| error.kind()))
}

fn get(store: &ArtifactStore, key: &str) -> Result<Vec<u8>, std::io::ErrorKind> {
    store.get(key).map(Vec::from).map_err(|error| std::io::Error::from(error).kind())
}

/// What reading the whole of `key` sees with both, having put `data` into its file before each.
fn reads(key: &str, data: &[u8]) -> Result<Vec<u8>, std::io::ErrorKind> {
    let dir = tempfile::tempdir().unwrap();
    let seen = stores(dir.path()).map(|store| {
        let reset = || fs::write(dir.path().join(key), data).unwrap();
        reset();
        let got = get(&store, key);
        reset();
        let (bytes, error) = read(&store, key, 0, None);
        match &got {
            Ok(got) => assert_eq!((got, error), (&bytes, None), "{key} {}", data.len()),
            Err(got) => assert_eq!(Some(*got), error, "{key} {}", data.len()),
        }
        got
    });
    assert_eq!(seen[0], seen[1], "{key} {}", data.len());
    let [seen, _] = seen;
    seen
}

#[test]
fn a_stream_passed_on_or_read_by_the_backend_brings_the_file() {
    for size in SIZES {
        let data = bytes(size);
        for key in ["as-it-is", "read-itself", "read-deaf"] {
            assert_eq!(reads(key, &data), Ok(data.clone()), "{key} {size}");
        }
    }
}

#[test]
fn a_stream_with_something_around_it_is_taken_as_it_comes() {
    for size in SIZES {
        let data = bytes(size);
        let around = [b"<", &*data, b">"].concat();
        assert_eq!(reads("read-more", &data), Ok(around), "{size}");
    }
}

#[test]
fn a_stream_passed_on_half_read_goes_on_where_the_backend_stopped() {
    for size in SIZES {
        let data = bytes(size);
        assert_eq!(reads("read-rest", &data), Ok(data[size.min(1000)..].into()), "{size}");
    }
}

/// Each outcome is the same either way, so that nothing else tells whether there is a splice.
#[test]
fn a_stream_passed_on_unread_or_half_read_goes_past_the_backend() {
    let dir = tempfile::tempdir().unwrap();
    let spliced = |backend: artifact_store::Backend, key: &str| {
        let store = ArtifactStore::open(backend).unwrap();
        // Less may come without a stream.
        store.put(key, vec![7; 100_000]).unwrap();
        let (data, text) = logged(|| store.get(key));
        data.unwrap();
        text.matches(": spliced").count()
    };
    for splice in [true, false] {
        let (own, other) = (dir.path().join("fs"), dir.path().join("passes_on"));
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(&other).unwrap();
        let expected = usize::from(splice);
        let fs = artifact_store::Backend::fs(own).splice(splice);
        assert_eq!(spliced(fs, "k"), expected, "the built-in backend");
        let passes_on = || guest_on("passes_on", &other).splice(splice);
        assert_eq!(spliced(passes_on(), "as-it-is"), expected);
        assert_eq!(spliced(passes_on(), "read-rest"), expected);
        assert_eq!(spliced(passes_on(), "read-itself"), 0);
    }
}

#[test]
fn a_stream_that_the_backend_drops_harms_nothing() {
    assert_eq!(reads("read-nothing", &bytes(5000)), Ok(Vec::new()));
}

#[test]
fn bytes_of_another_place_are_noticed_by_their_number() {
    for size in &SIZES[1..] {
        let seen = reads("read-elsewhere", &bytes(*size));
        assert_eq!(seen, Err(std::io::ErrorKind::InvalidData), "{size}");
    }
}

#[test]
fn a_file_that_is_cut_or_grows_meanwhile_is_no_artifact() {
    for size in SIZES {
        for key in ["read-cut", "read-grown"] {
            let seen = reads(key, &bytes(size));
            if key == "read-cut" && size == 0 {
                assert_eq!(seen, Ok(Vec::new()));
            } else {
                assert_eq!(seen, Err(std::io::ErrorKind::InvalidData), "{key} {size}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_says_so_through_the_backend() {
    let seen = reads("read-directory", &bytes(10));
    assert!(seen.is_err(), "{seen:?}");
}

#[test]
fn readers_of_one_directory_see_all_of_it_each() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..50).map(|n| format!("{n:02}")).collect();
    for name in &names {
        fs::write(dir.path().join(name), "").unwrap();
    }
    for store in stores(dir.path()) {
        let seen: Vec<_> = store.list("").map(Result::unwrap).collect();
        assert_eq!(seen.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), names);
        assert!(seen.iter().all(|entry| entry.size == 3), "{seen:?}");
    }
}

#[test]
fn ranges_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let data = bytes(700_000);
    for key in ["as-it-is", "read-itself"] {
        fs::write(dir.path().join(key), &data).unwrap();
        for store in stores(dir.path()) {
            for offset in [0, 1, 262_143, 262_144, 699_999, 700_000] {
                for length in [0, 1, 4096, 262_144, 262_145, 700_000] {
                    let end = (offset + length).min(data.len());
                    let seen = read(&store, key, offset as u64, Some(length as u64));
                    assert!(seen == (data[offset..end].into(), None), "{key} {offset} {length}");
                }
            }
            assert!(read(&store, key, 700_001, None).1.is_some());
        }
    }
}

/// The caller goes away with bytes waiting; the instance serves the next call.
#[test]
fn a_reader_that_gives_up_leaves_a_store_that_serves() {
    let dir = tempfile::tempdir().unwrap();
    let data = bytes(3 << 20);
    fs::write(dir.path().join("as-it-is"), &data).unwrap();
    let limits = Limits::default().concurrency(1);
    for splice in [true, false] {
        let backend = guest_on("passes_on", dir.path()).limits(limits.clone()).splice(splice);
        let store = ArtifactStore::open(backend).unwrap();
        for taken in [0, 1, 262_144, 300_000, 2 << 20] {
            let mut reader = store.read("as-it-is", ReadOptions::default()).unwrap();
            reader.read_exact(&mut vec![0; taken]).unwrap();
            drop(reader);
            assert!(store.get("as-it-is").unwrap() == data, "{taken}");
        }
    }
}

/// The pause is longer than the backend's time, which stands still meanwhile.
#[test]
fn a_reader_that_pauses_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = bytes(3 << 20);
    fs::write(dir.path().join("as-it-is"), &data).unwrap();
    let limits = Limits::default().call_timeout(std::time::Duration::from_secs(2));
    for splice in [true, false] {
        let backend = guest_on("passes_on", dir.path()).limits(limits.clone()).splice(splice);
        let store = ArtifactStore::open(backend).unwrap();
        let mut reader = store.read("as-it-is", ReadOptions::default()).unwrap();
        let mut seen = vec![0; 10];
        reader.read_exact(&mut seen).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(4));
        reader.read_to_end(&mut seen).unwrap();
        assert!(seen == data);
    }
}

#[test]
fn a_write_arrives_whole_whoever_moves_it() {
    let dir = tempfile::tempdir().unwrap();
    for store in stores(dir.path()) {
        for size in SIZES {
            let data = bytes(size);
            for key in ["as-it-is", "write-itself", "write-half"] {
                store.put(key, data.clone()).unwrap();
                assert!(fs::read(dir.path().join(key)).unwrap() == data, "{key} {size}");
                store.write(key, &data[..], WriteOptions::default()).unwrap();
                assert!(fs::read(dir.path().join(key)).unwrap() == data, "{key} {size}");
            }
        }
    }
}

/// A small artifact is read when it is opened: its reader keeps no call from its turn.
#[test]
fn open_readers_of_small_artifacts_keep_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().concurrency(1);
    let store =
        ArtifactStore::open(artifact_store::Backend::fs(dir.path()).limits(limits)).unwrap();
    store.put("k", "small").unwrap();
    let readers: Vec<_> =
        (0..3).map(|_| store.read("k", ReadOptions::default()).unwrap()).collect();
    assert_eq!(store.get("k").unwrap(), "small");
    for mut reader in readers {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "small");
    }
}

/// A writer that is dropped with bytes on their way leaves nothing, and its turn to the next one.
#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::default().concurrency(1);
    let store =
        ArtifactStore::open(artifact_store::Backend::fs(dir.path()).limits(limits)).unwrap();
    for size in [0, 1, 300_000, 3 << 20] {
        let mut writer = store.writer("k", WriteOptions::default()).unwrap();
        writer.write_all(&bytes(size)).unwrap();
        drop(writer);
        assert!(store.stat("k").is_err(), "{size}");
    }
    store.put("k", "x").unwrap();
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}
