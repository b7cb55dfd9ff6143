//! The backends in other languages, as their authors and their users meet them: the real command
//! puts each through the rules, and a store is handed from one to the other.
//!
//! `guest/build-languages.sh` builds them, with tools that are not Rust's; the variable
//! `ARTIFACT_STORE_LANGUAGE_BACKENDS` names the directory where it put them. Without it these
//! tests are shown as ignored.

use std::path::{Path, PathBuf};

use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::{Outcome, Target, Way, checks};
use artifact_store::{Backend, Grants};
use artifact_store_tests::cli;
use libtest_mimic::{Arguments, Failed, Trial};

const VARIABLE: &str = "ARTIFACT_STORE_LANGUAGE_BACKENDS";

/// Each, and what it does not offer.
const LANGUAGES: [(&str, &[&str]); 3] = [
    ("python", &["maintenance", "settings"]),
    // Its numbers have no room for a checksum.
    ("javascript", &["maintenance", "settings", "a checksum"]),
    (
        "c",
        &["streams", "inventory", "maintenance", "settings", "streams or inventory", "a checksum"],
    ),
];

fn main() {
    let mut trials = Vec::new();
    for (language, lacking) in LANGUAGES {
        trials.push(trial(&format!("{language}_keeps_every_rule_that_it_offers"), move |built| {
            is_right(built, language, lacking)
        }));
        trials.push(trial(&format!("{language}_keeps_them_through_the_host"), move |built| {
            is_right_through_host(built, language)
        }));
    }
    trials.push(trial("each_reads_what_another_wrote", each_reads_what_another_wrote));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A trial that is given the directory with the built backends, where there is one.
fn trial(name: &str, run: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static) -> Trial {
    let built = std::env::var_os(VARIABLE).map(PathBuf::from);
    let is_built = built.is_some();
    Trial::test(name, move || run(&built.unwrap_or_default())).with_ignored_flag(!is_built)
}

fn file(built: &Path, language: &str) -> PathBuf {
    built.join(language).with_extension("wasm")
}

fn backend(built: &Path, language: &str, dir: &Path) -> Backend {
    Backend::from_file(file(built, language)).grants(Grants::none().read_write(dir, "/"))
}

/// `artifact-store check`, as in the CI of their authors.
fn is_right(built: &Path, language: &str, lacking: &[&str]) -> Result<(), Failed> {
    let output = cli().arg("check").arg(file(built, language)).arg("--json").output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|reason| format!("{reason}: {}: {error}", output.status))?;
    let lines = report["checks"].as_array().ok_or("a report without checks")?;
    let failures: Vec<_> = lines.iter().filter(|line| line["failure"].is_object()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(lines.len(), checks().count());
    for line in lines.iter().filter(|line| line["outcome"] != "passed") {
        let is_expected = line["not_offered"].as_str().is_some_and(|what| lacking.contains(&what));
        assert!(is_expected, "{line:#}");
    }
    Ok(())
}

/// What an application sees: transfers that the host buffers, or reads for it.
fn is_right_through_host(built: &Path, language: &'static str) -> Result<(), Failed> {
    let built = built.to_owned();
    let target = Target::in_directories(move |dir| backend(&built, language, dir));
    for check in checks().filter(|check| check.runs(Way::Host)) {
        if let Outcome::Failed(failure) = check.run(&target, Way::Host, 1)? {
            return Err(Failed::from(format!("{}\n{failure}", check.sentence())));
        }
    }
    Ok(())
}

/// The three share one format, so that a store can be handed from one to the other.
fn each_reads_what_another_wrote(built: &Path) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let stores = LANGUAGES
        .map(|(language, _)| (language, ArtifactStore::open(backend(built, language, dir.path()))));
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
