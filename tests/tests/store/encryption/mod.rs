//! Encryption between the callers of a store and its backend.

mod foreign;
mod hostile;

use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{
    Attributes, Backend, Encryption, Error, ErrorKind, Interface, KeyPair, ListOptions, LoadError,
    ReadOptions, SwapOptions, WriteOptions,
};
use artifact_store_tests::{eventually, guest_on};

const PIECE: usize = 64 * 1024;

/// What stands before the first piece: the line and the header, and the nonce of the payload.
const HEAD: usize = 2048 + 16;

/// A piece as it is stored.
const STORED_PIECE: usize = PIECE + 16;

fn encryption(pair: &KeyPair) -> Encryption {
    Encryption::new([pair.recipient()]).unwrap().identities(pair.identity()).unwrap()
}

/// A directory with an encrypted store, and the same one without encryption.
struct Place {
    dir: tempfile::TempDir,
    pair: KeyPair,
    store: ArtifactStore,
    below: ArtifactStore,
}

impl Place {
    fn new() -> Self {
        let (dir, pair) = (tempfile::tempdir().unwrap(), KeyPair::generate());
        let store = open(dir.path(), encryption(&pair));
        let below = ArtifactStore::open(Backend::fs(dir.path())).unwrap();
        Self { dir, pair, store, below }
    }
}

fn open(dir: &Path, encryption: Encryption) -> ArtifactStore {
    ArtifactStore::open(Backend::fs(dir).layer(encryption)).unwrap()
}

/// Bytes of which no two pieces are the same.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect()
}

fn stored_size(size: usize) -> u64 {
    (HEAD + size + 16 * size.div_ceil(PIECE).max(1)) as u64
}

fn is_corrupt(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt(_))
}

#[test]
fn artifacts_of_every_size_come_back_and_sizes_follow_from_sizes() {
    let place = Place::new();
    let sizes =
        [0, 1, 15, 16, 17, PIECE - 1, PIECE, PIECE + 1, 4 * PIECE, 5 * PIECE + 7, (3 << 20) + 5];
    for size in sizes {
        let data = bytes(size);
        let (key, written) = (format!("put/{size}"), format!("written/{size}"));
        let put = place.store.put(&key, data.clone()).unwrap();
        assert_eq!((put.size, put.checksum), (size as u64, None));
        let options = WriteOptions::default();
        let write = place.store.write(&written, &data[..], options).unwrap();
        assert_eq!(write.size, size as u64);
        for key in [&key, &written] {
            assert!(place.store.get(key).unwrap() == data, "{key}");
            let info = place.store.stat(key).unwrap();
            assert_eq!((info.size, info.checksum), (size as u64, None));
            assert_eq!(place.below.stat(key).unwrap().size, stored_size(size));
            let mut reader = place.store.read(key, ReadOptions::default()).unwrap();
            assert_eq!(reader.info(), &info);
            let mut read = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
            assert!(read == data, "{key}");
            // Nothing of it is there in the clear.
            let stored = place.below.get(key).unwrap();
            assert!(data.len() < 16 || !stored.windows(16).any(|part| part == &data[..16]));
        }
    }
    let listed = place.store.list("put/").map(|entry| entry.unwrap().size).collect::<Vec<_>>();
    assert_eq!(listed.len(), sizes.len());
    assert!(sizes.iter().all(|size| listed.contains(&(*size as u64))), "{listed:?}");
    let page = place.store.list_page("put/", ListOptions::default()).unwrap();
    assert!(page.entries.iter().all(|it| it.key == format!("put/{}", it.size)), "{page:?}");
}

#[test]
fn every_range_is_that_of_the_artifact() {
    let place = Place::new();
    for size in [0, 5, PIECE, 3 * PIECE, 3 * PIECE + 100] {
        let data = bytes(size);
        place.store.put("k", data.clone()).unwrap();
        let offsets = [0, 1, 5, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE, size, size + 1];
        let lengths = [None, Some(0), Some(1), Some(PIECE), Some(PIECE + 2), Some(usize::MAX)];
        for offset in offsets {
            for length in lengths {
                let options = ReadOptions::default()
                    .offset(offset as u64)
                    .length(length.map(|length| length as u64));
                let read = place.store.get_with("k", options);
                if offset > size {
                    let error = read.unwrap_err();
                    assert!(matches!(error.kind(), ErrorKind::InvalidRange), "{error}");
                    continue;
                }
                let end = offset.saturating_add(length.unwrap_or(size)).min(size);
                let (info, part) = read.unwrap();
                assert!(part == data[offset..end], "{size} {offset} {length:?}");
                assert_eq!(info.size, size as u64);
            }
        }
        for suffix in [0, 1, 99, PIECE, PIECE + 1, 9 * PIECE] {
            let options = ReadOptions::default().suffix(suffix as u64);
            let (_, part) = place.store.get_with("k", options).unwrap();
            assert!(part == data[size.saturating_sub(suffix)..], "{size} {suffix}");
        }
    }
}

#[test]
fn modes_versions_and_attributes_pass_through() {
    let place = Place::new();
    let attributes = Attributes::new().with("content-type", "text/plain");
    let options = WriteOptions::default().create(true).attributes(attributes.clone());
    let first = place.store.put_with("k", "1", options.clone()).unwrap();
    assert_eq!(first.attributes, attributes);
    let error = place.store.put_with("k", "2", options).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AlreadyExists), "{error}");
    let version = first.version.unwrap();
    let second = place.store.put_if("k", "2", &version).unwrap();
    let error = place.store.put_if("k", "3", &version).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
    assert_eq!(place.store.get("k").unwrap(), "2");
    assert_eq!(place.store.stat("k").unwrap().version, second.version);
    // An announced size is that of the artifact.
    let wrong = place.store.write("k", &b"four"[..], WriteOptions::default().size(5));
    assert!(wrong.is_err());
    place.store.write("k", &b"four"[..], WriteOptions::default().size(4)).unwrap();
    // An abandoned write leaves what is there.
    let mut writer = place.store.writer("k", WriteOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, &bytes(300_000)).unwrap();
    writer.abort();
    assert_eq!(place.store.get("k").unwrap(), "four");
    let last = place.store.stat("k").unwrap().version.unwrap();
    let error = place.store.delete_if("k", &version).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConditionFailed), "{error}");
    place.store.delete_if("k", &last).unwrap();
    let error = place.store.get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}");
}

#[test]
fn a_backend_without_streams_is_encrypted_too() {
    let (dir, pair) = (tempfile::tempdir().unwrap(), KeyPair::generate());
    let plain = || guest_on("plain", dir.path());
    let store = ArtifactStore::open(plain().layer(encryption(&pair))).unwrap();
    let below = ArtifactStore::open(plain()).unwrap();
    for size in [0, 10, PIECE, 2 * PIECE + 1] {
        let data = bytes(size);
        assert_eq!(store.put("k", data.clone()).unwrap().checksum, None);
        assert!(store.get("k").unwrap() == data);
        assert_eq!(below.get("k").unwrap().len() as u64, stored_size(size));
        let suffix = ReadOptions::default().suffix(3);
        assert!(store.get_with("k", suffix).unwrap().1 == data[size.saturating_sub(3)..]);
    }
    let mut writer = store.writer("w", WriteOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, b"by a writer").unwrap();
    writer.commit().unwrap();
    assert_eq!(store.get("w").unwrap(), "by a writer");
    let mut stored = below.get("k").unwrap().to_vec();
    *stored.last_mut().unwrap() ^= 1;
    below.put("k", stored).unwrap();
    assert!(is_corrupt(&store.get("k").unwrap_err()));
}

#[test]
fn a_copy_is_decrypted_and_encrypted_for_its_own_key() {
    let place = Place::new();
    assert!(!place.store.offers(Interface::Copying));
    let data = bytes(2 * PIECE + 3);
    place.store.put("a", data.clone()).unwrap();
    let info = place.store.copy("a", "b").unwrap();
    assert_eq!(info.size, data.len() as u64);
    assert!(place.store.get("b").unwrap() == data);
    assert!(place.below.get("a").unwrap() != place.below.get("b").unwrap());
    // One that the backend made is bound to the other key.
    place.below.copy("a", "c").unwrap();
    let error = place.store.get("c").unwrap_err();
    assert!(is_corrupt(&error) && error.to_string().contains("another key"), "{error}");
}

#[test]
fn only_an_identity_of_a_recipient_reads() {
    let place = Place::new();
    let [friend, stranger] = [(); 2].map(|()| KeyPair::generate());
    let both = Encryption::new([place.pair.recipient(), friend.recipient()]).unwrap();
    let store = open(place.dir.path(), both.clone());
    store.put("k", "for both").unwrap();
    for reader in [&place.pair, &friend] {
        let store = open(place.dir.path(), both.clone().identities(reader.identity()).unwrap());
        assert_eq!(store.get("k").unwrap(), "for both");
    }
    let with_stranger = both.clone().identities(stranger.identity()).unwrap();
    for (encryption, said) in [(both, "no identity for"), (with_stranger, "no identity of this")] {
        let store = open(place.dir.path(), encryption);
        let read = |options| store.get_with("k", options).unwrap_err();
        for error in [
            store.get("k").unwrap_err(),
            read(ReadOptions::default().suffix(1)),
            store.copy("k", "copy").unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::AccessDenied(_)), "{error}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(place.pair.recipient()) && text.contains(said), "{text}");
            assert!(!text.contains("AGE-SECRET-KEY"), "{text}");
        }
        assert_eq!(store.stat("k").unwrap().size, 8);
        assert_eq!(store.list("").count(), 1);
        store.put("stored without reading", "x").unwrap();
        store.delete("stored without reading").unwrap();
    }
}

#[test]
fn keys_that_are_none_are_refused_and_secrets_are_shown_nowhere() {
    let pair = KeyPair::generate();
    let shown =
        format!("{pair:?} {:?} {:?}", encryption(&pair), Backend::fs("d").layer(encryption(&pair)));
    assert!(shown.contains(pair.recipient()) && !shown.contains("AGE-SECRET"), "{shown}");
    let one = Encryption::new([pair.recipient()]).unwrap();
    let many: Vec<_> = (0..17).map(|_| KeyPair::generate().recipient().to_owned()).collect();
    for (wrong, said) in [
        (Encryption::new(["age1nothing"]), "recipient 1 is no public key"),
        (
            Encryption::new([pair.identity()]),
            "recipient 1 is no public key `age1…` of X25519: it is a secret key",
        ),
        (Encryption::new([pair.recipient(), pair.recipient()]), "recipient 2 is there twice"),
        (Encryption::new([""; 0]), "no recipient"),
        (Encryption::new(&many), "the limit is 16"),
        (one.clone().identities(pair.recipient()), "line 1 "),
        (one.clone().identities("# nothing\n\n"), "no secret key"),
        (one.clone().identities(&pair.identity()[..60]), "line 1 "),
    ] {
        let error = wrong.unwrap_err();
        assert!(matches!(error, LoadError::Encryption(_)));
        let text = format!("{error} {error:?}");
        assert!(text.contains(said) && !text.contains(&pair.identity()[20..40]), "{text}");
    }
    let error = one.clone().identity_file("/no/such/file").unwrap_err();
    assert!(matches!(error, LoadError::Identities { .. }), "{error}");
    // As many as there is room for.
    let dir = tempfile::tempdir().unwrap();
    let most = Encryption::new(&many[..15]).unwrap();
    for _ in 0..20 {
        // age adds something of random length each time.
        open(dir.path(), most.clone()).put("k", "x").unwrap();
    }
    let twice = Backend::fs(dir.path()).layer(one.clone()).layer(one);
    let error = ArtifactStore::open(twice).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Layers(_))), "{error}");
}

#[test]
fn a_store_is_swapped_to_encryption_and_back() {
    let place = Place::new();
    place.store.put("k", "secret").unwrap();
    let plain = || Backend::fs(place.dir.path());
    let encrypted = place.store.swap(plain(), SwapOptions::default()).unwrap();
    assert_eq!(place.store.get("k").unwrap().len() as u64, stored_size(6));
    place.store.put("plain", "x").unwrap();
    place.store.swap_loaded(encrypted, SwapOptions::default());
    assert_eq!(place.store.get("k").unwrap(), "secret");
    // What is not encrypted is listed, so that it can be found and deleted, and not handed out.
    let entry = place.store.list("plain").next().unwrap().unwrap();
    assert_eq!((&*entry.key, entry.size), ("plain", 0));
    assert!(is_corrupt(&place.store.get("plain").unwrap_err()));
    assert!(is_corrupt(&place.store.stat("plain").unwrap_err()));
    place.below.put("plain", bytes(4000)).unwrap();
    let error = place.store.get("plain").unwrap_err();
    assert!(error.to_string().contains("not an encrypted artifact"), "{error}");
    place.store.delete("plain").unwrap();
}

#[test]
fn a_watched_store_follows_its_layers_and_its_identities() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("d")).unwrap();
    let pairs = [(); 2].map(|()| KeyPair::generate());
    let write = |name: &str, text: &str| {
        std::fs::write(path("new"), text).unwrap();
        std::fs::rename(path("new"), path(name)).unwrap();
    };
    let configure = |layers: &str| {
        let store = "[stores.main]\nbackend = 'fs'\ndirectories = [{ host = 'd' }]";
        write("stores.toml", &format!("{store}\nlayers = [{layers}]\n"));
    };
    configure("");
    write("key.txt", pairs[0].identity());
    let options = SwapOptions::default();
    let (store, watch) = ArtifactStore::open_watched(path("stores.toml"), "main", options).unwrap();
    store.put("plain", "x").unwrap();
    let recipients = pairs.each_ref().map(|pair| format!("'{}'", pair.recipient())).join(", ");
    configure(&format!(
        "{{ encrypt = {{ recipients = [{recipients}], identity-file = 'key.txt' }} }}"
    ));
    eventually("encryption", || watch.status().swaps == 1);
    store.put("k", "for both").unwrap();
    let below = ArtifactStore::open(Backend::fs(path("d"))).unwrap();
    assert_eq!(below.get("k").unwrap().len() as u64, stored_size(8));
    assert_eq!(below.get("plain").unwrap(), "x");
    // Another identity reads on; a file that has none changes nothing.
    write("key.txt", "nothing");
    eventually("a refusal", || watch.status().last_error.is_some());
    assert_eq!(store.get("k").unwrap(), "for both");
    write("key.txt", pairs[1].identity());
    eventually("the other identity", || watch.status().swaps == 2);
    assert_eq!(store.get("k").unwrap(), "for both");
    configure("");
    eventually("no encryption", || watch.status().swaps == 3);
    assert_eq!(store.get("plain").unwrap(), "x");
}

#[test]
fn a_large_artifact_passes_in_bounded_memory() {
    /// Bytes that are there only when they are read.
    struct Many(u64);
    impl std::io::Read for Many {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let size = into.len().min(usize::try_from(self.0).unwrap());
            into[..size].fill((self.0 >> 16) as u8);
            self.0 -= size as u64;
            Ok(size)
        }
    }
    const SIZE: u64 = 24 << 20;
    let (dir, pair) = (tempfile::tempdir().unwrap(), KeyPair::generate());
    // Less than the artifact, and a backend that may have even less.
    let limits = artifact_store::Limits::default().buffer(1 << 20).memory(8 << 20);
    let backend = Backend::fs(dir.path()).limits(limits).layer(encryption(&pair));
    let store = ArtifactStore::open(backend).unwrap();
    let info = store.write("k", Many(SIZE), WriteOptions::default()).unwrap();
    assert_eq!(info.size, SIZE);
    let error = store.get("k").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { limit } if *limit == 1 << 20), "{error}");
    let mut reader = store.read("k", ReadOptions::default()).unwrap();
    let (mut expected, mut chunk) = (Many(SIZE), vec![0; 1 << 20]);
    let mut same = vec![0; 1 << 20];
    for _ in 0..SIZE >> 20 {
        std::io::Read::read_exact(&mut reader, &mut chunk).unwrap();
        std::io::Read::read_exact(&mut expected, &mut same).unwrap();
    }
    assert_eq!(std::io::Read::read(&mut reader, &mut chunk).unwrap(), 0);
}
