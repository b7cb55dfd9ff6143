//! What came of the checks, for a person, for a program and for CI.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use artifact_store::conformance::{Check, Group, Outcome};
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::crash;

#[derive(Serialize)]
#[serde(tag = "type", rename = "report")]
pub struct Report {
    backend: String,
    seed: u64,
    passed: usize,
    pub failed: usize,
    advice: usize,
    not_offered: usize,
    not_observed: usize,
    pub not_tried: usize,
    checks: Vec<Line>,
}

/// One check.
#[derive(Serialize)]
pub struct Line {
    pub name: String,
    pub group: &'static str,
    pub rules: &'static [&'static str],
    pub sentence: String,
    /// `passed`, `failed`, `advice`, `not-offered`, `not-observed` or `not-tried`.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub seconds: f64,
}

#[derive(Serialize)]
pub struct Failure {
    pub way: String,
    pub calls: Vec<String>,
    /// Whether each of the calls is needed to show it.
    pub is_reduced: bool,
    pub expected: String,
    pub seen: String,
}

impl Line {
    pub fn new(check: &'static Check, outcome: Outcome, took: Duration) -> Self {
        let (outcome, not_offered, failure) = match outcome {
            Outcome::Passed => ("passed", None, None),
            Outcome::NotOffered(what) => ("not-offered", Some(what), None),
            Outcome::Failed(failure) => {
                let calls = failure.calls.iter().map(ToString::to_string).collect();
                let (expected, seen) = (failure.expected, failure.seen);
                let (way, is_reduced) = (failure.way.to_string(), failure.is_reduced);
                let failure = Failure { way, calls, is_reduced, expected, seen };
                let outcome = if check.is_advice() { "advice" } else { "failed" };
                (outcome, None, Some(failure))
            }
        };
        Self {
            name: check.name().to_owned(),
            group: check.group().name(),
            rules: check.rules(),
            sentence: check.sentence().to_owned(),
            outcome,
            not_offered,
            failure,
            seconds: took.as_secs_f64(),
        }
    }

    /// One that is left out, as the backend does not answer.
    pub fn not_tried(check: &'static Check) -> Self {
        let outcome = Outcome::NotOffered("the backend does not answer within the timeout".into());
        Self { outcome: "not-tried", ..Self::new(check, outcome, Duration::ZERO) }
    }

    /// The rule that a failure breaks.
    fn rule(&self) -> String {
        match self.rules.first() {
            Some(rule) => format!("{rule}: {}", self.sentence),
            None => self.sentence.clone(),
        }
    }

    fn title(&self) -> String {
        self.name.replace('_', " ")
    }

    /// The rule, the calls that show it, what was expected and what was seen.
    fn details(&self, failure: &Failure) -> String {
        let mut text = format!("  {}\n", self.rule());
        for call in &failure.calls {
            let _ = writeln!(text, "    {call}");
        }
        let Failure { way, expected, seen, is_reduced, .. } = failure;
        let fewest = if *is_reduced { "; each of these calls is needed" } else { "" };
        let _ = writeln!(text, "  expected: {expected}\n  seen:     {seen}\n  ({way}{fewest})");
        text
    }
}

/// The groups of the contract, then those of `--crash`.
fn groups() -> impl Iterator<Item = &'static str> {
    Group::ALL.iter().map(|group| group.name()).chain(crash::GROUPS)
}

impl Report {
    pub fn new(backend: String, seed: u64, checks: Vec<Line>) -> Self {
        let count = |outcome| checks.iter().filter(|line| line.outcome == outcome).count();
        Self {
            passed: count("passed"),
            failed: count("failed"),
            advice: count("advice"),
            not_offered: count("not-offered"),
            not_observed: count("not-observed"),
            not_tried: count("not-tried"),
            backend,
            seed,
            checks,
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for group in groups() {
            let lines: Vec<_> = self.checks.iter().filter(|line| line.group == group).collect();
            if lines.is_empty() {
                continue;
            }
            let mut counts = Vec::new();
            for (outcome, word) in [
                ("passed", "passed"),
                ("failed", "FAILED"),
                ("advice", "advice"),
                ("not-offered", "not offered"),
                ("not-observed", "not observed"),
                ("not-tried", "not tried"),
            ] {
                let count = lines.iter().filter(|line| line.outcome == outcome).count();
                if count > 0 {
                    counts.push(format!("{count} {word}"));
                }
            }
            let _ = writeln!(text, "{group:12}  {}", counts.join(", "));
        }
        for line in &self.checks {
            let Some(failure) = &line.failure else { continue };
            let word = if line.outcome == "advice" { "advice" } else { "FAILED" };
            let _ = write!(text, "\n{word}  {}\n{}", line.title(), line.details(failure));
        }
        for line in self.checks.iter().filter(|line| line.outcome == "not-observed") {
            let _ = writeln!(text, "not observed  {}", line.title());
        }
        if self.not_tried > 0 {
            let _ = writeln!(
                text,
                "\n{} rules were not tried because the backend did not answer within the timeout",
                self.not_tried
            );
        }
        let Self { backend, seed, passed, failed, advice, not_offered, .. } = self;
        let verdict = match failed {
            0 => format!("`{backend}` keeps every rule of what it offers"),
            _ => format!("`{backend}` breaks {failed} rules"),
        };
        let _ = writeln!(
            text,
            "\n{verdict}: {passed} passed, {failed} failed, {advice} advice, {not_offered} not offered (seed {seed})"
        );
        text
    }

    pub fn junit(&self) -> Result<String> {
        let mut report = JUnit::new(format!("artifact-store check {}", self.backend));
        for group in groups() {
            let mut suite = TestSuite::new(group);
            for line in self.checks.iter().filter(|line| line.group == group) {
                let mut status = match line.outcome {
                    "failed" => TestCaseStatus::non_success(NonSuccessKind::Failure),
                    "passed" => TestCaseStatus::success(),
                    _ => TestCaseStatus::skipped(),
                };
                if let Some(failure) = &line.failure {
                    status.set_message(line.rule());
                    status.set_description(line.details(failure));
                } else if let Some(what) = &line.not_offered {
                    status.set_message(format!("{}: {what}", line.outcome));
                }
                let mut case = TestCase::new(line.name.as_str(), status);
                case.set_time(Duration::from_secs_f64(line.seconds));
                case.set_classname(group);
                suite.add_test_case(case);
            }
            if !suite.test_cases.is_empty() {
                report.add_test_suite(suite);
            }
        }
        report.to_string().context("cannot write the JUnit report")
    }
}
