//! Links and renames within a writable directory do not decide what a backend is granted.

use std::os::unix::fs::symlink;

use artifact_store::Grants;

use super::{Place, refused};

#[test]
fn no_directory_is_found_through_a_link_in_one_that_a_backend_writes() {
    let place = Place::new();
    symlink("../outside", place.path("data/link")).unwrap();
    symlink("data/link", place.path("to-link")).unwrap();
    // Of the same backend, whichever it is.
    for (path, dir) in [("data/link", "data"), ("to-link", "data"), ("to-link/.", "data")] {
        let grants =
            Grants::none().read_write(place.path(dir), "/").read_only(place.path(path), "/config");
        for text in [refused(place.foreign(grants.clone())), refused(place.ours(grants))] {
            let link = place.path("data/link").display().to_string();
            assert!(text.contains("is reached through") && text.contains(&link), "{text}");
            assert!(text.ends_with("which the same backend may change"), "{text}");
        }
    }
    // Of the process.
    for open in [place.foreign_on("data").unwrap(), place.ours_on("data").unwrap()] {
        let text = refused(place.ours_on("to-link"));
        assert!(text.contains("is reached through"), "{text}");
        drop(open);
    }
    // Of the configuration, open or not.
    place.configure(
        "[stores.a]\nbackend = 'INTRUDER'\ndirectories = [{ host = 'data' }]\n\
         [stores.b]\nbackend = 'fs'\ndirectories = [{ host = 'to-link' }]\n",
    );
    let text = refused(place.open("b"));
    assert!(
        text.contains("is reached through") && text.ends_with("store `a` may change"),
        "{text}"
    );
    // Out of its own directory: this link decides which one it is.
    symlink("../data", place.path("data/self")).unwrap();
    refused(place.foreign_on("data/self"));
    // An operator's own links are followed.
    place.ours_on("to-link").unwrap().put("k", "x").unwrap();
    assert!(place.path("outside/tmp").exists());
}

/// By renaming a directory a backend decides where `..` leads.
#[test]
fn no_directory_is_found_by_going_up_from_one_that_a_foreign_backend_moves() {
    let place = Place::new();
    let _open = place.foreign_on("data").unwrap();
    refused(place.ours_on("data/sub/../../other"));
    // It moves the root of its grant nowhere.
    place.ours_on("data/../other").unwrap();
}

/// The attack as it was made: `/sub` is renamed away and comes back as a link to elsewhere.
#[test]
fn what_a_backend_moves_within_its_directory_is_granted_to_nobody() {
    let place = Place::new();
    let store = place.foreign_on("data").unwrap();
    for what in ["rename /sub /gone", "symlink ../outside /sub"] {
        assert_eq!(store.get(what).unwrap(), "done");
    }
    let grants = Grants::none()
        .read_write(place.path("data"), "/")
        .read_only(place.path("data/sub"), "/config");
    refused(place.foreign(grants));
    refused(place.ours_on("data/sub"));
    store.get("abort").unwrap_err();
    assert!(store.get("read /sub/secret").is_err());
}
