//! A store that follows its configuration file and its component's file, while it serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind, LoadError, SwapOptions, Watch};
use artifact_store_tests::guest;
use tempfile::TempDir;

/// Nothing here takes as long, however loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Directories `a` and `b`, a component file and a configuration file that names it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for name in ["a", "b"] {
            fs::create_dir(place.path(name)).unwrap();
            let store = ArtifactStore::open_dir(place.path(name)).unwrap();
            store.put("k", format!("in {name}")).unwrap();
        }
        fs::write(place.path("backend.wasm"), Backend::fs_component()).unwrap();
        place.configure("a", "");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, dir: &str, more: &str) {
        let text = format!(
            "[stores.main]\nbackend = 'backend.wasm'\n{more}\n\
             [[stores.main.directories]]\nhost = '{dir}'\n"
        );
        self.replace("stores.toml", text);
    }

    /// Replaces a file by renaming another one over it.
    fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, content).unwrap();
        fs::rename(&new, self.path(name)).unwrap();
    }

    fn open(&self) -> (ArtifactStore, Watch) {
        let file = self.path("stores.toml");
        ArtifactStore::open_watched(file, "main", SwapOptions::default()).unwrap()
    }
}

/// A component with another digest that does what the built-in one does: with a custom section
/// at its end.
fn variant(n: u8) -> Vec<u8> {
    let mut component = Backend::fs_component().to_vec();
    component.extend([0, 3, 1, b'n', n]);
    component
}

fn digest_of(bytes: Vec<u8>) -> String {
    let backend = Backend::from_bytes("variant", bytes);
    ArtifactStore::open(backend).unwrap().backend().digest().to_owned()
}

#[track_caller]
pub fn eventually(what: &str, watch: &Watch, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came: {watch:?}");
        sleep(Duration::from_millis(10));
    }
}

/// Returns when the files have been looked at after this was called, twice: the first look may have
/// begun before.
#[track_caller]
fn looked_at(watch: &Watch) {
    let before = watch.status().checks;
    eventually("a look", watch, || watch.status().checks >= before + 2);
}

/// Calls the store without pause while `work` is done; not one call may fail.
fn under_load(store: &ArtifactStore, work: impl FnOnce()) {
    let (done, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(store.get("k").unwrap().starts_with(b"in "));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Also where the work fails.
        let _done = Done(&done);
        work();
    });
    assert!(calls.load(Ordering::Relaxed) > 0);
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_component_that_is_replaced_by_renaming_takes_over() {
    let place = Place::new();
    let (store, watch) = place.open();
    let new = digest_of(variant(1));
    assert_ne!(store.backend().digest(), new);
    under_load(&store, || {
        place.replace("backend.wasm", variant(1));
        eventually("the new backend", &watch, || store.backend().digest() == new);
    });
    assert_eq!(watch.status().swaps, 1);
    // Another engine of storage under the same name.
    place.replace("backend.wasm", fs::read(guest("plain")).unwrap());
    eventually("the plain backend", &watch, || store.get("k").is_err());
    store.put("k", "as a plain file").unwrap();
    assert!(place.path("a/6b.data").exists());
}

/// A layer is a file like any other: a new one takes over as part of its stack.
#[test]
fn a_layer_that_is_replaced_takes_over() {
    let place = Place::new();
    fs::copy(guest("prefix"), place.path("layer.wasm")).unwrap();
    place.configure("a", "layers = [{ component = 'layer.wasm', env = { PREFIX = 'in/' } }]");
    let (store, watch) = place.open();
    store.put("k", "in a, below a prefix").unwrap();
    let (before, below) = (store.backend(), store.below().unwrap().backend());
    under_load(&store, || {
        let mut layer = fs::read(guest("prefix")).unwrap();
        layer.extend([0, 3, 1, b'n', 1]);
        place.replace("layer.wasm", layer);
        eventually("the new layer", &watch, || store.backend().digest() != before.digest());
    });
    assert_eq!(store.below().unwrap().backend().digest(), below.digest());
    assert_eq!(watch.status().swaps, 1);
    assert_eq!(store.get("k").unwrap(), "in a, below a prefix");
    // One that hands on what it is given, under the same name.
    place.replace("layer.wasm", fs::read(guest("layer")).unwrap());
    eventually("the plain layer", &watch, || store.get("k").unwrap() == "in a");
    assert_eq!(store.get("in/k").unwrap(), "in a, below a prefix");
}

#[test]
fn a_component_that_is_rewritten_in_place_slowly_takes_over_when_it_is_whole() {
    let place = Place::new();
    let (store, watch) = place.open();
    let (old, new) = (store.backend().digest().to_owned(), digest_of(variant(1)));
    under_load(&store, || {
        use std::io::Write;
        let component = variant(1);
        let mut file = fs::File::create(place.path("backend.wasm")).unwrap();
        for part in component.chunks(component.len() / 8) {
            file.write_all(part).unwrap();
            file.flush().unwrap();
            sleep(Duration::from_millis(400));
            let serving = store.backend().digest().to_owned();
            assert!(serving == old || serving == new, "half a component serves");
        }
        eventually("the new backend", &watch, || store.backend().digest() == new);
    });
    assert_eq!(watch.status().swaps, 1);
    assert!(watch.status().last_error.is_none());
}

#[test]
fn a_component_that_is_removed_and_created_again_takes_over() {
    let place = Place::new();
    let (store, watch) = place.open();
    let new = digest_of(variant(1));
    under_load(&store, || {
        fs::remove_file(place.path("backend.wasm")).unwrap();
        eventually("the error", &watch, || watch.status().last_error.is_some());
        let error = watch.status().last_error.unwrap();
        assert!(matches!(error.kind(), ErrorKind::Load(LoadError::Read(_))), "{error}");
        fs::write(place.path("backend.wasm"), variant(1)).unwrap();
        eventually("the new backend", &watch, || store.backend().digest() == new);
    });
    assert!(watch.status().last_error.is_none());
    // With its whole folder, and as the same file as before: then there is nothing to do.
    fs::rename(place.path("stores.toml"), place.path("a/stores.toml")).unwrap();
    eventually("the error", &watch, || watch.status().last_error.is_some());
    fs::rename(place.path("a/stores.toml"), place.path("stores.toml")).unwrap();
    eventually("its end", &watch, || watch.status().last_error.is_none());
    assert_eq!(watch.status().swaps, 1);
}

#[test]
fn a_folder_that_is_made_again_is_watched_again() {
    let place = Place::new();
    fs::create_dir(place.path("c")).unwrap();
    fs::rename(place.path("backend.wasm"), place.path("c/backend.wasm")).unwrap();
    let text = fs::read_to_string(place.path("stores.toml")).unwrap();
    place.replace("stores.toml", text.replace("backend.wasm", "c/backend.wasm"));
    let (store, watch) = place.open();
    fs::remove_dir_all(place.path("c")).unwrap();
    eventually("the error", &watch, || watch.status().last_error.is_some());
    for n in 1..3 {
        fs::create_dir_all(place.path("c")).unwrap();
        fs::write(place.path("c/backend.wasm"), variant(n)).unwrap();
        let new = digest_of(variant(n));
        eventually("the new backend", &watch, || store.backend().digest() == new);
    }
}

#[test]
fn of_a_hundred_changes_in_a_second_the_last_one_serves() {
    let place = Place::new();
    let (store, watch) = place.open();
    let last = digest_of(variant(100));
    under_load(&store, || {
        for n in 1..=100 {
            place.replace("backend.wasm", variant(n));
            sleep(Duration::from_millis(8));
        }
        eventually("the last one", &watch, || store.backend().digest() == last);
    });
    let swaps = watch.status().swaps;
    assert!(swaps < 50, "{swaps} swaps are one for nearly each change");
    looked_at(&watch);
    assert_eq!(store.backend().digest(), last);
}

#[test]
fn the_old_backend_serves_until_a_good_one_is_there() {
    let place = Place::new();
    let (store, watch) = place.open();
    let old = store.backend().digest().to_owned();
    let new = digest_of(variant(1));
    under_load(&store, || {
        let broken = |name: &str| fs::read(guest(name)).unwrap();
        for bad in [
            b"<html>404</html>".to_vec(),
            Vec::new(),
            variant(1)[..100_000].to_vec(),
            broken("later_version"),
            broken("asks_for_more"),
        ] {
            place.replace("backend.wasm", &bad);
            eventually("the error", &watch, || watch.status().last_error.is_some());
            assert_eq!(store.backend().digest(), old);
            // The one that serves is no news.
            place.replace("backend.wasm", Backend::fs_component());
            eventually("its end", &watch, || watch.status().last_error.is_none());
        }
        assert_eq!(watch.status().swaps, 0);
        place.replace("backend.wasm", variant(1));
        eventually("the new backend", &watch, || store.backend().digest() == new);
    });
}

#[test]
fn a_broken_configuration_changes_nothing_until_it_is_mended() {
    let place = Place::new();
    let (store, watch) = place.open();
    under_load(&store, || {
        for (text, why) in [
            ("[stores.main", "this is no TOML"),
            ("", "there is no store;"),
            ("[stores.other]\nbackend = 'other.wasm'\n", "there is no store `main`"),
            ("[stores.main]\n", "`stores.main.backend` is missing"),
        ] {
            fs::write(place.path("stores.toml"), text).unwrap();
            let error = || watch.status().last_error.map(|error| error.to_string());
            eventually(why, &watch, || error().is_some_and(|error| error.contains(why)));
            assert_eq!(store.get("k").unwrap(), "in a");
        }
        place.configure("b", "");
        eventually("the other directory", &watch, || store.get("k").unwrap() == "in b");
    });
    assert!(watch.status().last_error.is_none());
    assert_eq!(watch.status().swaps, 1);
}

#[test]
fn a_changed_limit_grant_or_directory_is_a_change() {
    let place = Place::new();
    let (store, watch) = place.open();
    let digest = store.backend().digest().to_owned();
    under_load(&store, || {
        place.configure("b", "");
        eventually("the directory", &watch, || store.get("k").unwrap() == "in b");
    });
    store.put("k2", "123456").unwrap();
    place.configure("b", "limits = { buffer = 5 }");
    eventually("the limit", &watch, || store.get("k2").is_err());
    assert!(matches!(store.get("k2").unwrap_err().kind(), ErrorKind::TooLarge { limit: 5 }));
    let swaps = watch.status().swaps;
    // The grant of a variable cannot be seen but by the backend.
    place.configure("b", "env = { ARTIFACT_STORE_SYNC = 'off' }");
    eventually("the variable", &watch, || watch.status().swaps > swaps);
    assert_eq!(store.get("k2").unwrap(), "123456");
    let text = fs::read_to_string(place.path("stores.toml")).unwrap();
    place.replace("stores.toml", text + "read-only = true\n");
    eventually("the grant", &watch, || store.put("k2", "x").is_err());
    assert!(matches!(store.put("k2", "x").unwrap_err().kind(), ErrorKind::AccessDenied(_)));
    assert_eq!(store.backend().digest(), digest, "it is the same component throughout");
}

#[test]
fn what_stays_the_same_is_not_swapped() {
    let place = Place::new();
    let (store, watch) = place.open();
    for round in 0..3 {
        place.replace("backend.wasm", Backend::fs_component());
        fs::write(place.path("backend.wasm"), Backend::fs_component()).unwrap();
        let text = fs::read_to_string(place.path("stores.toml")).unwrap();
        let other = format!("# {round}\n{text}[stores.other{round}]\nbackend = 'none.wasm'\n");
        place.replace("stores.toml", other);
        fs::write(place.path("unrelated"), "x").unwrap();
        looked_at(&watch);
    }
    let status = watch.status();
    assert_eq!((status.swaps, status.last_error.is_none()), (0, true), "{status:?}");
    assert_eq!(store.get("k").unwrap(), "in a");
}

#[test]
fn a_directory_that_comes_later_is_found_without_a_change() {
    let place = Place::new();
    let (store, watch) = place.open();
    place.configure("later", "");
    eventually("the error", &watch, || watch.status().last_error.is_some());
    assert_eq!(store.get("k").unwrap(), "in a");
    fs::rename(place.path("b"), place.path("later")).unwrap();
    eventually("the directory", &watch, || store.get("k").unwrap() == "in b");
    assert!(watch.status().last_error.is_none());
}

#[test]
fn a_pinned_store_takes_the_component_when_both_fit() {
    let place = Place::new();
    let pin = |digest: &str| place.configure("a", &format!("digest = '{digest}'"));
    let (old, new) = (digest_of(Backend::fs_component().to_vec()), digest_of(variant(1)));
    pin(&old);
    let (store, watch) = place.open();
    place.replace("backend.wasm", variant(1));
    eventually("the refusal", &watch, || watch.status().last_error.is_some());
    let error = watch.status().last_error.unwrap();
    let is_wrong = matches!(error.kind(), ErrorKind::Load(LoadError::WrongDigest { .. }));
    assert!(is_wrong, "{error}");
    assert_eq!(store.backend().digest(), old);
    pin(&new);
    eventually("the pinned one", &watch, || store.backend().digest() == new);
}

/// As Kubernetes replaces the files of a volume: by a link to another folder.
#[test]
#[cfg(unix)]
fn what_a_link_leads_to_is_followed() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    for (name, content) in [("v1", Backend::fs_component().to_vec()), ("v2", variant(1))] {
        fs::create_dir(place.path(name)).unwrap();
        fs::write(place.path(name).join("backend.wasm"), content).unwrap();
    }
    fs::remove_file(place.path("backend.wasm")).unwrap();
    symlink("v1", place.path("current")).unwrap();
    symlink("current/backend.wasm", place.path("backend.wasm")).unwrap();
    let (store, watch) = place.open();
    symlink("v2", place.path("next")).unwrap();
    fs::rename(place.path("next"), place.path("current")).unwrap();
    let new = digest_of(variant(1));
    eventually("the new backend", &watch, || store.backend().digest() == new);
}

#[test]
fn dropping_the_watch_ends_the_watching() {
    let place = Place::new();
    let (store, watch) = place.open();
    // The other store of the same file shows when the change could have been seen.
    let (_, other) = place.open();
    drop(watch);
    place.configure("b", "");
    eventually("the change", &other, || other.status().swaps == 1);
    looked_at(&other);
    assert_eq!(store.get("k").unwrap(), "in a");
}

#[tokio::test]
async fn the_async_store_follows_too() {
    let place = Place::new();
    let open = |file: PathBuf| async move {
        artifact_store::ArtifactStore::open_watched(file, "main", SwapOptions::default()).await
    };
    let (store, watch) = open(place.path("stores.toml")).await.unwrap();
    place.configure("b", "");
    let begun = Instant::now();
    while store.get("k").await.unwrap() != "in b" {
        assert!(begun.elapsed() < PATIENCE, "{watch:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fs::write(place.path("stores.toml"), "[stores").unwrap();
    let error = open(place.path("stores.toml")).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Configuration(_)), "{error}");
    assert!(open(Path::new("no/such/file").to_owned()).await.is_err());
}
