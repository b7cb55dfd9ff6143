//! A directory that a backend may write neither holds nor lies in another granted one.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants, WriteOptions};
use artifact_store_tests::{cli, guest};

use super::{Place, ended, refused};

#[test]
fn one_backend_has_no_directory_in_a_writable_one() {
    let place = Place::new();
    let (outer, inner) = (place.path("data"), place.path("data/sub"));
    let all = [
        Grants::none().read_write(&outer, "/").read_only(&inner, "/config"),
        Grants::none().read_only(&inner, "/config").read_write(&outer, "/"),
        Grants::none().read_only(&outer, "/").read_write(&inner, "/config"),
        Grants::none().read_write(&outer, "/").read_write(&inner, "/config"),
        Grants::none().read_write(&outer, "/").read_only(&outer, "/config"),
        Grants::none().read_write(&outer, "/").read_only(place.path("data/sub/deep"), "/config"),
    ];
    for grants in all {
        for text in [refused(place.foreign(grants.clone())), refused(place.ours(grants))] {
            assert!(text.contains("directory of the same backend"), "{text}");
        }
    }
    let text =
        refused(place.foreign(Grants::none().read_only(&inner, "/config").read_write(&outer, "/")));
    let expected = format!(
        "the directory `{}` of backend `{}` lies in `{}`, a writable directory of the same backend",
        inner.display(),
        guest("intruder").display(),
        outer.display()
    );
    assert!(text.contains(&expected), "{text}");
    // Where nothing can be written, nothing can be moved.
    let grants = Grants::none().read_only(&outer, "/").read_only(&inner, "/config");
    place.foreign(grants.clone()).unwrap();
    place.ours(grants).unwrap();
    // Names that only begin alike, and neighbours.
    fs::create_dir(place.path("data-2")).unwrap();
    let grants = Grants::none().read_write(&outer, "/").read_write(place.path("data-2"), "/2");
    place.foreign(grants).unwrap();
}

/// What `data` is called makes no difference.
#[test]
fn directories_are_compared_as_the_system_sees_them() {
    let place = Place::new();
    symlink("data", place.path("alias")).unwrap();
    symlink(place.path("alias/sub"), place.path("absolute")).unwrap();
    for inner in ["alias/sub", "absolute", "other/../data/sub", "data/./sub/", "absolute/deep/.."] {
        let grants = Grants::none()
            .read_write(place.path("data"), "/")
            .read_only(place.path(inner), "/config");
        refused(place.foreign(grants));
    }
    for outer in ["alias", "other/../alias/.", "alias/sub/../../data"] {
        let grants = Grants::none()
            .read_write(place.path("data/sub"), "/")
            .read_only(place.path(outer), "/all");
        refused(place.foreign(grants));
    }
    let twice =
        Grants::none().read_write(place.path("data"), "/").read_only(place.path("alias"), "/2");
    refused(place.foreign(twice));
}

#[test]
fn a_relative_path_is_the_directory_that_it_names() {
    let place = Place::new();
    place.configure(
        "[stores.a]\nbackend = 'fs'\ndirectories = [{ host = 'data' }]\n\
         [stores.b]\nbackend = 'fs'\ndirectories = [{ host = 'other/../data/sub' }]\n",
    );
    let mut command = cli();
    command.current_dir(place.path("other")).args(["--config", "../stores.toml"]);
    let (code, text) = ended(command.args(["--store", "b", "list"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("of store `b` lies in") && text.contains("of store `a`"), "{text}");
}

#[test]
fn stores_that_are_open_have_no_directory_in_one_that_a_foreign_backend_writes() {
    let place = Place::new();
    let open = place.foreign_on("data").unwrap();
    let text = refused(place.ours_on("data/sub"));
    assert!(text.contains("of backend `fs` lies in"), "{text}");
    assert!(text.contains(&format!("of backend `{}`", guest("intruder").display())), "{text}");
    refused(place.foreign_on("data/sub"));
    refused(place.foreign(Grants::none().read_only(place.path("data/sub"), "/")));
    refused(place.foreign(Grants::none().read_only(place.0.path(), "/")));
    // The same directory: a swap, a second handle.
    let second = place.foreign_on("data").unwrap();
    let third = place.ours_on("data").unwrap();
    // They are given back.
    drop(open);
    refused(place.ours_on("data/sub"));
    drop((second, third));
    let inner = place.ours_on("data/sub").unwrap();
    refused(place.foreign_on("data"));
    refused(place.foreign(Grants::none().read_only(place.path("data"), "/")));
    drop(inner);
    place.foreign_on("data").unwrap();
}

#[test]
fn a_refused_backend_holds_nothing() {
    let place = Place::new();
    let nested = Grants::none()
        .read_write(place.path("data"), "/")
        .read_only(place.path("data/sub"), "/config");
    refused(place.foreign(nested));
    place.foreign_on("data/sub").unwrap();
    // Nor does one that does not start.
    let backend = Backend::from_file(guest("later_version"))
        .grants(Grants::none().read_write(place.path("data"), "/"));
    assert!(ArtifactStore::open(backend).is_err());
    place.foreign_on("data/sub").unwrap();
}

#[test]
fn open_stores_of_the_built_in_backend_may_have_nested_directories() {
    let place = Place::new();
    let outer = place.ours_on("data").unwrap();
    let inner = place.ours_on("data/sub").unwrap();
    // By its bytes, wherever they came from.
    let file = place.path("other/fs.wasm");
    fs::write(&file, Backend::fs_component()).unwrap();
    let grants = Grants::none().read_write(place.path("data/sub/deep"), "/");
    let innermost = ArtifactStore::open(Backend::from_file(&file).grants(grants)).unwrap();
    for store in [outer, inner, innermost] {
        store.put("k", "x").unwrap();
        assert_eq!(store.get("k").unwrap(), "x");
    }
}

/// A directory that was renamed since it was opened is where it is now.
#[test]
fn an_open_directory_is_compared_where_it_is_now() {
    let place = Place::new();
    let _open = place.foreign_on("data").unwrap();
    fs::rename(place.path("data"), place.path("other/moved")).unwrap();
    refused(place.foreign_on("other/moved/sub"));
    refused(place.foreign_on("other"));
    fs::create_dir_all(place.path("data/sub")).unwrap();
    place.foreign_on("data/sub").unwrap();
    place.foreign_on("data").unwrap();
}

/// What it has begun beside the calls ends with it, and a load waits for a call that still runs.
#[test]
fn a_store_that_was_dropped_hinders_nobody() {
    let place = Place::new();
    let tmp = place.path("data/tmp");
    drop(place.ours_on("data").unwrap());
    fs::create_dir_all(&tmp).unwrap();
    for n in 0..20_000 {
        fs::write(tmp.join(format!("{n:032x}")), "").unwrap();
    }
    let swept = Backend::fs(place.path("data")).sweep_older_than(Some(Duration::ZERO));
    for _ in 0..3 {
        drop(ArtifactStore::open(swept.clone()).unwrap());
        drop(place.foreign_on("data/sub").unwrap());
    }
    assert!(fs::read_dir(&tmp).unwrap().count() > 0, "the sweeps ended early");
}

#[test]
fn a_call_of_a_dropped_store_is_waited_for() {
    let place = Place::new();
    let store = place.ours_on("data").unwrap();
    let mut writer = store.writer("k", WriteOptions::default()).unwrap();
    drop(store);
    // A transfer that its application holds does not end by itself.
    refused(place.foreign_on("data/sub"));
    writer.write_all(b"all of it").unwrap();
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| place.foreign_on("data/sub"));
        std::thread::sleep(Duration::from_millis(200));
        writer.commit().unwrap();
        opened.join().unwrap().unwrap();
    });
}
