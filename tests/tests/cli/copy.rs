//! `artifact-store copy`, through the real binary.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Attributes, WriteOptions};
use artifact_store_tests::{cli, expect, guest, guest_on, run};

/// The directories and stores `a` and `b`, served by `fs`, and `plain`, of a backend without
/// streams and inventory.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plain = guest("plain");
        let mut text = String::new();
        for (name, backend) in [("a", "fs"), ("b", "fs"), ("plain", plain.to_str().unwrap())] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            text += &format!(
                "[stores.{name}]\nbackend = '{backend}'\ndirectories = [{{ host = '{name}' }}]\n"
            );
        }
        std::fs::write(dir.path().join("stores.toml"), text).unwrap();
        Self(dir)
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn store(&self, name: &str) -> ArtifactStore {
        let dir = self.dir().join(name);
        match name {
            "plain" => ArtifactStore::open(guest_on("plain", &dir)).unwrap(),
            _ => ArtifactStore::open_dir(dir).unwrap(),
        }
    }

    /// What a copy from `a` writes.
    fn copy(&self, to: &str, more: &[&str]) -> String {
        let mut arguments = vec!["--config", "stores.toml", "copy", "--from", "a", "--to", to];
        arguments.extend(more);
        expect(self.dir(), &arguments, b"", 0)
    }

    /// The numbers of the summary: copied, bytes, present, failed.
    fn summary(&self, to: &str) -> [u64; 4] {
        summary(&self.copy(to, &["--json"]))
    }
}

fn summary(output: &str) -> [u64; 4] {
    let line = output.lines().last().unwrap();
    ["copied", "bytes", "present", "failed"].map(|name| {
        let (_, rest) = line.split_once(&format!("\"{name}\":")).unwrap();
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    })
}

/// Keys that are hard to copy, and sizes around those of chunks.
fn fill(store: &ArtifactStore) -> (u64, u64) {
    let keys = ["-h", "a/../b", "..", "😀", "a b", "a\"b\\", "builds/1", "builds/2", "*"];
    let sizes = [0, 1, 9, 65_535, 65_536, 262_144, 262_145, 1_000_000, 3_000_000];
    for (key, size) in keys.into_iter().zip(sizes) {
        let byte = key.bytes().next().unwrap();
        store.put(key, vec![byte; size]).unwrap();
    }
    (keys.len() as u64, sizes.iter().sum::<usize>() as u64)
}

fn is_same(from: &ArtifactStore, to: &ArtifactStore) {
    for entry in from.list("") {
        let key = entry.unwrap().key;
        assert!(from.get(&key).unwrap() == to.get(&key).unwrap(), "{key}");
    }
}

#[test]
fn all_artifacts_go_over_and_only_once() {
    let place = Place::new();
    let (from, to) = (place.store("a"), place.store("b"));
    let (count, bytes) = fill(&from);
    to.put("only here", "x").unwrap();
    assert_eq!(place.summary("b"), [count, bytes, 0, 0]);
    is_same(&from, &to);
    assert_eq!(to.get("only here").unwrap(), "x");
    assert_eq!(place.summary("b"), [0, 0, count, 0]);
    // What is missing, of another size or of other bytes is copied, and nothing else.
    to.delete("😀").unwrap();
    to.put("..", "short").unwrap();
    to.put("builds/1", vec![7; 262_145]).unwrap();
    assert_eq!(place.summary("b")[..3], [3, 9 + 65_535 + 262_145, count - 3]);
    is_same(&from, &to);
    // A part of it.
    for key in ["builds/1", "builds/2", "*"] {
        to.delete(key).unwrap();
    }
    let text = place.copy("b", &["builds/", "--jobs", "1"]);
    assert!(
        text.starts_with("2 artifacts copied, ") && text.contains("; 0 already there"),
        "{text}"
    );
    assert!(to.get("*").is_err());
}

#[test]
fn attributes_go_over_and_are_compared() {
    let place = Place::new();
    let described = |text: &str| {
        let attributes = Attributes::new().with("content-type", "text/html").with("a", text);
        WriteOptions::default().attributes(attributes)
    };
    let (from, to) = (place.store("a"), place.store("b"));
    for text in ["b", "c"] {
        from.put_with("k", "bytes", described(text)).unwrap();
        for more in [&["--json"][..], &["--json", "--verify"]] {
            let copied = summary(&place.copy("b", more));
            assert!([[1, 5, 0, 0], [0, 0, 1, 0]].contains(&copied), "{copied:?}");
            assert_eq!(to.stat("k").unwrap().attributes, from.stat("k").unwrap().attributes);
        }
    }
    to.put("k", "bytes").unwrap();
    assert_eq!(summary(&place.copy("b", &["--json", "--verify"])), [1, 5, 0, 0]);
    // What would lose them is no copy.
    let arguments = ["--config", "stores.toml", "copy", "--from", "a", "--to", "plain"];
    expect(place.dir(), &arguments, b"", 1);
}

#[test]
fn a_backend_without_streams_and_inventory_is_read_and_compared() {
    let place = Place::new();
    let (from, to) = (place.store("a"), place.store("plain"));
    let (count, bytes) = fill(&from);
    assert_eq!(place.summary("plain"), [count, bytes, 0, 0]);
    is_same(&from, &to);
    assert_eq!(place.summary("plain"), [0, 0, count, 0]);
    to.put("builds/1", vec![7; 262_145]).unwrap();
    to.put("..", "short").unwrap();
    to.delete("😀").unwrap();
    assert_eq!(place.summary("plain")[0], 3);
    is_same(&from, &to);
    // It cannot say what it has.
    let arguments = ["--config", "stores.toml", "copy", "--from", "plain", "--to", "b"];
    let message = expect(place.dir(), &arguments, b"", 1);
    assert!(message.contains("store `plain`: cannot list"), "{message}");
}

#[test]
fn a_dry_run_copies_nothing() {
    let place = Place::new();
    let from = place.store("a");
    from.put("k", "123").unwrap();
    from.put("l", "1234").unwrap();
    place.store("b").put("l", "1234").unwrap();
    let text = place.copy("b", &["--dry-run"]);
    assert_eq!(text, "k\n1 artifact would be copied, 3 B; 1 already there\n");
    let text = place.copy("b", &["--dry-run", "--json"]);
    let artifact = "{\"type\":\"artifact\",\"key\":\"k\",\"size\":3,\"state\":\"would-copy\"}";
    let summary = "{\"type\":\"summary\",\"dry_run\":true,\"copied\":0,\"bytes\":0,\
                   \"would_copy\":1,\"would_copy_bytes\":3,\"present\":1,\"failed\":0,\
                   \"complete\":true}";
    assert_eq!(text, format!("{artifact}\n{summary}\n"));
    assert!(place.store("b").get("k").is_err());
}

#[test]
fn a_damaged_artifact_is_named_and_the_others_are_copied() {
    let place = Place::new();
    let from = place.store("a");
    for key in ["k", "l", "m"] {
        from.put(key, vec![1; 300_000]).unwrap();
    }
    // The file of `k`, as `docs/format.md` names it.
    let file = place.dir().join("a/_k");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let arguments = ["--config", "stores.toml", "copy", "--from", "a", "--to", "b", "--json"];
    let output = run(place.dir(), &arguments, b"");
    assert_eq!(output.status.code(), Some(5));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("store `a`: cannot get `k`"), "{message}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(summary(&text), [2, 600_000, 0, 1]);
    let line = "\"key\":\"k\",\"size\":300000,\"state\":\"failed\",\"error\":";
    assert!(text.contains(line), "{text}");
    let to = place.store("b");
    assert!(to.get("k").is_err());
    assert_eq!(to.list("").count(), 2);
    assert_eq!(std::fs::read_dir(place.dir().join("b/tmp")).unwrap().count(), 0);
}

#[test]
fn wrong_stores_are_wrong_usage() {
    let place = Place::new();
    for arguments in [
        &["copy", "--from", "a", "--to", "b"][..],
        &["--config", "stores.toml", "copy", "--from", "a", "--to", "a"],
        &["--config", "stores.toml", "copy", "--from", "a", "--to", "c"],
        &["--config", "stores.toml", "copy", "--from", "a"],
        &["--config", "stores.toml", "--store", "a", "copy", "--from", "a", "--to", "b"],
        &["--config", "stores.toml", "copy", "--from", "a", "--to", "b", "--jobs", "0"],
        &["--dir", "a", "copy", "--from", "a", "--to", "b"],
    ] {
        expect(place.dir(), arguments, b"", 2);
    }
}

#[test]
fn an_interrupted_copy_leaves_nothing_half_copied_and_goes_on_later() {
    let place = Place::new();
    let (from, to) = (place.store("a"), place.store("b"));
    let count = 200;
    for n in 0..count {
        from.put(&format!("k{n}"), vec![n as u8; 2_000_000]).unwrap();
    }
    let mut child = cli()
        .args(["--config", "stores.toml", "copy", "--from", "a", "--to", "b", "--json"])
        .current_dir(place.dir())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while to.list("").count() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let code = child.wait().unwrap().code();
    let copied = to.list("").count() as u64;
    // On a machine that copies faster than we look it may be done.
    assert!(code == Some(130) || (code == Some(0) && copied == count), "{code:?} {copied}");
    assert_eq!(std::fs::read_dir(place.dir().join("b/tmp")).unwrap().count(), 0);
    for entry in to.list("") {
        to.get(&entry.unwrap().key).unwrap();
    }
    let [more, _, present, failed] = place.summary("b");
    assert_eq!((more + present, present, failed), (count, copied, 0));
    is_same(&from, &to);
}

/// The file of the artifact that ends in these bytes.
fn file_of(store: &Path, end: &[u8]) -> std::path::PathBuf {
    let mut dirs = vec![store.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false if std::fs::read(&path).unwrap().ends_with(end) => return path,
                false => {}
            }
        }
    }
    panic!("there is none");
}

fn damage(file: &Path, at: impl FnOnce(usize) -> usize) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// Artifacts in both stores, and where those of `b` lie: one of a long key, whose name does not say
/// what it is.
fn in_both(place: &Place) -> (String, [std::path::PathBuf; 2]) {
    let long = "x".repeat(300);
    for store in ["a", "b"].map(|name| place.store(name)) {
        store.put("payload", "the payload").unwrap();
        store.put(&long, "the header").unwrap();
        store.put("sound", "as it was").unwrap();
    }
    let b = place.dir().join("b");
    (long, [file_of(&b, b"the payload"), file_of(&b, b"the header")])
}

#[test]
fn a_copy_that_verifies_repairs_what_is_damaged() {
    let place = Place::new();
    let (long, [payload, header]) = in_both(&place);
    // The header says that it is the same.
    damage(&payload, |len| len - 1);
    assert_eq!(place.summary("b"), [0, 0, 3, 0]);
    assert_eq!(summary(&place.copy("b", &["--verify", "--dry-run", "--json"])), [0, 0, 2, 0]);
    assert_eq!(summary(&place.copy("b", &["--verify", "--json"])), [1, 11, 2, 0]);
    assert_eq!(place.store("b").get("payload").unwrap(), "the payload");
    // What is damaged so that everybody sees it is copied without being told so.
    damage(&header, |_| 0);
    assert_eq!(place.summary("b"), [1, 10, 2, 0]);
    assert_eq!(place.store("b").get(&long).unwrap(), "the header");
    assert_eq!(summary(&place.copy("b", &["--verify", "--json"])), [0, 0, 3, 0]);
}

#[test]
fn a_verification_fetches_what_is_damaged_from_another_store() {
    let place = Place::new();
    let (long, [payload, header]) = in_both(&place);
    let verify = |more: &[&str]| {
        let arguments = ["--config", "stores.toml", "--store", "b", "verify"];
        let output = run(place.dir(), &[&arguments[..], more].concat(), b"");
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
    };
    damage(&payload, |len| len - 1);
    damage(&header, |_| 0);
    let (code, text, _) = verify(&[]);
    assert!(code == Some(5) && text.contains("2 damaged"), "{text}");
    let (code, text, error) = verify(&["--repair-from", "a"]);
    assert_eq!(code, Some(0), "{text} {error}");
    assert!(text.contains("0 damaged, 2 repaired"), "{text}");
    assert!(text.contains("repaired  `payload`: "), "{text}");
    let b = place.store("b");
    assert_eq!(b.get("payload").unwrap(), "the payload");
    assert_eq!(b.get(&long).unwrap(), "the header");
    let (code, text, _) = verify(&["--repair-from", "a", "--json"]);
    assert!(code == Some(0) && text.contains("\"repaired\":0"), "{text}");
    // What the other store has not, or has damaged as well, stays damaged.
    b.put("only here", "in one place").unwrap();
    damage(&file_of(&place.dir().join("b"), b"in one place"), |len| len - 1);
    damage(&file_of(&place.dir().join("a"), b"the payload"), |len| len - 1);
    damage(&payload, |len| len - 1);
    let (code, text, _) = verify(&["--repair-from", "a"]);
    assert!(code == Some(5) && text.contains("2 damaged"), "{text}");
    assert_eq!(text.matches("could not be repaired: store `a`: ").count(), 2, "{text}");
    assert_eq!(std::fs::read_dir(place.dir().join("b/tmp")).unwrap().count(), 0);
    for wrong in [["--repair-from", "b"], ["--repair-from", "none"]] {
        assert_eq!(verify(&wrong).0, Some(2));
    }
    expect(place.dir(), &["--dir", "b", "verify", "--repair-from", "a"], b"", 2);
}

/// A damaged artifact that still says what it was is replaced by nothing else.
#[test]
fn another_version_of_a_damaged_artifact_is_not_taken_for_it() {
    let place = Place::new();
    let b = place.store("b");
    let ours = [
        ("longer", "version 2"),
        ("as-long", "version 2"),
        ("header", "version 3"),
        ("same", "version 4"),
    ];
    for (key, bytes) in ours {
        b.put(key, format!("{bytes} of {key}")).unwrap();
    }
    let file = |key: &str| file_of(&place.dir().join("b"), format!("of {key}").as_bytes());
    let spoil = |key: &str| damage(&file(key), |len| len - 1 - format!(" of {key}").len());
    ["longer", "as-long", "same"].into_iter().for_each(spoil);
    damage(&file("header"), |_| 0);
    let damaged = |arguments: &[&str]| {
        let output = run(place.dir(), arguments, b"");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(5), "{text}");
        text
    };
    // The second source keeps no checksum, so that only its bytes tell what it has.
    for source in ["a", "plain"] {
        let a = place.store(source);
        for (key, bytes) in
            [("longer", "version 1, longer"), ("as-long", "version 1"), ("same", "version 4")]
        {
            a.put(key, format!("{bytes} of {key}")).unwrap();
        }
        let before = std::fs::read(file("as-long")).unwrap();
        let arguments =
            ["--config", "stores.toml", "--store", "b", "verify", "--repair-from", source];
        let text = damaged(&arguments);
        for key in ["longer", "as-long"] {
            let line = text.lines().find(|line| line.contains(&format!("`{key}`"))).unwrap();
            assert!(line.starts_with("damaged  "), "{line}");
            assert!(
                line.ends_with("the other store has another version of the artifact"),
                "{line}"
            );
        }
        assert_eq!(std::fs::read(file("as-long")).unwrap(), before);
        assert_eq!(b.get("same").unwrap(), "version 4 of same");
        assert!(text.contains(", 1 repaired"), "{text}");
        spoil("same");
    }
    // What does not say what it was is taken as the source has it, and that is said.
    place.store("a").put("header", "version 1 of header").unwrap();
    let arguments =
        ["--config", "stores.toml", "--store", "b", "verify", "--repair-from", "a", "--json"];
    let text = damaged(&arguments);
    let repair = |key: &str| {
        let line = text.lines().find(|line| line.contains(&format!("\"key\":\"{key}\""))).unwrap();
        let (_, rest) = line.split_once("\"repair\":\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let repairs = ["longer", "as-long", "header", "same"].map(repair);
    assert_eq!(repairs, ["another-version", "another-version", "uncompared", "compared"]);
    assert!(text.contains("\"damaged\":2"), "{text}");
    assert!(text.contains("\"repaired\":2,\"uncompared\":1"), "{text}");
    assert_eq!(b.get("header").unwrap(), "version 1 of header");
}
