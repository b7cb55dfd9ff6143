//! The handles that a call may have open.

use std::fs;

use artifact_store::blocking::ArtifactStore;
use artifact_store::{ErrorKind, Limits, Resource};
use artifact_store_tests::guest_on;

use super::{GENERATIONS, Scene, call, done};

/// Each reading is a handle, and an open file of the process.
#[test]
fn readings_of_a_directory_that_are_hoarded_use_up_handles() {
    let scene = Scene::new();
    for generation in GENERATIONS {
        let what = format!("{generation} hoard-readings dir 1000");
        let error = scene.store.get(&what).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Exhausted { what: Resource::Handles, .. }),
            "{error:?}"
        );
        let few = call(&scene.store, generation, "hoard-readings dir 20");
        assert_eq!(few, done(), "{generation}");
    }
}

/// A backend that has no handle left for the file that it makes leaves no file.
#[test]
fn a_file_for_which_there_is_no_handle_is_not_made() {
    for generation in GENERATIONS {
        let scene = Scene::new();
        let limits = Limits::default().handles(32);
        let backend = guest_on("wasi_calls", scene.dir.path()).limits(limits);
        let store = ArtifactStore::open(backend).unwrap();
        let opens = |n: &usize| store.get(&format!("{generation} open-many r file {n}")).is_ok();
        let most = (1..100).take_while(opens).count();
        let error = store.get(&format!("{generation} make-many made- 100")).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Exhausted { what: Resource::Handles, .. }),
            "{error:?}"
        );
        let names = fs::read_dir(scene.dir.path()).unwrap().map(|found| found.unwrap().file_name());
        let made = names.filter(|name| name.to_string_lossy().starts_with("made-")).count();
        assert_eq!(made, most, "{generation}");
    }
}
