//! Damage to an artifact's file: it is told, it is never handed out as right, and it harms no
//! other artifact.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, FindingKind, Grants, ReadOptions};
use artifact_store_tests::{artifact_files, cli};
use tempfile::TempDir;

const PAYLOAD: &[u8] = b"the bytes that were put";
const NEIGHBOUR: &str = "neighbour";

/// A key whose name spells it out, and one whose name is a hash.
fn keys() -> [String; 2] {
    ["k".into(), "long/".repeat(60)]
}

/// A store of one artifact, which is about to be damaged, and a neighbour.
struct Scene {
    dir: TempDir,
    store: ArtifactStore,
    key: String,
    file: PathBuf,
    whole: Vec<u8>,
}

impl Scene {
    fn new(key: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Thousands of puts: none of them has to outlive a crash.
        let grants = Grants::none().read_write(dir.path(), "/").env("ARTIFACT_STORE_SYNC", "off");
        let store = ArtifactStore::open(Backend::fs(dir.path()).grants(grants)).unwrap();
        store.put(key, PAYLOAD).unwrap();
        let file = only_file(dir.path());
        store.put(NEIGHBOUR, "untouched").unwrap();
        let whole = fs::read(&file).unwrap();
        Self { dir, store, key: key.into(), file, whole }
    }

    /// Where the payload begins in the file.
    fn start(&self) -> usize {
        self.whole.len() - PAYLOAD.len()
    }

    fn read(&self) -> artifact_store::Result<Vec<u8>> {
        let mut reader = self.store.read(&self.key, ReadOptions::default())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next_chunk()? {
            bytes.extend(chunk);
        }
        Ok(bytes)
    }

    /// Puts `bytes` in the place of the file and sees that no way to read it takes them for
    /// the artifact.
    fn is_corrupt_as(&self, bytes: &[u8], what: &str) {
        fs::write(&self.file, bytes).unwrap();
        is_corrupt(self.store.get(&self.key), what);
        is_corrupt(self.read(), what);
        // Its header alone says nothing of the payload's bytes.
        let header_is_whole =
            bytes.len() == self.whole.len() && bytes.starts_with(&self.whole[..self.start()]);
        match self.store.stat(&self.key) {
            Ok(info) => {
                assert!(header_is_whole, "{what}: {info:?}");
                assert_eq!(info.size, PAYLOAD.len() as u64, "{what}");
            }
            outcome => is_corrupt(outcome, what),
        }
        assert_eq!(self.store.get(NEIGHBOUR).unwrap(), "untouched", "{what}");
    }

    /// The damage, as `what` left it, is named, the listing goes on, and both `put` and `delete`
    /// make the key good again.
    fn is_repaired(&self, what: &str) {
        let damaged = fs::read(&self.file).unwrap();
        let keys = self.store.list("").map(|entry| entry.unwrap().key);
        let others: Vec<_> = keys.filter(|key| *key != self.key).collect();
        assert_eq!(others, [NEIGHBOUR], "{what}");
        if !damaged.starts_with(&self.whole[..self.start()]) || damaged.len() != self.whole.len() {
            let findings: Vec<_> = self.store.audit().map(Result::unwrap).collect();
            let name = self.file.strip_prefix(self.dir.path()).unwrap().to_str().unwrap();
            assert_eq!(findings.len(), 1, "{what}: {findings:?}");
            let finding = &findings[0];
            assert_eq!((finding.kind, &*finding.name), (FindingKind::Damaged, name), "{what}");
        }
        self.store.delete(&self.key).unwrap();
        let absent = self.store.get(&self.key).unwrap_err();
        assert!(matches!(absent.kind(), ErrorKind::NotFound), "{what}: {absent}");
        fs::write(&self.file, damaged).unwrap();
        self.store.put(&self.key, PAYLOAD).unwrap();
        let (again, start) = (fs::read(&self.file).unwrap(), self.start());
        // All but the random number of the generation, and the checksum of it.
        assert_eq!(again[..32], self.whole[..32], "{what}");
        assert_eq!(again[48..start - 8], self.whole[48..start - 8], "{what}");
        assert_eq!(again[start..], self.whole[start..], "{what}");
        assert_eq!(self.store.get(&self.key).unwrap(), PAYLOAD, "{what}");
        assert_eq!(self.store.audit().count(), 0, "{what}");
    }
}

fn is_corrupt<T: std::fmt::Debug>(outcome: artifact_store::Result<T>, what: &str) {
    match outcome {
        Err(error) => assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{what}: {error}"),
        Ok(wrong) => panic!("{what}: {wrong:?} was taken for the artifact"),
    }
}

fn only_file(dir: &Path) -> PathBuf {
    let mut files = artifact_files(dir);
    assert_eq!(files.len(), 1);
    files.remove(0)
}

#[test]
fn each_flipped_bit_is_noticed_and_repaired() {
    for key in keys() {
        let scene = Scene::new(&key);
        for bit in 0..scene.whole.len() * 8 {
            let mut bytes = scene.whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let what = format!("bit {} of byte {} flipped in `{key}`", bit % 8, bit / 8);
            scene.is_corrupt_as(&bytes, &what);
            // Every bit of the version, where damage may pass for another format.
            if bit % 8 == 0 || bit / 8 == 8 || bit / 8 == 9 {
                scene.is_repaired(&what);
            }
        }
    }
}

#[test]
fn a_cut_at_each_length_is_noticed_and_repaired() {
    for key in keys() {
        let scene = Scene::new(&key);
        for len in 0..scene.whole.len() {
            let what = format!("{len} bytes left of `{key}`");
            scene.is_corrupt_as(&scene.whole[..len], &what);
            scene.is_repaired(&what);
        }
    }
}

#[test]
fn appended_zeroed_and_repeated_bytes_are_noticed_and_repaired() {
    for key in keys() {
        let scene = Scene::new(&key);
        let whole = &scene.whole;
        let zeroed_payload = [&whole[..scene.start()], &[0; PAYLOAD.len()]].concat();
        for (what, bytes) in [
            ("one more byte", [whole, &b"\0"[..]].concat()),
            ("the payload twice", [whole, PAYLOAD].concat()),
            ("the file twice", [&whole[..], whole].concat()),
            ("a page more", [whole, &[7; 4096][..]].concat()),
            ("all zeros, of the right size", vec![0; whole.len()]),
            ("a payload of zeros", zeroed_payload),
            ("something else", b"not an artifact at all".to_vec()),
        ] {
            scene.is_corrupt_as(&bytes, what);
            scene.is_repaired(what);
        }
    }
}

#[test]
fn a_swapped_pair_of_files_gives_no_foreign_bytes() {
    let long = |n: u32| format!("{}{n}", "long/".repeat(60));
    for pair in [["a".into(), "b".into()], [long(1), long(2)], ["a".into(), long(1)]] {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtifactStore::open_dir(dir.path()).unwrap();
        let place = |key: &String| {
            let before = artifact_files(dir.path());
            store.put(key, key.clone()).unwrap();
            artifact_files(dir.path()).into_iter().find(|file| !before.contains(file)).unwrap()
        };
        let [a, b] = [place(&pair[0]), place(&pair[1])];
        let swap = |how: &str| {
            let (of_a, of_b) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
            fs::write(&a, of_b).unwrap();
            fs::write(&b, of_a).unwrap();
            for key in &pair {
                is_corrupt(store.get(key), how);
                is_corrupt(store.stat(key), how);
                is_corrupt(store.read(key, ReadOptions::default()).map(|_| "a reader"), how);
            }
            assert_eq!(store.audit().map(Result::unwrap).count(), 2, "{how}");
        };
        swap("before a put");
        for key in &pair {
            store.put(key, key.clone()).unwrap();
        }
        for key in &pair {
            assert_eq!(store.get(key).unwrap(), *key);
        }
        swap("before a delete");
        for key in &pair {
            store.delete(key).unwrap();
            let absent = store.get(key).unwrap_err();
            assert!(matches!(absent.kind(), ErrorKind::NotFound), "{absent}");
        }
        assert_eq!(artifact_files(dir.path()).len(), 0);
    }
}

/// Where the name is gone nothing tells that there was an artifact.
#[test]
fn a_file_under_another_name_is_not_the_artifact() {
    for key in keys() {
        let scene = Scene::new(&key);
        for name in ["_K", "_x@00", "copy", "@a@00"] {
            let moved = scene.file.with_file_name(name);
            fs::rename(&scene.file, &moved).unwrap();
            let error = scene.store.get(&key).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::NotFound), "{name}: {error}");
            let keys: Vec<_> = scene.store.list("").map(|entry| entry.unwrap().key).collect();
            assert_eq!(keys, [NEIGHBOUR], "{name}");
            let findings: Vec<_> = scene.store.audit().map(Result::unwrap).collect();
            assert_eq!(findings.len(), 1, "{name}");
            assert_eq!(findings[0].kind, FindingKind::Foreign, "{name}");
            fs::rename(moved, &scene.file).unwrap();
        }
        // Under the name of another artifact it is that one, damaged.
        let moved = scene.dir.path().join("_x");
        fs::rename(&scene.file, &moved).unwrap();
        is_corrupt(scene.store.get("x"), &key);
        let error = scene.store.get(&key).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound), "{error}");
        let findings: Vec<_> = scene.store.audit().map(Result::unwrap).collect();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].kind, &*findings[0].name), (FindingKind::Damaged, "_x"));
        assert!(findings[0].detail.contains(&key), "{findings:?}");
    }
}

#[test]
fn verify_names_all_that_is_damaged_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(dir.path()).unwrap();
    let mut damaged = Vec::new();
    for n in 0..12_usize {
        let key = if n % 2 == 0 { format!("key-{n}") } else { format!("{}{n}", "z".repeat(200)) };
        let before = artifact_files(dir.path());
        store.put(&key, PAYLOAD).unwrap();
        let file =
            artifact_files(dir.path()).into_iter().find(|file| !before.contains(file)).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        match n {
            0 | 1 => *bytes.last_mut().unwrap() ^= 1,
            2 | 3 => bytes[40] ^= 1,
            4 | 5 => bytes.truncate(bytes.len() - 1),
            6 | 7 => bytes.clear(),
            _ => continue,
        }
        fs::write(&file, bytes).unwrap();
        damaged.push((key, file));
    }
    let output = cli().arg("verify").arg("--json").arg("--dir").arg(dir.path()).output().unwrap();
    let mut text = String::new();
    output.stdout.as_slice().read_to_string(&mut text).unwrap();
    assert_eq!(output.status.code(), Some(5), "{text}");
    for (key, file) in damaged {
        let name = file.strip_prefix(dir.path()).unwrap().to_str().unwrap();
        assert!(text.contains(&format!("\"{key}\"")) || text.contains(name), "{name}: {text}");
    }
    assert!(text.contains("\"sound\":4,") && text.contains("\"foreign\":0,"), "{text}");
}
