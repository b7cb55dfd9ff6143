//! Things in the store's directory that are not of this store: they are skipped or reported,
//! never followed, never waited for, and nothing outside is touched.
#![cfg(unix)]

mod directories;
mod permissions;
#[path = "../plain_host/mod.rs"]
mod plain_host;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ErrorKind, FindingKind, ReadOptions};
use artifact_store_tests::{cli, in_time};
use tempfile::TempDir;

/// What the outside holds before and after.
const SECRET: &str = "outside of the store";

/// A store with the artifact `k`, and a place beside it that the store has no business in.
struct Scene {
    /// Removed with all that is in it.
    _dir: TempDir,
    root: PathBuf,
    outside: PathBuf,
    store: ArtifactStore,
    /// The file of `k`.
    file: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("store"), dir.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), SECRET).unwrap();
        let store = ArtifactStore::open_dir(&root).unwrap();
        store.put("k", "inside").unwrap();
        // As `docs/format.md` names it.
        let file = root.join("_k");
        assert!(file.is_file());
        Self { _dir: dir, root, outside, store, file }
    }

    fn outside_is_untouched(&self, what: &str) {
        let names: Vec<_> =
            fs::read_dir(&self.outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["file"], "{what}");
        assert_eq!(fs::read_to_string(self.outside.join("file")).unwrap(), SECRET, "{what}");
    }

    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.store.list("").map(|entry| entry.unwrap().key).collect();
        keys.sort();
        keys
    }

    /// The names of what is no sound artifact.
    fn findings(&self, kind: FindingKind) -> Vec<String> {
        let findings = self.store.audit().map(Result::unwrap);
        findings.filter(|finding| finding.kind == kind).map(|finding| finding.name).collect()
    }

    /// The artifact `k` can be read, replaced and deleted, and others come and go.
    fn serves(&self, what: &str) {
        assert_eq!(self.store.get("k").unwrap(), "inside", "{what}");
        self.store.put("other", "more").unwrap();
        assert_eq!(self.keys(), ["k", "other"], "{what}");
        self.store.delete("other").unwrap();
        self.store.put("k", "inside").unwrap();
        assert_eq!(self.store.sweep(Duration::ZERO).unwrap().kept, 0, "{what}");
        assert_eq!(self.keys(), ["k"], "{what}");
        self.outside_is_untouched(what);
    }
}

/// The kinds of foreign things, and how to make one at a path that is free.
type Make = fn(&Scene, &Path);
const KINDS: [(&str, Make); 10] = [
    ("a dangling link", |_, path| symlink("nowhere", path).unwrap()),
    ("a link to itself", |_, path| symlink(path.file_name().unwrap(), path).unwrap()),
    ("a link to a file outside", |scene, path| symlink(scene.outside.join("file"), path).unwrap()),
    ("a link to a directory outside", |scene, path| symlink(&scene.outside, path).unwrap()),
    ("a link to an artifact", |scene, path| symlink(&scene.file, path).unwrap()),
    ("a pipe", |_, path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }),
    ("a device", |_, path| {
        let made = Command::new("mknod").arg(path).args(["c", "1", "3"]).output().unwrap();
        // Only an administrator may make one.
        if !made.status.success() {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }
    }),
    ("a socket", |scene, path| {
        // A path of a socket is short: it is made elsewhere.
        let made = scene.root.with_file_name("s");
        drop(UnixListener::bind(&made).unwrap());
        fs::rename(made, path).unwrap();
    }),
    ("an empty directory", |_, path| fs::create_dir(path).unwrap()),
    ("a directory that holds something", |_, path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("kept"), "").unwrap();
    }),
];

#[test]
fn foreign_things_beside_what_is_ours_are_reported_and_left() {
    in_time(|| {
        for (what, make) in KINDS {
            let scene = Scene::new();
            fs::create_dir(scene.root.join(",d")).unwrap();
            let temporary = "0123456789abcdef".repeat(2);
            let mut places: Vec<_> = ["foreign", "_X", ",d,e", "TMP", "3FA", "+foreign"]
                .map(|name| (name.to_owned(), FindingKind::Foreign))
                .into();
            // Our own temporary's name where none belongs, and where one does, which it is not.
            places.extend([
                (temporary.clone(), FindingKind::Foreign),
                (format!(",d/{temporary}"), FindingKind::Foreign),
                (",d/foreign".into(), FindingKind::Foreign),
                // The name of an artifact deeper down, in a directory that is not its own.
                (",d/_a,b".into(), FindingKind::Foreign),
                ("tmp/foreign".into(), FindingKind::Foreign),
            ]);
            // An empty directory is what a deletion leaves.
            if what != "an empty directory" {
                places.push((format!("tmp/{temporary}"), FindingKind::Foreign));
            }
            for (name, _) in &places {
                make(&scene, &scene.root.join(name));
            }
            scene.serves(what);
            for (name, kind) in places {
                assert!(scene.findings(kind).contains(&name), "{what} as {name}");
                fs::symlink_metadata(scene.root.join(&name)).expect(what);
            }
            assert_eq!(scene.findings(FindingKind::Damaged), [""; 0], "{what}");
        }
    });
}

#[test]
fn files_of_others_are_reported_and_left() {
    let scene = Scene::new();
    fs::create_dir(scene.root.join(",d")).unwrap();
    let temporary = "0123456789abcdef".repeat(2);
    let names = ["notes", ",d/notes", ",d/_a,b", "tmp/notes", &format!(",d/{temporary}")];
    for name in names {
        fs::copy(&scene.file, scene.root.join(name)).unwrap();
    }
    scene.serves("a copy of an artifact");
    let mut foreign = scene.findings(FindingKind::Foreign);
    foreign.sort();
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(foreign, expected);
}

fn is_corrupt<T>(outcome: artifact_store::Result<T>, what: &str) {
    match outcome.map(drop) {
        Err(error) => assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{what}: {error}"),
        Ok(()) => panic!("{what}: ok"),
    }
}

#[test]
fn what_stands_in_the_place_of_an_artifact_is_damage() {
    in_time(|| {
        for (what, make) in KINDS {
            for name in ["_k", "_readme"] {
                let scene = Scene::new();
                scene.store.put("readme", "inside").unwrap();
                let (key, path) = match name {
                    "_k" => ("k", scene.root.join(name)),
                    _ => ("readme", scene.root.join(name)),
                };
                if what == "a link to an artifact" && key == "k" {
                    continue;
                }
                let other = if key == "k" { "readme" } else { "k" };
                fs::remove_file(&path).unwrap();
                make(&scene, &path);
                is_corrupt(scene.store.get(key), what);
                is_corrupt(scene.store.stat(key), what);
                is_corrupt(scene.store.read(key, ReadOptions::default()), what);
                let taken = scene.store.put_new(key, "new").unwrap_err();
                assert!(matches!(taken.kind(), ErrorKind::AlreadyExists), "{what}: {taken}");
                assert_eq!(scene.keys(), [other], "{what}");
                assert_eq!(scene.findings(FindingKind::Damaged), [name], "{what}");
                if what.contains("directory that") || what.contains("empty directory") {
                    // It may hold what somebody wants: it is not removed, and that is said.
                    is_corrupt(scene.store.put(key, "new"), what);
                    is_corrupt(scene.store.delete(key), what);
                    assert!(path.is_dir(), "{what}");
                } else {
                    scene.store.put(key, "new").unwrap();
                    assert_eq!(scene.store.get(key).unwrap(), "new", "{what}");
                    fs::remove_file(&path).unwrap();
                    make(&scene, &path);
                    scene.store.delete(key).unwrap();
                    let absent = scene.store.get(key).unwrap_err();
                    assert!(matches!(absent.kind(), ErrorKind::NotFound), "{what}: {absent}");
                }
                assert_eq!(scene.store.get(other).unwrap(), "inside", "{what}");
                scene.outside_is_untouched(what);
                assert_eq!(fs::read_dir(scene.root.join("tmp")).unwrap().count(), 0, "{what}");
            }
        }
    });
}

/// macOS takes no such name.
#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf_8_hides_nothing() {
    let name = OsStr::from_bytes(b"not\xff\nutf-8");
    for dir in [".", ",d", "tmp"] {
        let scene = Scene::new();
        scene.store.put("d/readme", "more").unwrap();
        fs::write(scene.root.join(dir).join(name), "").unwrap();
        fs::write(scene.root.join("notes"), "").unwrap();
        assert_eq!(scene.store.get("k").unwrap(), "inside", "{dir}");
        scene.store.put("k", "inside").unwrap();
        assert_eq!(scene.keys(), ["d/readme", "k"], "{dir}");
        let mut foreign: Vec<_> = scene.store.audit().map(Result::unwrap).collect();
        foreign.sort_by(|one, other| other.name.cmp(&one.name));
        let names: Vec<_> = foreign.iter().map(|finding| finding.name.as_str()).collect();
        let expected = if dir == "tmp" { ["tmp", "notes"] } else { ["notes", dir] };
        assert_eq!(names, expected, "{dir}");
        for finding in foreign {
            assert_eq!(finding.kind, FindingKind::Foreign, "{dir}");
            let is_named = finding.detail.contains(r"`not\xff\nutf-8`");
            assert_eq!(is_named, finding.name == dir, "{}", finding.detail);
        }
        assert_eq!(scene.store.sweep(Duration::ZERO).unwrap().kept, 0, "{dir}");
        fs::symlink_metadata(scene.root.join(dir).join(name)).expect("it is left alone");

        let run = |arguments: &[&str]| {
            let output = cli().arg("--dir").arg(&scene.root).args(arguments).output().unwrap();
            let text =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            (output.status.code(), text)
        };
        assert_eq!(run(&["list", "k"]), (Some(0), "k\n".into()), "{dir}");
        let (_, text) = run(&["verify"]);
        assert!(text.contains("utf-8") && !text.contains("unreadable"), "{dir}: {text}");
    }
}

/// More of them than a page of an audit has room for.
#[test]
#[cfg(target_os = "linux")]
fn many_names_that_are_not_utf_8_are_one_finding() {
    let scene = Scene::new();
    scene.store.put("d/k", "more").unwrap();
    for n in 0..2000_u32 {
        let name = [b"\xff", n.to_string().as_bytes()].concat();
        fs::write(scene.root.join(",d").join(OsStr::from_bytes(&name)), "").unwrap();
        fs::write(scene.root.join(",d").join(n.to_string()), "").unwrap();
    }
    assert_eq!(scene.keys(), ["d/k", "k"]);
    let foreign = scene.findings(FindingKind::Foreign);
    assert_eq!(foreign.len(), 2001);
    assert_eq!(foreign.iter().filter(|name| *name == ",d").count(), 1);
}
