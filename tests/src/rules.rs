//! The rules of the contract that can be seen from outside, as one list that every backend and
//! every way to reach it runs. A rule sees a fresh store.

use std::io::{Read, Write};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ErrorKind, ReadOptions, WriteOptions};

/// One rule: its sentence, and what shows it.
pub struct Rule {
    pub name: &'static str,
    /// What the backend has to offer beside put, get and delete.
    pub needs: Needs,
    pub check: fn(&ArtifactStore),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Streams,
    Inventory,
}

/// Keys that filesystems, protocols and naming schemes have mixed up.
const HARD_KEYS: [&str; 36] = [
    "L%3ABC.parquet",
    "L:BC.parquet",
    "%",
    "%25",
    "[foo]",
    "[tag]x",
    "中文",
    "a+b",
    "a b",
    "a/./b",
    "a//b",
    "a/b",
    "a/../b",
    "..",
    ".",
    "/",
    "/a",
    "a/",
    "a.",
    "a ",
    "a",
    "A",
    "CON",
    "con.txt",
    "COM¹",
    "a:$DATA",
    "-h",
    "--",
    "tmp",
    "tmp/x",
    "000/_a",
    "_a",
    "😀",
    "e\u{301}",
    "\u{e9}",
    "\\",
];

macro_rules! rules {
    ($($needs:ident $name:ident),* $(,)?) => {
        &[$(Rule { name: stringify!($name), needs: Needs::$needs, check: $name }),*]
    };
}

/// All rules.
pub const RULES: &[Rule] = rules![
    Nothing different_keys_are_different_artifacts,
    Nothing long_keys_are_kept_apart,
    Nothing what_is_no_key_is_refused,
    Nothing artifacts_of_any_size_come_back,
    Nothing put_overwrites,
    Nothing get_of_an_absent_key_is_not_found,
    Nothing delete_is_idempotent,
    Nothing ranges_follow_the_table,
    Nothing a_writer_that_is_not_committed_stores_nothing,
    Nothing a_failing_reader_stores_nothing,
    Nothing concurrent_writers_never_mix,
    Streams create_does_not_replace,
    Streams of_many_creators_one_wins,
    Nothing an_announced_size_is_kept,
    Streams a_reader_that_is_dropped_harms_nothing,
    Inventory listing_goes_by_the_bytes_of_the_prefix,
    Inventory listing_names_each_artifact_once,
    Inventory stat_tells_size_and_checksum,
];

fn different_keys_are_different_artifacts(store: &ArtifactStore) {
    for key in HARD_KEYS {
        store.put(key, key).unwrap();
    }
    for key in HARD_KEYS {
        assert_eq!(store.get(key).unwrap(), key, "{key}");
    }
    store.delete("a").unwrap();
    assert_eq!(store.get("A").unwrap(), "A");
    // Where 64 bits of a hash are all that a name keeps, these two share it.
    let (a, b) = (
        "session_0001_patch_before_after_d43dda031d98a443",
        "session_0001_patch_before_after_1e008442e5f29cce",
    );
    store.put(a, "a").unwrap();
    store.put(b, "b").unwrap();
    assert_eq!((store.get(a).unwrap(), store.get(b).unwrap()), ("a".into(), "b".into()));
}

fn long_keys_are_kept_apart(store: &ArtifactStore) {
    for letter in ["k", "K", "é", "中", "😀"] {
        for bytes in [80, 85, 120, 127, 128, 142, 143, 144, 200, 255, 256, 1023, 1024] {
            let mut key = letter.repeat(bytes / letter.len());
            key.push_str(&"x".repeat(bytes - key.len()));
            store.put(&key, key.clone()).unwrap();
            assert_eq!(store.get(&key).unwrap(), key);
        }
    }
    // The same beginning, another end.
    let long = "k".repeat(1000);
    for end in ["a", "b", "aa"] {
        store.put(&format!("{long}{end}"), end).unwrap();
    }
    for end in ["a", "b", "aa"] {
        assert_eq!(store.get(&format!("{long}{end}")).unwrap(), end);
    }
}

fn what_is_no_key_is_refused(store: &ArtifactStore) {
    let long = "k".repeat(1025);
    for key in ["", &long, "a\nb", "a\0", "\x1b[2J", "\u{7f}", "\u{85}"] {
        for error in [
            store.put(key, "x").unwrap_err(),
            store.get(key).unwrap_err(),
            store.delete(key).unwrap_err(),
            store.read(key, ReadOptions::default()).err().unwrap(),
            store.write(key, &b"x"[..], WriteOptions::default()).unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::InvalidKey(_)), "{key:?}: {error}");
        }
    }
}

/// Bytes of which no two stretches are alike.
fn bytes(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn artifacts_of_any_size_come_back(store: &ArtifactStore) {
    let edges = [8 << 10, 64 << 10, 256 << 10, 2 << 20];
    let sizes = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
    for size in [0, 1].into_iter().chain(sizes).chain([5_000_000]) {
        let data = bytes(size);
        let info = store.put("put", data.clone()).unwrap();
        assert_eq!(info.size, size as u64);
        assert_eq!(store.get("put").unwrap(), data, "{size}");
        store.write("written", &data[..], WriteOptions::default()).unwrap();
        let mut read = Vec::new();
        store.read("written", ReadOptions::default()).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == data, "{size}");
    }
}

fn put_overwrites(store: &ArtifactStore) {
    for data in ["first", "", "a longer third", "4"] {
        store.put("k", data).unwrap();
        assert_eq!(store.get("k").unwrap(), data);
    }
}

fn get_of_an_absent_key_is_not_found(store: &ArtifactStore) {
    store.put("ab", "x").unwrap();
    for error in
        [store.get("a").unwrap_err(), store.read("a", ReadOptions::default()).err().unwrap()]
    {
        assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}");
        assert_eq!(error.key(), Some("a"));
        assert!(!error.is_retryable());
    }
}

fn delete_is_idempotent(store: &ArtifactStore) {
    store.delete("k").unwrap();
    store.put("k", "x").unwrap();
    store.put("other", "y").unwrap();
    store.delete("k").unwrap();
    store.delete("k").unwrap();
    assert!(matches!(store.get("k").unwrap_err().kind(), ErrorKind::NotFound));
    assert_eq!(store.get("other").unwrap(), "y");
}

fn ranges_follow_the_table(store: &ArtifactStore) {
    store.put("empty", "").unwrap();
    store.put("five", "01234").unwrap();
    type Case = (&'static str, u64, Option<u64>, Option<&'static str>);
    let cases: [Case; 16] = [
        ("empty", 0, None, Some("")),
        ("empty", 0, Some(0), Some("")),
        ("empty", 0, Some(1), Some("")),
        ("empty", 1, None, None),
        ("five", 0, None, Some("01234")),
        ("five", 0, Some(0), Some("")),
        ("five", 0, Some(1), Some("0")),
        ("five", 2, Some(2), Some("23")),
        ("five", 2, Some(0), Some("")),
        ("five", 5, None, Some("")),
        ("five", 5, Some(0), Some("")),
        ("five", 6, Some(0), None),
        ("five", 4, Some(10), Some("4")),
        ("five", u64::MAX, Some(1), None),
        ("five", 1, Some(u64::MAX), Some("1234")),
        ("five", 0, Some(5), Some("01234")),
    ];
    for (key, offset, length, expected) in cases {
        let what = format!("{key} {offset} {length:?}");
        match (store.read(key, ReadOptions { offset, length }), expected) {
            (Ok(mut reader), Some(expected)) => {
                let mut text = String::new();
                reader.read_to_string(&mut text).expect(&what);
                assert_eq!(text, expected, "{what}");
            }
            (Err(error), None) => {
                assert!(matches!(error.kind(), ErrorKind::InvalidRange), "{what}: {error}");
            }
            (outcome, _) => panic!("{what}: {:?}", outcome.err()),
        }
    }
    // A range that ends in the middle of what is moved at once.
    let data = bytes(600_000);
    store.put("large", data.clone()).unwrap();
    for (offset, length) in [(0, 262_144), (1, 262_144), (262_143, 2), (300_000, 299_999)] {
        let mut part = Vec::new();
        let options = ReadOptions { offset, length: Some(length) };
        store.read("large", options).unwrap().read_to_end(&mut part).unwrap();
        assert!(part == data[offset as usize..(offset + length) as usize], "{offset} {length}");
    }
}

fn a_writer_that_is_not_committed_stores_nothing(store: &ArtifactStore) {
    store.put("k", "old").unwrap();
    for size in [0, 10, 1_000_000] {
        for key in ["k", "new"] {
            let mut writer = store.writer(key, WriteOptions::default()).unwrap();
            writer.write_all(&bytes(size)).unwrap();
            drop(writer);
            let mut writer = store.writer(key, WriteOptions::default()).unwrap();
            writer.write_all(&bytes(size)).unwrap();
            writer.flush().unwrap();
            writer.abort();
        }
        assert_eq!(store.get("k").unwrap(), "old");
        assert!(matches!(store.get("new").unwrap_err().kind(), ErrorKind::NotFound));
    }
}

fn a_failing_reader_stores_nothing(store: &ArtifactStore) {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| std::io::Error::other("pulled out"))?;
            into.fill(7);
            Ok(into.len())
        }
    }
    store.put("k", "old").unwrap();
    let error = store.write("k", Failing(5), WriteOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error}");
    assert_eq!(store.get("k").unwrap(), "old");
}

fn concurrent_writers_never_mix(store: &ArtifactStore) {
    const SIZE: usize = 300_000;
    store.put("k", vec![0; SIZE]).unwrap();
    std::thread::scope(|scope| {
        for letter in 1..=4_u8 {
            scope.spawn(move || {
                for _ in 0..5 {
                    store.put("k", vec![letter; SIZE]).unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let data = store.get("k").unwrap();
                    assert_eq!(data.len(), SIZE);
                    assert!(data.iter().all(|&byte| byte == data[0]));
                }
            });
        }
    });
}

fn create_does_not_replace(store: &ArtifactStore) {
    let options = WriteOptions { create: true, size: None };
    store.create("k", "first").unwrap();
    let again = store.create("k", "second").unwrap_err();
    let streamed = store.write("k", &b"third"[..], options).unwrap_err();
    for error in [again, streamed] {
        assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
    }
    assert_eq!(store.get("k").unwrap(), "first");
    store.delete("k").unwrap();
    store.write("k", &b"fourth"[..], options).unwrap();
    assert_eq!(store.get("k").unwrap(), "fourth");
}

fn of_many_creators_one_wins(store: &ArtifactStore) {
    for round in 0..10 {
        let key = format!("k{round}");
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let key = key.as_str();
            let creators: Vec<_> = (0..8_u8)
                .map(|n| scope.spawn(move || (n, store.create(key, vec![n; 1000]))))
                .collect();
            let outcomes = creators.into_iter().map(|creator| creator.join().unwrap());
            outcomes
                .filter_map(|(n, outcome)| match outcome {
                    Ok(_) => Some(n),
                    Err(error) => {
                        assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
                        None
                    }
                })
                .collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get(&key).unwrap(), vec![winners[0]; 1000]);
    }
}

fn an_announced_size_is_kept(store: &ArtifactStore) {
    let options = |size| WriteOptions { create: false, size: Some(size) };
    store.write("k", &b"12345"[..], options(5)).unwrap();
    for size in [0, 4, 6] {
        store.write("k", &b"abcde"[..], options(size)).unwrap_err();
        assert_eq!(store.get("k").unwrap(), "12345");
    }
}

fn a_reader_that_is_dropped_harms_nothing(store: &ArtifactStore) {
    let data = bytes(3_000_000);
    store.put("k", data.clone()).unwrap();
    for _ in 0..20 {
        let mut reader = store.read("k", ReadOptions::default()).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
    }
    assert!(store.get("k").unwrap() == data);
}

fn listing_goes_by_the_bytes_of_the_prefix(store: &ArtifactStore) {
    for key in ["a", "ab", "a/b", "a/c", "b", "A"] {
        store.put(key, key).unwrap();
    }
    for (prefix, expected) in [
        ("", vec!["A", "a", "a/b", "a/c", "ab", "b"]),
        ("a", vec!["a", "a/b", "a/c", "ab"]),
        ("a/", vec!["a/b", "a/c"]),
        ("a/b", vec!["a/b"]),
        ("a/b/", vec![]),
        ("z", vec![]),
    ] {
        let mut keys: Vec<_> = store.list(prefix).map(|entry| entry.unwrap().key).collect();
        keys.sort();
        assert_eq!(keys, expected, "{prefix:?}");
    }
}

fn listing_names_each_artifact_once(store: &ArtifactStore) {
    assert_eq!(store.list("").count(), 0);
    let mut expected: Vec<_> = HARD_KEYS.map(str::to_owned).into();
    expected.extend((0..1500).map(|n| format!("n/{n}")));
    expected.extend((0..5).map(|n| format!("{}{n}", "long".repeat(200))));
    for key in &expected {
        store.put(key, key.clone()).unwrap();
    }
    let mut seen = Vec::new();
    for (at, entry) in store.list("").enumerate() {
        let entry = entry.unwrap();
        assert_eq!(entry.size, entry.key.len() as u64);
        // A change to others meanwhile moves none of those that stay.
        if at == 1000 {
            for n in 0..100 {
                store.put(&format!("late/{n}"), "").unwrap();
            }
        }
        if !entry.key.starts_with("late/") {
            seen.push(entry.key);
        }
    }
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

/// The checksum of `123456789`, as the contract states it.
const CHECKSUM: u64 = 0xAE8B_1486_0A79_9888;

/// What an artifact's info has besides, where the backend keeps checksums.
pub fn stat_tells_the_checksum(store: &ArtifactStore) {
    let put = store.put("k", "123456789").unwrap();
    assert_eq!(put.checksum, Some(CHECKSUM));
    assert_eq!(store.stat("k").unwrap().checksum, put.checksum);
}

fn stat_tells_size_and_checksum(store: &ArtifactStore) {
    let put = store.put("k", "123456789").unwrap();
    let info = store.stat("k").unwrap();
    assert_eq!((info.size, put.size), (9, 9));
    // A backend may keep none, but no wrong one.
    assert!(info.checksum.is_none_or(|checksum| checksum == CHECKSUM), "{:x?}", info.checksum);
    // Some services tell the time of a write only to those who look.
    assert!(put.modified.is_none() || put.modified == info.modified);
    assert!(matches!(store.stat("absent").unwrap_err().kind(), ErrorKind::NotFound));
    for key in ["", "a\nb", &"k".repeat(1025)] {
        let error = store.stat(key).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidKey(_)), "{key:?}: {error}");
    }
}
