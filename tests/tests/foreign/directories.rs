//! What stands in the place of a directory of the store: it hides artifacts, which is said and
//! never passed over, in this host and in one that is only wasmtime's.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Error, ErrorKind, FindingKind, Grants, ReadOptions, WriteOptions};
#[cfg(target_os = "linux")]
use artifact_store_tests::confine;
use artifact_store_tests::{artifact_files, run};

use super::plain_host::{self, Instance, block_on};
use super::{KINDS, Make, Scene, in_time, is_corrupt};

/// The kinds that are no directories.
fn no_directories() -> impl Iterator<Item = (&'static str, Make)> {
    KINDS.into_iter().filter(|(what, _)| !what.contains("n empty") && !what.contains("holds"))
}

/// Every change fails, with an error that names the place, and leaves nothing.
fn nothing_can_be_changed(scene: &Scene, key: &str, place: &str, what: &str) {
    let says = |error: Error| {
        let text = error.to_string();
        assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{what}: {text}");
        assert!(text.contains(&format!("`{place}`")), "{what}: {text}");
    };
    says(scene.store.put(key, "new").unwrap_err());
    says(scene.store.put_new(key, "new").unwrap_err());
    says(scene.store.write(key, &[7; 1_000_000][..], WriteOptions::default()).unwrap_err());
}

/// A store of the artifacts `a`, `d/readme` and `k`, of which something hides the second one: the
/// directory in its place, as `docs/format.md` names it.
fn hidden(make: Make) -> Scene {
    let scene = Scene::new();
    scene.store.put("a", "inside").unwrap();
    scene.store.put("d/readme", "inside").unwrap();
    let place = scene.root.join(",d");
    fs::rename(&place, scene.root.with_file_name("moved")).unwrap();
    make(&scene, &place);
    scene
}

fn show(scene: &Scene) {
    let place = scene.root.join(",d");
    fs::remove_file(&place).unwrap();
    fs::rename(scene.root.with_file_name("moved"), place).unwrap();
}

#[test]
fn what_stands_in_the_place_of_a_directory_is_not_followed() {
    in_time(|| {
        // An instance that has never seen the directory, and one that has worked with it.
        for seen in [false, true] {
            for (what, make) in no_directories() {
                let scene = hidden(make);
                let fresh = ArtifactStore::open_dir(&scene.root).unwrap();
                let scene = if seen { scene } else { Scene { store: fresh, ..scene } };
                nothing_can_be_changed(&scene, "d/readme", ",d", what);
                is_corrupt(scene.store.get("d/readme"), what);
                is_corrupt(scene.store.stat("d/readme"), what);
                is_corrupt(scene.store.read("d/readme", ReadOptions::default()), what);
                is_corrupt(scene.store.delete("d/readme"), what);
                assert_eq!(scene.findings(FindingKind::Damaged), [",d"], "{what}");
                assert_eq!(scene.findings(FindingKind::Foreign), [""; 0], "{what}");
                // Others come and go.
                assert_eq!(scene.store.get("k").unwrap(), "inside", "{what}");
                scene.store.put("other", "more").unwrap();
                scene.store.delete("other").unwrap();
                assert_eq!(scene.store.sweep(Duration::ZERO).unwrap().kept, 0, "{what}");
                assert_eq!(fs::read_dir(scene.root.join("tmp")).unwrap().count(), 0, "{what}");
                let moved = scene.root.with_file_name("moved");
                assert_eq!(fs::read_dir(moved).unwrap().count(), 1, "{what}");
                scene.outside_is_untouched(what);
                show(&scene);
                assert_eq!(scene.keys().len(), 3, "{what}");
                assert_eq!(scene.store.audit().count(), 0, "{what}");
            }
        }
    });
}

#[test]
fn a_listing_fails_where_a_part_of_the_store_is_hidden() {
    in_time(|| {
        for (what, make) in no_directories() {
            let scene = hidden(make);
            for _ in 0..2 {
                let mut listing = scene.store.list("");
                assert_eq!(listing.next().unwrap().unwrap().key, "a", "{what}");
                // It goes on at the failed page, as long as there is a point in it.
                for _ in 0..3 {
                    let error = listing.next().unwrap().unwrap_err();
                    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{what}: {error}");
                    assert!(error.to_string().contains("`,d`"), "{what}: {error}");
                }
                assert!(listing.next().is_none(), "{what}");
            }
            // Also where no key begins so, if it would be there: nobody knows what is hidden.
            for (prefix, is_hidden) in [("d/none", true), ("d/d/", true), ("none/", false)] {
                match scene.store.list(prefix).find_map(Result::err) {
                    Some(error) => is_corrupt(Err::<(), _>(error), what),
                    None => assert!(!is_hidden, "{what}: {prefix}"),
                }
            }
        }
    });
}

#[test]
fn commands_that_list_fail_where_a_part_of_the_store_is_hidden() {
    let scene = hidden(|scene, path| symlink(&scene.outside, path).unwrap());
    let dir = scene.root.parent().unwrap();
    let config = "[stores.a]\nbackend = \"fs\"\ndirectories = [{ host = \"store\" }]\n\
                  [stores.b]\nbackend = \"fs\"\ndirectories = [{ host = \"to\" }]\n";
    fs::write(dir.join("stores.toml"), config).unwrap();
    fs::create_dir(dir.join("to")).unwrap();
    for arguments in [
        &["--dir", "store", "list"][..],
        &["--dir", "store", "verify"],
        &["--config", "stores.toml", "copy", "--from", "a", "--to", "b"],
    ] {
        let output = run(dir, arguments, b"");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{arguments:?}: {error}");
        assert!(error.contains("`,d`"), "{arguments:?}: {error}");
    }
}

/// A directory that cannot be read for whatever reason is no empty one.
#[test]
#[cfg(target_os = "linux")]
fn commands_that_list_fail_where_a_directory_cannot_be_read() {
    let scene = Scene::new();
    scene.store.put("d/k", "inside").unwrap();
    for error in [libc::EIO, libc::EACCES, libc::ENOMEM, libc::ESTALE] {
        for arguments in [&["list"][..], &["list", "d/n"], &["verify"]] {
            let mut command = artifact_store_tests::cli();
            command.arg("--dir").arg(&scene.root).args(arguments);
            confine::refuse(&mut command, &[(libc::SYS_getdents64, error)]);
            let output = command.output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(1 | 6)), "{error}: {arguments:?}: {text}");
            assert!(text.contains("cannot list"), "{error}: {arguments:?}: {text}");
        }
    }
}

/// Each of many is opened, whatever was there when it was seen last.
#[test]
fn a_directory_that_was_seen_and_is_hidden_later_fails_the_listing() {
    let scene = Scene::new();
    for n in 0..4096 {
        fs::create_dir_all(scene.root.join(format!(",{n:03x}"))).unwrap();
    }
    assert_eq!(scene.keys(), ["k"]);
    let place = scene.root.join(",abc");
    fs::remove_dir(&place).unwrap();
    symlink(&scene.outside, &place).unwrap();
    let error = scene.store.list("").find_map(Result::err).expect("a part is hidden");
    assert!(matches!(error.kind(), ErrorKind::Corrupt(_)), "{error}");
    assert_eq!(scene.findings(FindingKind::Damaged), [",abc"]);
}

/// All findings, in pages of `limit`.
async fn audited(instance: &mut Instance, limit: u32) -> Vec<(plain_host::FindingKind, String)> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (found, next) = instance.audit(cursor, limit).await.unwrap();
        all.extend(found.into_iter().map(|finding| (finding.kind, finding.name)));
        cursor = next;
        if cursor.is_none() {
            return all;
        }
    }
}

#[test]
fn a_page_never_skips_what_is_hidden_in_another_host() {
    in_time(|| {
        for (what, make) in no_directories() {
            let scene = hidden(make);
            fs::write(scene.root.join("notes"), "mine").unwrap();
            fs::write(&scene.file, "cut").unwrap();
            block_on(async {
                let mut instance = Instance::new(&scene.root).await;
                for limit in [0, 1, 2, 1000] {
                    let (keys, next) = instance.list(None, limit).await.unwrap();
                    assert_eq!(keys, ["a"], "{what}");
                    for _ in 0..2 {
                        let error = instance.list(next.clone(), limit).await.unwrap_err();
                        let plain_host::Error::Corrupt(text) = error else {
                            panic!("{what}: {error:?}")
                        };
                        assert!(text.contains("`,d`"), "{what}: {text}");
                    }
                    // An audit says what is wrong, and goes on behind it.
                    use plain_host::FindingKind::{Damaged, Foreign};
                    let found = audited(&mut instance, limit).await;
                    let expected = [(Damaged, ",d"), (Damaged, "_k"), (Foreign, "notes")];
                    assert_eq!(found, expected.map(|(k, name)| (k, name.to_owned())), "{what}");
                }
                assert!(matches!(
                    instance.get("d/readme").await,
                    Err(plain_host::Error::Corrupt(_))
                ));
                show(&scene);
                let (keys, next) = instance.list(None, 0).await.unwrap();
                assert_eq!((keys.as_slice(), next), (&["a".into(), "d/readme".into()][..], None));
            });
        }
    });
}

#[test]
fn what_stands_in_the_place_of_the_temporaries_is_not_followed() {
    in_time(|| {
        for seen in [false, true] {
            for (what, make) in no_directories() {
                let scene = Scene::new();
                scene.store.put("k", "inside").unwrap();
                let temporaries = scene.root.join("tmp");
                fs::remove_dir(&temporaries).unwrap();
                make(&scene, &temporaries);
                let fresh = ArtifactStore::open_dir(&scene.root).unwrap();
                let scene = if seen { scene } else { Scene { store: fresh, ..scene } };
                nothing_can_be_changed(&scene, "new", "tmp", what);
                assert_eq!(scene.store.get("k").unwrap(), "inside", "{what}");
                // It hides no artifact, but nothing can be stored.
                assert_eq!(scene.keys(), ["k"], "{what}");
                is_corrupt(scene.store.sweep(Duration::ZERO), what);
                assert_eq!(scene.findings(FindingKind::Damaged), ["tmp"], "{what}");
                assert_eq!(scene.findings(FindingKind::Foreign), [""; 0], "{what}");
                block_on(async {
                    let mut instance = Instance::new(&scene.root).await;
                    let found = audited(&mut instance, 0).await;
                    assert_eq!(found, [(plain_host::FindingKind::Damaged, "tmp".into())]);
                    let error = instance.put("new", "x").await.unwrap_err();
                    assert!(matches!(error, plain_host::Error::Corrupt(_)), "{what}: {error:?}");
                });
                scene.store.delete("k").unwrap();
                assert_eq!(scene.keys(), [""; 0], "{what}");
                scene.outside_is_untouched(what);
            }
        }
    });
}

/// A directory that is removed is made again.
#[test]
fn a_directory_that_is_gone_is_made_again() {
    let scene = Scene::new();
    fs::remove_dir(scene.root.join("tmp")).unwrap();
    scene.serves("no `tmp`");
    for _ in 0..2 {
        scene.store.put("d/e/k", "inside").unwrap();
        assert_eq!(scene.store.get("d/e/k").unwrap(), "inside");
        fs::remove_dir_all(scene.root.join(",d")).unwrap();
        assert!(matches!(scene.store.get("d/e/k").unwrap_err().kind(), ErrorKind::NotFound));
        scene.store.delete("d/e/k").unwrap();
    }
    scene.serves("no directory");
}

/// Where a directory is removed while a put is about to use it, the put makes it again.
#[test]
fn puts_outlive_the_removal_of_empty_directories() {
    in_time(|| {
        let scene = Scene::new();
        let root = scene.root.clone();
        let (stop, stopped) = mpsc::channel::<()>();
        let remover = std::thread::spawn(move || {
            let mut removed = 0;
            while stopped.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                for name in [",d", "tmp"] {
                    removed += usize::from(fs::remove_dir(root.join(name)).is_ok());
                }
            }
            removed
        });
        let unsynced =
            Grants::none().read_write(&scene.root, "/").env("ARTIFACT_STORE_SYNC", "off");
        let unsynced = Backend::fs(&scene.root).grants(unsynced);
        for (store, is_synced) in
            [(&ArtifactStore::open(unsynced).unwrap(), false), (&scene.store, true)]
        {
            for n in 0..300 {
                let data = n.to_string();
                let stored = match n % 3 {
                    0 => store.put("d/readme", data.clone()),
                    1 => store.put_new("d/readme", data.clone()),
                    _ => store.write("d/readme", data.as_bytes(), WriteOptions::default()),
                };
                match stored {
                    Ok(_) => {
                        assert_eq!(store.get("d/readme").unwrap(), data);
                        store.delete("d/readme").unwrap();
                    }
                    // A sync takes as long as the disk does, and each time the directory may go.
                    Err(error) => assert!(is_synced && error.is_retryable(), "{error}"),
                }
            }
        }
        drop(stop);
        assert!(remover.join().unwrap() > 0, "nothing was removed");
        scene.serves("afterwards");
    });
}

/// Nothing is acknowledged that goes nowhere.
#[test]
fn a_store_that_was_removed_takes_nothing() {
    let scene = Scene::new();
    block_on(async {
        let mut instance = Instance::new(&scene.root).await;
        instance.put("k", "inside").await.unwrap();
        fs::remove_dir_all(&scene.root).unwrap();
        for key in ["k", "new"] {
            let error = instance.put(key, "x").await.unwrap_err();
            let plain_host::Error::Other(text) = error else { panic!("{error:?}") };
            assert!(text.contains("removed"), "{text}");
        }
        assert!(instance.list(None, 0).await.is_err(), "nobody knows what was there");
        assert!(!scene.root.exists());
    });
    for key in ["k", "new"] {
        for error in [
            scene.store.put(key, "x").unwrap_err(),
            scene.store.put_new(key, "x").unwrap_err(),
            scene.store.write(key, &b"x"[..], WriteOptions::default()).unwrap_err(),
        ] {
            assert!(!error.to_string().is_empty());
        }
    }
    assert!(!scene.root.exists());
}

/// The name of a file says that it is one artifact, and its content that it is another: the first
/// one is lost.
#[test]
fn the_file_of_another_artifact_in_its_place_is_damage() {
    let long = |n: u32| format!("{}{n}", "long/".repeat(60));
    for (lost, other) in [(long(1), long(2)), (long(1), "k".into()), ("k".into(), long(1))] {
        let scene = Scene::new();
        scene.store.delete("k").unwrap();
        let place = |key: &str| {
            let before = artifact_files(&scene.root);
            scene.store.put(key, key.to_owned()).unwrap();
            artifact_files(&scene.root).into_iter().find(|file| !before.contains(file)).unwrap()
        };
        let (of_lost, of_other) = (place(&lost), place(&other));
        fs::copy(of_other, &of_lost).unwrap();
        let name = of_lost.strip_prefix(&scene.root).unwrap().to_str().unwrap();
        is_corrupt(scene.store.get(&lost), &lost);
        // Where the name spells out the key, nobody looks into the file to list it.
        let keys = scene.keys();
        assert!(keys.contains(&other) && (keys.len() == 1 || lost == "k"), "{keys:?}");
        assert_eq!(scene.findings(FindingKind::Damaged), [name]);
        assert_eq!(scene.findings(FindingKind::Foreign), [""; 0]);
        let dir = scene.root.parent().unwrap();
        let output = run(dir, &["--dir", "store", "verify"], b"");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(5), "{text}");
        assert!(text.contains(name) && text.contains(&other), "{text}");
        scene.store.put(&lost, "again").unwrap();
        assert_eq!(scene.store.audit().count(), 0);

        // A copy in another directory hides nothing: its name says whose it is.
        if lost.starts_with("long") {
            let copy = scene.root.join(",abc").join(of_lost.file_name().unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(&of_lost, &copy).unwrap();
            let copy = copy.strip_prefix(&scene.root).unwrap().to_str().unwrap();
            assert_eq!(scene.findings(FindingKind::Foreign), [copy]);
            assert_eq!(scene.findings(FindingKind::Damaged), [""; 0]);
        }
    }
}
