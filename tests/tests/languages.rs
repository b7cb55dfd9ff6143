//! Every rule of the contract on the backends in other languages.
//!
//! `guest/build-languages.sh` builds them, with tools that are not Rust's; the variable
//! `ARTIFACT_STORE_LANGUAGE_BACKENDS` names the directory where it put them. Without it these
//! tests are shown as ignored.

use std::path::{Path, PathBuf};

use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::Target;
use artifact_store::{Backend, Grants};
use artifact_store_tests::contract::trials;
use libtest_mimic::{Arguments, Failed, Trial};

const VARIABLE: &str = "ARTIFACT_STORE_LANGUAGE_BACKENDS";

fn main() {
    let built = std::env::var_os(VARIABLE).map(PathBuf::from);
    let mut trials = Vec::new();
    for (language, lacking) in [
        ("python", &["maintenance"][..]),
        // Its numbers have no room for a checksum.
        ("javascript", &["maintenance", "a checksum"]),
        ("c", &["streams", "inventory", "maintenance"]),
    ] {
        let file = built.clone().unwrap_or_default().join(language).with_extension("wasm");
        let target = Target::in_directories(move |dir| {
            Backend::from_file(&file).grants(Grants::none().read_write(dir, "/"))
        });
        let checks = self::trials(language, target, lacking);
        trials.extend(checks.into_iter().map(|trial| trial.with_ignored_flag(built.is_none())));
    }
    trials.push(trial(
        "each_reads_what_another_wrote".into(),
        &built,
        each_reads_what_another_wrote,
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A trial that is given the directory with the built backends, where there is one.
fn trial(
    name: String,
    built: &Option<PathBuf>,
    run: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let ignored = built.is_none();
    let built = built.clone().unwrap_or_default();
    Trial::test(name, move || run(&built)).with_ignored_flag(ignored)
}

fn backend(built: &Path, language: &str, dir: &Path) -> Backend {
    let file = built.join(language).with_extension("wasm");
    Backend::from_file(file).grants(Grants::none().read_write(dir, "/"))
}

/// The three share one format, so that a store can be handed from one to the other.
fn each_reads_what_another_wrote(built: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let stores = ["python", "javascript", "c"]
        .map(|language| (language, ArtifactStore::open(backend(built, language, dir.path()))));
    for (writer, store) in &stores {
        let store = store.as_ref().map_err(|e| e.to_string())?;
        let keys = [writer.to_string(), format!("{writer}/{}", "é".repeat(500))];
        for key in &keys {
            store.put(key, key.clone())?;
            for (reader, other) in &stores {
                let other = other.as_ref().map_err(|e| e.to_string())?;
                assert_eq!(other.get(key)?, key.as_bytes(), "{writer}, read by {reader}");
            }
        }
    }
    Ok(())
}
