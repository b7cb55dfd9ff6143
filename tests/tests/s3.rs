//! The S3 backend on a real service. Where the variable `WEED` names no SeaweedFS the tests are
//! reported as ignored; in CI that is a failure.

use std::sync::{Arc, OnceLock};

use artifact_store::Sign;
use artifact_store::blocking::ArtifactStore;
use artifact_store_tests::rules::RULES;
use artifact_store_tests::weed::{self, Weed};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let is_there = weed::binary().is_some();
    let server: Arc<OnceLock<Weed>> = Arc::default();
    let mut trials = Vec::new();
    for (name, sign) in [("host", Sign::Host), ("backend", Sign::Backend)] {
        for rule in RULES {
            let server = Arc::clone(&server);
            trials.push(Trial::test(format!("sign_{name}::{}", rule.name), move || {
                let server = server.get_or_init(Weed::start);
                let prefix = format!("{name}/{}", rule.name);
                (rule.check)(&ArtifactStore::open(server.backend(&prefix, sign))?);
                Ok(())
            }));
        }
    }
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(!is_there)).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    // The exit below runs no destructor, and the server must not outlive the tests.
    if let Some(server) = server.get() {
        server.end();
    }
    conclusion.exit();
}
