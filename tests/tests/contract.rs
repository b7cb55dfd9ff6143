//! Every check of the contract on the backends of this repository that need no service.

use std::io::Read;
use std::path::Path;

use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::{Target, Way};
use artifact_store::{Backend, ErrorKind, Limits, WriteOptions};
use artifact_store_tests::contract::{trials, trials_in};
use artifact_store_tests::{guest_on, layer_on};
use libtest_mimic::{Arguments, Trial};

/// What the built-in backend does not have.
const FS: &[&str] = &["copying"];

/// What the second backend does not have.
const PLAIN: &[&str] = &[
    "streams",
    "inventory",
    "conditional",
    "copying",
    "ordered",
    "maintenance",
    "settings",
    "a checksum",
];

/// What no layer of these has.
const LAYER: &[&str] = &[
    "conditional",
    "copying",
    "ordered",
    "maintenance",
    "settings",
    "a part of the store below as a store of its own",
    "payloads that differ below",
];

/// What a part of a store has not: it hands on payloads as they are.
const PREFIX: &[&str] =
    &["conditional", "copying", "ordered", "maintenance", "payloads that differ below"];

/// What one that rewrites payloads does not know.
const REWRITES: &[&str] =
    &["conditional", "copying", "ordered", "maintenance", "settings", "a checksum"];

fn main() {
    let mut all = trials("fs", Target::in_directories(|dir| Backend::fs(dir)), FS);
    let unspliced = Target::in_directories(|dir| Backend::fs(dir).splice(false));
    all.extend(trials_in("fs without splice", &unspliced, FS, Way::Host));
    // Calls wait for their turn, and only through the host none waits for a later one.
    let single = Target::in_directories(one_at_a_time);
    all.extend(trials_in("fs, one at a time", &single, FS, Way::Host));
    all.extend(trials("plain", Target::in_directories(|dir| guest_on("plain", dir)), PLAIN));
    let layer = Target::in_directories(|dir| layer_on("layer", None, dir));
    all.extend(trials("layer layer", layer, LAYER));
    for (name, variable, lacking) in
        [("prefix", ("PREFIX", "team/"), PREFIX), ("wrong_layer", ("FAULT", ""), REWRITES)]
    {
        let target = Target::in_directories(move |dir| layer_on(name, Some(variable), dir));
        all.extend(trials_in(&format!("layer {name}"), &target, lacking, Way::Reused));
    }
    all.push(Trial::test("plain::what_it_does_not_offer_is_unsupported", || {
        let dir = tempfile::tempdir()?;
        let store = ArtifactStore::open(guest_on("plain", dir.path()))?;
        for error in [
            store.stat("k").unwrap_err(),
            store.list("").next().unwrap().unwrap_err(),
            store.put_new("k", "x").unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
        }
        Ok(())
    }));
    for (name, backend) in [("fs", built_in as fn(&Path) -> Backend), ("plain", plain)] {
        all.push(Trial::test(format!("{name}::a_failing_reader_stores_nothing"), move || {
            let dir = tempfile::tempdir()?;
            let store = ArtifactStore::open(backend(dir.path()))?;
            store.put("k", "old")?;
            let error = store.write("k", Failing(5), WriteOptions::default()).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error}");
            assert_eq!(store.get("k")?, "old");
            Ok(())
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}

fn built_in(dir: &Path) -> Backend {
    Backend::fs(dir)
}

fn plain(dir: &Path) -> Backend {
    guest_on("plain", dir)
}

/// The built-in backend with a single instance that serves all calls.
fn one_at_a_time(dir: &Path) -> Backend {
    Backend::fs(dir).limits(Limits::default().concurrency(1))
}

struct Failing(u32);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| std::io::Error::other("pulled out"))?;
        into.fill(7);
        Ok(into.len())
    }
}
