//! Every rule of the contract on every backend, through one compiled host.

use artifact_store::blocking::ArtifactStore;
use artifact_store::{Backend, ErrorKind};
use artifact_store_tests::guest_on;
use artifact_store_tests::rules::{Needs, RULES, stat_tells_the_checksum};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let fs = |dir: &std::path::Path| Backend::fs(dir);
    let plain = |dir: &std::path::Path| guest_on("plain", dir);
    let unspliced = |dir: &std::path::Path| Backend::fs(dir).splice(false);
    let all = [Needs::Nothing, Needs::Streams, Needs::Inventory];
    let mut trials = trials("fs", fs, &all);
    trials.extend(self::trials("fs without splice", unspliced, &all));
    trials.extend(self::trials("plain", plain, &[Needs::Nothing]));
    trials.push(Trial::test("fs::stat_tells_the_checksum", move || {
        let dir = tempfile::tempdir()?;
        stat_tells_the_checksum(&ArtifactStore::open(fs(dir.path()))?);
        Ok(())
    }));
    trials.push(Trial::test("plain::what_it_does_not_offer_is_unsupported", || {
        let dir = tempfile::tempdir()?;
        let store = ArtifactStore::open(guest_on("plain", dir.path()))?;
        for error in [
            store.stat("k").unwrap_err(),
            store.list("").next().unwrap().unwrap_err(),
            store.create("k", "x").unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
        }
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trials(
    name: &str,
    backend: impl Fn(&std::path::Path) -> Backend + Copy + Send + 'static,
    offered: &[Needs],
) -> Vec<Trial> {
    let rules = RULES.iter().filter(|rule| offered.contains(&rule.needs));
    rules
        .map(|rule| {
            Trial::test(format!("{name}::{}", rule.name), move || {
                let dir = tempfile::tempdir()?;
                (rule.check)(&ArtifactStore::open(backend(dir.path()))?);
                Ok(())
            })
        })
        .collect()
}
