//! Every rule of the contract on the backends in other languages.
//!
//! `guest/build-languages.sh` builds them, with tools that are not Rust's; the variable
//! `ARTIFACT_STORE_LANGUAGE_BACKENDS` names the directory where it put them. Without it these
//! tests are shown as ignored.

use std::path::{Path, PathBuf};

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, Grants};
use artifact_store_tests::rules::{Needs, RULES};
use libtest_mimic::{Arguments, Failed, Trial};

const VARIABLE: &str = "ARTIFACT_STORE_LANGUAGE_BACKENDS";
const EVERYTHING: &[Needs] = &[Needs::Nothing, Needs::Streams, Needs::Inventory];

fn main() {
    let built = std::env::var_os(VARIABLE).map(PathBuf::from);
    let languages =
        [("python", EVERYTHING), ("javascript", EVERYTHING), ("c", &[Needs::Nothing][..])];
    let mut trials = Vec::new();
    for (language, offered) in languages {
        for rule in RULES.iter().filter(|rule| offered.contains(&rule.needs)) {
            trials.push(trial(format!("{language}::{}", rule.name), &built, move |built| {
                let dir = tempfile::tempdir()?;
                (rule.check)(&ArtifactStore::open(backend(built, language, dir.path()))?);
                Ok(())
            }));
        }
    }
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
