//! What came of the checks, for a person, for a program and for CI.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use artifact_store::conformance::{self, Check, Group, Outcome, sentence};
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::{concurrent, crash};
use crate::failure;

#[derive(Serialize)]
#[serde(tag = "type", rename = "report")]
pub struct Report {
    backend: String,
    seed: u64,
    passed: usize,
    allowed: usize,
    failed: usize,
    advice: usize,
    not_offered: usize,
    not_observed: usize,
    too_slow: usize,
    not_tried: usize,
    /// The rules that are broken, or their sentences where they have no name.
    broken: Vec<String>,
    checks: Vec<Line>,
}

/// One check.
#[derive(Serialize)]
pub struct Line {
    pub name: String,
    pub group: &'static str,
    pub rules: &'static [&'static str],
    /// Of the rule that is broken, or else of the first.
    pub sentence: String,
    /// `passed`, `allowed`, `failed`, `advice`, `not-offered`, `not-observed`, `too-slow` or `not-tried`.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
    /// What was refused and therefore not tested, and the rule that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub seconds: f64,
}

#[derive(Serialize)]
pub struct Failure {
    /// The rule that is broken, if it has a name.
    pub rule: Option<&'static str>,
    pub way: String,
    pub calls: Vec<String>,
    /// Whether each of the calls is needed to show it.
    pub is_reduced: bool,
    pub expected: String,
    pub seen: String,
    /// Why the last call was not answered, such as what the backend wrote before it trapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl From<conformance::Failure> for Failure {
    fn from(failure: conformance::Failure) -> Self {
        Self {
            rule: Some(failure.rule),
            way: failure.way.to_string(),
            calls: failure.calls.iter().map(ToString::to_string).collect(),
            is_reduced: failure.is_reduced,
            cause: failure.cause().map(str::to_owned),
            expected: failure.expected,
            seen: failure.seen,
        }
    }
}

impl Line {
    pub fn new(check: &'static Check, outcome: Outcome, took: Duration) -> Self {
        let mut allowed = None;
        let (outcome, not_offered, failure) = match outcome {
            Outcome::Passed => ("passed", None, None),
            Outcome::Allowed(what) => {
                allowed = Some(what);
                ("allowed", None, None)
            }
            Outcome::NotOffered(what) => ("not-offered", Some(what), None),
            Outcome::TooSlow(failure) => ("too-slow", None, Some(Failure::from(failure))),
            Outcome::Failed(failure) => {
                let outcome = if check.is_advice() { "advice" } else { "failed" };
                (outcome, None, Some(Failure::from(failure)))
            }
        };
        let broken = failure.as_ref().and_then(|failure| sentence(failure.rule?));
        Self {
            name: check.name().to_owned(),
            group: check.group().name(),
            rules: check.rules(),
            sentence: broken.unwrap_or(check.sentence()).to_owned(),
            outcome,
            not_offered,
            allowed,
            failure,
            seconds: took.as_secs_f64(),
        }
    }

    /// One that is left out, as the backend does not answer.
    pub fn not_tried(check: &'static Check) -> Self {
        let outcome = Outcome::NotOffered("the backend does not answer within the timeout".into());
        Self { outcome: "not-tried", ..Self::new(check, outcome, Duration::ZERO) }
    }

    fn is_of_layers(&self) -> bool {
        self.group == Group::Layers.name()
    }

    /// The rule that a failure breaks.
    fn rule(&self) -> String {
        match self.failure.as_ref().and_then(|failure| failure.rule) {
            Some(rule) => format!("{rule}: {}", self.sentence),
            None => self.sentence.clone(),
        }
    }

    /// The name of the rule that a failure breaks, or its sentence where it has none.
    fn broken(&self) -> Option<&str> {
        let failure = self.failure.as_ref().filter(|_| self.outcome == "failed")?;
        Some(failure.rule.unwrap_or(&self.sentence))
    }

    /// The rule, the calls that show it, what was expected and what was seen.
    fn details(&self, failure: &Failure) -> String {
        let mut text = format!("  {}\n", self.rule());
        for call in &failure.calls {
            let _ = writeln!(text, "    {call}");
        }
        let Failure { way, expected, seen, is_reduced, cause, .. } = failure;
        let fewest = if *is_reduced { "; each of these calls is needed" } else { "" };
        let _ = writeln!(text, "  expected: {expected}\n  seen:     {seen}");
        if let Some(cause) = cause {
            let _ = writeln!(text, "  because:  {cause}");
        }
        let _ = writeln!(text, "  ({way}{fewest})");
        text
    }
}

/// The groups of the contract, then those of `--concurrent` and `--crash`.
fn groups() -> impl Iterator<Item = &'static str> {
    let groups = Group::ALL.iter().map(|group| group.name());
    groups.chain([concurrent::GROUP]).chain(crash::GROUPS)
}

impl Report {
    pub fn new(backend: String, seed: u64, checks: Vec<Line>) -> Self {
        let count = |outcome| checks.iter().filter(|line| line.outcome == outcome).count();
        let mut broken = Vec::new();
        for rule in checks.iter().filter_map(Line::broken) {
            if !broken.iter().any(|known| known == rule) {
                broken.push(rule.to_owned());
            }
        }
        Self {
            passed: count("passed"),
            allowed: count("allowed"),
            failed: count("failed"),
            advice: count("advice"),
            not_offered: count("not-offered"),
            not_observed: count("not-observed"),
            too_slow: count("too-slow"),
            not_tried: count("not-tried"),
            backend,
            seed,
            broken,
            checks,
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match (self.failed, self.too_slow + self.not_tried) {
            (0, 0) => 0,
            (0, _) => failure::UNAVAILABLE,
            _ => failure::FAILURE,
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
                ("allowed", "allowed"),
                ("failed", "FAILED"),
                ("advice", "advice"),
                ("not-offered", "not offered"),
                ("not-observed", "not observed"),
                ("too-slow", "too slow"),
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
            let word = match line.outcome {
                "advice" => "advice",
                "too-slow" => "too slow",
                _ => "FAILED",
            };
            let _ = write!(text, "\n{word}  {}\n{}", line.name, line.details(failure));
        }
        for line in self.checks.iter().filter(|line| line.outcome == "not-observed") {
            let _ = writeln!(text, "not observed  {}", line.name);
        }
        for line in &self.checks {
            if let Some(what) = &line.allowed {
                let _ = writeln!(text, "allowed  {}: {what}", line.name);
            }
            // Which rules of layers apply depends on what the layer does.
            if let Some(what) = line.not_offered.as_ref().filter(|_| line.is_of_layers()) {
                let _ = writeln!(text, "not offered  {}: {what}", line.name);
            }
        }
        if self.too_slow > 0 {
            let _ = writeln!(
                text,
                "\n{} got no answer in time, so whether their rules hold was not observed; try a \
                 longer --timeout, or --jobs 1",
                count(self.too_slow, "check")
            );
        }
        if self.not_tried > 0 {
            let _ = writeln!(
                text,
                "\n{} left out because the backend did not answer within the timeout",
                count(self.not_tried, "check")
            );
        }
        let Self { passed, failed, advice, not_offered, seed, .. } = self;
        let mut counts =
            format!("{passed} passed, {failed} failed, {advice} advice, {not_offered} not offered");
        for (number, word) in [
            (self.allowed, "allowed"),
            (self.not_observed, "not observed"),
            (self.too_slow, "too slow"),
            (self.not_tried, "not tried"),
        ] {
            if number > 0 {
                let _ = write!(counts, ", {number} {word}");
            }
        }
        let checks = count(self.checks.len(), "check");
        let _ = writeln!(text, "\n{}\n{checks}: {counts} (seed {seed})", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let backend = &self.backend;
        match (self.broken.len(), self.too_slow + self.not_tried) {
            (0, 0) => format!("`{backend}` keeps every rule of what it offers"),
            (0, _) => format!("`{backend}` breaks no rule as far as it answered in time"),
            (broken, _) => {
                let named: Vec<_> =
                    self.broken.iter().map(|rule| rule.trim_end_matches('.')).collect();
                format!("`{backend}` breaks {}: {}", count(broken, "rule"), named.join(", "))
            }
        }
    }

    pub fn junit(&self) -> Result<String> {
        let mut report = JUnit::new(format!("artifact-store check {}", self.backend));
        for group in groups() {
            let mut suite = TestSuite::new(group);
            for line in self.checks.iter().filter(|line| line.group == group) {
                let mut status = match line.outcome {
                    "failed" => TestCaseStatus::non_success(NonSuccessKind::Failure),
                    "too-slow" => TestCaseStatus::non_success(NonSuccessKind::Error),
                    "passed" => TestCaseStatus::success(),
                    _ => TestCaseStatus::skipped(),
                };
                if let Some(failure) = &line.failure {
                    status.set_message(line.rule());
                    status.set_description(line.details(failure));
                } else if let Some(what) = line.not_offered.as_ref().or(line.allowed.as_ref()) {
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

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
