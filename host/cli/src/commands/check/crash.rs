//! `check --crash`: what a crash of the machine may leave, and what a failing filesystem does.

use std::time::Instant;

use artifact_store::Backend;
use artifact_store::conformance::crash::{self, Options, Violation};

use super::report::{Failure, Line};

/// The groups of these checks.
pub const GROUPS: [&str; 2] = ["crash", "failures"];

/// One line for each sequence of calls that held, each rule that did not, and each thing that could
/// not be looked at.
pub fn run(
    backend: &Backend,
    mut on_progress: impl FnMut(&str),
) -> artifact_store::Result<Vec<Line>> {
    let options = Options::default();
    let [crash, failures] = GROUPS;
    let begun = Instant::now();
    let report = crash::check(backend, &options, &mut on_progress)?;
    let tried = report.scenarios.iter().map(|it| (it.name, format!("{} states", it.states)));
    let mut lines = lines(crash, tried, &report.violations, report.unobserved.clone());
    if let Some(line) = lines.first_mut() {
        line.seconds = begun.elapsed().as_secs_f64();
    }
    let begun = Instant::now();
    let report = crash::faults(backend, &options, &mut on_progress)?;
    let tried =
        report.operations.iter().map(|it| (it.name, format!("{} failures", it.outcomes.len())));
    let first = lines.len();
    lines.extend(self::lines(failures, tried, &report.violations, report.unobserved.clone()));
    if let Some(line) = lines.get_mut(first) {
        line.seconds = begun.elapsed().as_secs_f64();
    }
    Ok(lines)
}

fn lines(
    group: &'static str,
    tried: impl Iterator<Item = (&'static str, String)>,
    violations: &[Violation],
    unobserved: Vec<String>,
) -> Vec<Line> {
    let line = |name: String, sentence: String, outcome| Line {
        name,
        group,
        rules: &[],
        sentence,
        outcome,
        not_offered: None,
        allowed: None,
        failure: None,
        seconds: 0.0,
    };
    let held = tried.filter(|(name, _)| !violations.iter().any(|it| it.scenario == *name));
    let held = held.map(|(name, tried)| line(format!("{name}, {tried}"), String::new(), "passed"));
    let broken = violations.iter().map(|violation| Line {
        failure: Some(Failure {
            rule: None,
            cause: None,
            way: match violation.times {
                1 => "in this case alone".into(),
                times => format!("the first of {times} such cases"),
            },
            calls: vec![violation.case.clone()],
            is_reduced: false,
            expected: violation.expected.clone(),
            seen: violation.seen.clone(),
        }),
        ..line(violation.scenario.to_owned(), violation.rule.to_string(), "failed")
    });
    let unseen = unobserved.into_iter().map(|what| Line {
        not_offered: Some(what.clone()),
        ..line(what, String::new(), "not-observed")
    });
    held.chain(broken).chain(unseen).collect()
}
