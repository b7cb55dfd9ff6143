//! The checks of the contract as tests, for every backend in every way to reach it.

use std::sync::Arc;

use artifact_store::conformance::{Outcome, Target, Way, checks, layer_checks};
use libtest_mimic::{Failed, Trial};

/// All checks on one backend. What it is known to lack is not asked for: any other check that
/// says that something is not offered is a failure.
pub fn trials(name: &str, target: Target, lacking: &'static [&'static str]) -> Vec<Trial> {
    [Way::Reused, Way::Fresh, Way::Host]
        .into_iter()
        .flat_map(move |way| trials_in(name, &target.clone(), lacking, way))
        .collect()
}

/// The same in one way.
pub fn trials_in(
    name: &str,
    target: &Target,
    lacking: &'static [&'static str],
    way: Way,
) -> Vec<Trial> {
    let (target, is_layer) = (Arc::new(target.clone()), target.is_layer());
    let trial = |check: &'static artifact_store::conformance::Check| {
        let target = Arc::clone(&target);
        let name = format!("{name}::{way:?}::{}", check.name());
        Trial::test(name, move || match check.run(&target, way, 1)? {
            Outcome::Passed => Ok(()),
            // Of a layer alone: a key that becomes too long below.
            Outcome::Allowed(_) if target.is_layer() => Ok(()),
            Outcome::Allowed(what) => Err(Failed::from(what)),
            Outcome::NotOffered(what) if what.split(" or ").all(|what| lacking.contains(&what)) => {
                Ok(())
            }
            Outcome::NotOffered(what) => Err(Failed::from(format!("it offers no {what}"))),
            Outcome::Failed(failure) | Outcome::TooSlow(failure) => {
                let (rule, sentence) = (check.rules()[0], check.sentence());
                Err(Failed::from(format!("{rule}: {sentence}\n{failure}")))
            }
        })
    };
    let of_layers = layer_checks().filter(|_| is_layer);
    checks().chain(of_layers).filter(|check| check.runs(way)).map(trial).collect()
}
