use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use artifact_store::conformance::{Check, Group, Outcome, Target, Way, checks};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::arguments::StoreArguments;
use crate::exit::{self, Usage};
use crate::output::{Output, Standard};

/// Checks whether a backend keeps the rules of the contract
///
/// Each rule of the WIT that can be tested from outside has a check, which runs over a directory of
/// its own: below --dir, or where the system keeps temporary files. Each runs twice, on instances
/// that serve call after call and with a fresh one for each call. A check of what the backend does
/// not export is reported as not offered, never as passed. Rules that are recommendations (SHOULD)
/// are reported as advice.
///
/// Exits with 0 only if every rule holds that the backend offers, and with 1 if one is broken.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store check my-backend.wasm
  artifact-store check my-backend.wasm --only listing --only keys
  artifact-store check my-backend.wasm --env REGION=eu-west-1 --junit report.xml
  artifact-store check my-backend.wasm --json | jq '.checks[] | select(.outcome == \"failed\")'
  artifact-store check fs")]
pub struct Arguments {
    /// The component, or `fs` for the built-in one
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// Run the checks of this group only; may be repeated
    #[arg(long, value_name = "GROUP")]
    #[arg(value_parser = PossibleValuesParser::new(Group::ALL.map(Group::name)))]
    only: Vec<String>,

    /// Chooses the data that is stored; the same one repeats a run
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write one object: {"backend", "seed", "passed", "failed", …, "checks": […]}
    #[arg(long)]
    json: bool,

    /// Also write a report in JUnit's XML to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    junit: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    backend: String,
    seed: u64,
    passed: usize,
    failed: usize,
    advice: usize,
    not_offered: usize,
    checks: Vec<Line>,
}

/// One check.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    group: &'static str,
    rules: &'static [&'static str],
    sentence: &'static str,
    /// `passed`, `failed`, `advice` or `not-offered`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_offered: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    seconds: f64,
}

#[derive(Serialize)]
struct Failure {
    way: String,
    calls: Vec<String>,
    expected: String,
    seen: String,
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<u8> {
    let Arguments { file, only, seed, json, junit } = arguments;
    let is_meant =
        |check: &&Check| only.is_empty() || only.iter().any(|name| name == check.group().name());
    let selected: Vec<_> = checks().filter(is_meant).collect();
    let target = target(store, &file)?;
    let progress = progress(selected.len());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::task::spawn_blocking(move || {
        for check in selected {
            let begun = Instant::now();
            let outcome = run_check(check, &target, seed);
            // Nobody listens where the command was interrupted.
            if sender.send((check, outcome, begun.elapsed())).is_err() {
                return;
            }
        }
    });
    let mut lines = Vec::new();
    while let Some((check, outcome, took)) = receiver.recv().await {
        progress.inc(1);
        progress.set_message(check.name());
        lines.push(Line::new(check, outcome?, took));
    }
    progress.finish_and_clear();
    let report = Report::new(file.display().to_string(), seed, lines);
    if let Some(path) = junit {
        let mut output = Output::open(Some(&path)).await?;
        output.write(report.junit()?.as_bytes()).await?;
        output.finish().await?;
    }
    let mut out = Standard::new();
    let text = if json { serde_json::to_string(&report)? + "\n" } else { report.text() };
    out.write(text.as_bytes()).await?;
    out.finish().await?;
    Ok(if report.failed > 0 { exit::FAILURE } else { 0 })
}

fn run_check(check: &Check, target: &Target, seed: u64) -> artifact_store::Result<Outcome> {
    let outcome = check.run(target, Way::Reused, seed)?;
    match outcome {
        Outcome::Passed => check.run(target, Way::Fresh, seed),
        _ => Ok(outcome),
    }
}

/// The backend with the grants of the command line, and a directory of its own for each check.
fn target(store: &StoreArguments, file: &Path) -> Result<Target> {
    if file == Path::new("s3") {
        let text =
            "`check` needs an empty store for each rule, and a bucket is one; `fs` or a file";
        return Err(Usage(text.into()).into());
    }
    if let Some(dir) = &store.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    }
    let store = store.clone();
    let below = store.dir.clone();
    let on = move |dir: &Path, file: &Path| {
        let (dir, backend) = (Some(dir.to_owned()), file.to_owned());
        StoreArguments { dir, backend, ..store.clone() }.backend(true)
    };
    // What is wrong with the arguments shows here.
    on(Path::new("."), file)?;
    let file = file.to_owned();
    let target = Target::in_directories(move |dir| {
        on(dir, &file).unwrap_or_else(|_| artifact_store::Backend::from_file(&file))
    });
    Ok(match below {
        Some(dir) => target.below(dir),
        None => target,
    })
}

fn progress(checks: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(checks as u64), ProgressDrawTarget::hidden());
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    if io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    bar
}

impl Line {
    fn new(check: &'static Check, outcome: Outcome, took: Duration) -> Self {
        let (outcome, not_offered, failure) = match outcome {
            Outcome::Passed => ("passed", None, None),
            Outcome::NotOffered(what) => ("not-offered", Some(what), None),
            Outcome::Failed(failure) => {
                let calls = failure.calls.iter().map(ToString::to_string).collect();
                let (expected, seen) = (failure.expected, failure.seen);
                let failure = Failure { way: failure.way.to_string(), calls, expected, seen };
                let outcome = if check.is_advice() { "advice" } else { "failed" };
                (outcome, None, Some(failure))
            }
        };
        Self {
            name: check.name(),
            group: check.group().name(),
            rules: check.rules(),
            sentence: check.sentence(),
            outcome,
            not_offered,
            failure,
            seconds: took.as_secs_f64(),
        }
    }

    fn title(&self) -> String {
        self.name.replace('_', " ")
    }

    /// The rule, the calls that show it, what was expected and what was seen.
    fn details(&self, failure: &Failure) -> String {
        let mut text = format!("  {}: {}\n", self.rules[0], self.sentence);
        for call in &failure.calls {
            let _ = writeln!(text, "    {call}");
        }
        let Failure { way, expected, seen, .. } = failure;
        let _ = writeln!(text, "  expected: {expected}\n  seen:     {seen}\n  ({way})");
        text
    }
}

impl Report {
    fn new(backend: String, seed: u64, checks: Vec<Line>) -> Self {
        let count = |outcome| checks.iter().filter(|line| line.outcome == outcome).count();
        Self {
            passed: count("passed"),
            failed: count("failed"),
            advice: count("advice"),
            not_offered: count("not-offered"),
            backend,
            seed,
            checks,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for group in Group::ALL.map(Group::name) {
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
        let Self { backend, seed, passed, failed, advice, not_offered, .. } = self;
        let verdict = match failed {
            0 => format!("`{backend}` keeps every rule that it offers"),
            _ => format!("`{backend}` breaks {failed} rules"),
        };
        let _ = writeln!(
            text,
            "\n{verdict}: {passed} passed, {failed} failed, {advice} advice, {not_offered} not offered (seed {seed})"
        );
        text
    }

    fn junit(&self) -> Result<String> {
        let mut report = JUnit::new(format!("artifact-store check {}", self.backend));
        for group in Group::ALL.map(Group::name) {
            let mut suite = TestSuite::new(group);
            for line in self.checks.iter().filter(|line| line.group == group) {
                let mut status = match line.outcome {
                    "failed" => TestCaseStatus::non_success(NonSuccessKind::Failure),
                    "passed" => TestCaseStatus::success(),
                    _ => TestCaseStatus::skipped(),
                };
                if let Some(failure) = &line.failure {
                    status.set_message(format!("{}: {}", line.rules[0], line.sentence));
                    status.set_description(line.details(failure));
                } else if let Some(what) = &line.not_offered {
                    status.set_message(format!("not offered: {what}"));
                }
                let mut case = TestCase::new(line.name, status);
                case.set_time(Duration::from_secs_f64(line.seconds));
                case.set_classname(group);
                suite.add_test_case(case);
            }
            if !suite.test_cases.is_empty() {
                report.add_test_suite(suite);
            }
        }
        report.to_string().context("cannot write the report")
    }
}
