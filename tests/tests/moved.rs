//! A directory whose path names another one by now: a store goes on with the one that it opened, as
//! a whole, and says so.
#![cfg(unix)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use artifact_store::blocking::{ArtifactReader, ArtifactStore};
use artifact_store::{Backend, ErrorKind, Grants, Limits, ReadOptions, SwapOptions};
use artifact_store_tests::{guest, logged};
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;

const WARNING: &str = "the path of a granted directory now leads elsewhere";

struct Place(TempDir);

impl Place {
    /// Directories `a` and `b`, and a link to the first.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for name in ["a", "b"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        symlink("a", place.path("link")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn switch_link(&self, target: &str) {
        let _ = fs::remove_file(self.path("new-link"));
        symlink(target, self.path("new-link")).unwrap();
        fs::rename(self.path("new-link"), self.path("link")).unwrap();
    }
}

/// Puts 300 artifacts, each by an instance that has just started, while `change` is done over and
/// over. Returns those that were acknowledged.
fn put_while(store: &ArtifactStore, change: impl Fn() + Sync) -> Vec<String> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                change();
            }
        });
        // Also where a call panics.
        let _done = Done(&done);
        let mut busy = Vec::new();
        let acknowledged = (0..300).map(|n| format!("k{n}")).filter(|key| {
            busy.push(occupy(store));
            store.put(key, key.clone()).is_ok()
        });
        acknowledged.collect()
    })
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps the idle instance, so that the next call starts another one.
fn occupy(store: &ArtifactStore) -> ArtifactReader {
    let mut reader = store.read("large", ReadOptions::default()).unwrap();
    reader.read_exact(&mut [0]).unwrap();
    reader
}

fn open(dir: &Path) -> ArtifactStore {
    // Each reader has a file open.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let grants = Grants::none().read_write(dir, "/").env("ARTIFACT_STORE_SYNC", "off");
    let limits = Limits::default().concurrency(1000);
    let backend = Backend::fs(".").grants(grants).limits(limits).sweep_older_than(None);
    let store = ArtifactStore::open(backend).unwrap();
    store.put("large", vec![7; 8 << 20]).unwrap();
    store
}

fn found(store: &ArtifactStore, keys: &[String]) {
    assert_eq!(keys.len(), 300, "none failed");
    for key in keys {
        assert_eq!(store.get(key).unwrap(), **key, "{key} was acknowledged");
    }
}

#[test]
fn what_is_acknowledged_is_found_while_a_link_is_switched() {
    let place = Place::new();
    let store = open(&place.path("link"));
    let keys = put_while(&store, || {
        place.switch_link("b");
        place.switch_link("a");
    });
    place.switch_link("b");
    found(&store, &keys);
    assert_eq!(fs::read_dir(place.path("b")).unwrap().count(), 0);
    // A new store takes what the path names now.
    assert!(ArtifactStore::open_dir(place.path("link")).unwrap().list("k").next().is_none());
    found(&ArtifactStore::open_dir(place.path("a")).unwrap(), &keys);
}

#[test]
fn what_is_acknowledged_is_found_while_the_directory_is_replaced() {
    let place = Place::new();
    let store = open(&place.path("a"));
    let keys = put_while(&store, || {
        fs::rename(place.path("a"), place.path("away")).unwrap();
        fs::create_dir(place.path("a")).unwrap();
        std::thread::yield_now();
        fs::remove_dir(place.path("a")).unwrap();
        fs::rename(place.path("away"), place.path("a")).unwrap();
    });
    fs::rename(place.path("a"), place.path("away")).unwrap();
    fs::create_dir(place.path("a")).unwrap();
    found(&store, &keys);
    assert_eq!(fs::read_dir(place.path("a")).unwrap().count(), 0);
    found(&ArtifactStore::open_dir(place.path("away")).unwrap(), &keys);
}

/// The same for the other generation of WASI, where each call follows on a trap.
#[test]
fn a_component_for_wasi_0_2_goes_on_with_the_directory_too() {
    let place = Place::new();
    let grants = Grants::none().read_write(place.path("link"), "/");
    let store = ArtifactStore::open(Backend::from_file(guest("intruder")).grants(grants)).unwrap();
    for n in 0..50 {
        place.switch_link(if n % 2 == 0 { "b" } else { "a" });
        store.get("abort").unwrap_err();
        assert_eq!(store.get(&format!("create /{n}")).unwrap(), "done");
    }
    store.get("abort").unwrap_err();
    for n in 0..50 {
        assert_eq!(store.get(&format!("read /{n}")).unwrap(), "intruded");
    }
    assert_eq!(fs::read_dir(place.path("b")).unwrap().count(), 0);
}

#[test]
fn a_store_says_once_that_its_path_names_another_directory() {
    for change in [
        (|place: &Place| place.switch_link("b")) as fn(&Place),
        |place| {
            fs::rename(place.path("a"), place.path("away")).unwrap();
            fs::create_dir(place.path("a")).unwrap();
        },
        |place| fs::rename(place.path("a"), place.path("away")).unwrap(),
        |place| fs::remove_file(place.path("link")).unwrap(),
        |place| {
            fs::rename(place.path("a"), place.path("away")).unwrap();
            fs::write(place.path("a"), "a file").unwrap();
        },
    ] {
        let place = Place::new();
        let ((), log) = logged(|| {
            let store = open(&place.path("link"));
            let _busy = occupy(&store);
            store.put("k", "1").unwrap();
        });
        assert!(!log.contains(WARNING), "{log}");
        let ((), log) = logged(|| {
            let store = open(&place.path("link"));
            change(&place);
            let mut busy = Vec::new();
            for _ in 0..3 {
                busy.push(occupy(&store));
                store.put("k", "2").unwrap();
                assert_eq!(store.get("k").unwrap(), "2");
            }
        });
        assert_eq!(log.matches(WARNING).count(), 1, "{log}");
        assert!(log.contains("WARN"), "{log}");
        assert!(log.contains(&place.path("link").display().to_string()), "{log}");
    }
}

/// Whoever watches says so without a call.
#[test]
fn a_watched_store_says_that_its_path_names_another_directory() {
    let place = Place::new();
    let file = place.path("stores.toml");
    let text = "[stores.main]\nbackend = 'fs'\ndirectories = [{ host = 'link' }]\n";
    fs::write(&file, text).unwrap();
    let (store, watch) =
        ArtifactStore::open_watched(&file, "main", SwapOptions::default()).unwrap();
    store.put("k", "in a").unwrap();
    // The watch is no thread of this test's own.
    let log = global_log();
    place.switch_link("b");
    let begun = Instant::now();
    let told = || {
        let log = log.lock().unwrap();
        let text = String::from_utf8_lossy(&log).into_owned();
        text.contains(WARNING) && text.contains(&place.path("link").display().to_string())
    };
    while !told() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{watch:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(store.get("k").unwrap(), "in a");
    assert_eq!(watch.status().swaps, 0);
}

/// What is logged on all threads whose test has no log of its own.
fn global_log() -> Arc<Mutex<Vec<u8>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || Shared(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_store_on_a_removed_directory_acknowledges_nothing() {
    let place = Place::new();
    for backend in [
        Backend::fs(place.path("a")),
        Backend::from_file(guest("plain")).grants(Grants::none().read_write(place.path("b"), "/")),
    ] {
        let store = ArtifactStore::open(backend).unwrap();
        store.put("k", "x").unwrap();
        for name in ["a", "b"] {
            let _ = fs::remove_dir_all(place.path(name));
        }
        for _ in 0..3 {
            let error = store.put("k2", "y").unwrap_err();
            assert!(!matches!(error.kind(), ErrorKind::Load(_) | ErrorKind::Trap(_)), "{error:?}");
            assert!(store.get("k2").is_err());
        }
        // One of the same name is another one.
        for name in ["a", "b"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        store.put("k2", "y").unwrap_err();
    }
    assert_eq!(fs::read_dir(place.path("a")).unwrap().count(), 0);
}

#[test]
fn a_swap_takes_what_the_path_names_then() {
    let place = Place::new();
    let store = ArtifactStore::open(Backend::fs(place.path("link"))).unwrap();
    store.put("k", "in a").unwrap();
    place.switch_link("b");
    assert_eq!(store.get("k").unwrap(), "in a");
    let before = store.swap(Backend::fs(place.path("link")), SwapOptions::default()).unwrap();
    assert!(store.get("k").is_err());
    store.put("k", "in b").unwrap();
    store.swap_loaded(before, SwapOptions::default());
    assert_eq!(store.get("k").unwrap(), "in a");
}

/// Many readers of one open directory do not disturb each other.
#[test]
fn instances_that_share_a_directory_list_it_at_the_same_time() {
    let place = Place::new();
    let store = ArtifactStore::open_dir(place.path("a")).unwrap();
    for n in 0..200 {
        store.put(&format!("k{n}"), "x").unwrap();
        fs::write(place.path("b").join(format!("{n}")), "").unwrap();
    }
    let grants = Grants::none().read_write(place.path("b"), "/");
    let other = ArtifactStore::open(Backend::from_file(guest("intruder")).grants(grants)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(store.list("").map(Result::unwrap).count(), 200);
                    let listed = other.get("list /").unwrap();
                    assert_eq!(listed.split(|byte| *byte == b',').count(), 200);
                }
            });
        }
    });
}
