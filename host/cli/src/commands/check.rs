use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use artifact_store::Backend;
use artifact_store::conformance::{Check, Group, Outcome, Target, Way, checks};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::check_crash;
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
  artifact-store check fs --crash")]
pub struct Arguments {
    /// The component, or `fs` for the built-in one
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// Run the checks of this group only; may be repeated
    #[arg(long, value_name = "GROUP")]
    #[arg(value_parser = PossibleValuesParser::new(Group::ALL.map(Group::name)))]
    only: Vec<String>,

    /// Also try what a crash of the machine may leave, and each failure of the filesystem
    ///
    /// For a component that keeps its artifacts in the directory that it is granted. What cannot be
    /// looked at is reported as not observed.
    #[arg(long)]
    crash: bool,

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
    not_observed: usize,
    checks: Vec<Line>,
}

/// One check.
#[derive(Serialize)]
pub struct Line {
    pub name: String,
    pub group: &'static str,
    pub rules: &'static [&'static str],
    pub sentence: String,
    /// `passed`, `failed`, `advice`, `not-offered` or `not-observed`.
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
    pub expected: String,
    pub seen: String,
}

/// What the thread that runs the checks tells.
enum News {
    Begins(String),
    Ended(Vec<Line>),
    Failed(artifact_store::Error),
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<u8> {
    let Arguments { file, only, crash, seed, json, junit } = arguments;
    let is_meant =
        |check: &&Check| only.is_empty() || only.iter().any(|name| name == check.group().name());
    let selected: Vec<_> = checks().filter(is_meant).collect();
    let target = target(store, &file)?;
    let crash = if crash { Some(backend(store, &file, Path::new("."))?) } else { None };
    let progress = progress(selected.len());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::task::spawn_blocking(move || {
        // Nobody listens where the command was interrupted.
        let told = |news| sender.send(news).is_ok();
        for check in selected {
            let begun = Instant::now();
            let is_wanted = told(News::Begins(check.name().replace('_', " ")));
            let news = match run_check(check, &target, seed) {
                Ok(outcome) => News::Ended(vec![Line::new(check, outcome, begun.elapsed())]),
                Err(error) => News::Failed(error),
            };
            if !is_wanted || !told(news) {
                return;
            }
        }
        if let Some(backend) = crash {
            let on_progress = |what: &str| {
                told(News::Begins(what.into()));
            };
            let lines = check_crash::run(&backend, on_progress);
            told(lines.map_or_else(News::Failed, News::Ended));
        }
    });
    let mut lines = Vec::new();
    while let Some(news) = receiver.recv().await {
        match news {
            News::Begins(what) => progress.set_message(what),
            News::Ended(ended) => {
                progress.inc(1);
                lines.extend(ended);
            }
            News::Failed(error) => return Err(error.into()),
        }
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
    // What is wrong with the arguments shows here.
    backend(store, file, Path::new("."))?;
    let (store, file) = (store.clone(), file.to_owned());
    let below = store.dir.clone();
    let target = Target::in_directories(move |dir| {
        backend(&store, &file, dir).unwrap_or_else(|_| Backend::from_file(&file))
    });
    Ok(match below {
        Some(dir) => target.below(dir),
        None => target,
    })
}

fn backend(store: &StoreArguments, file: &Path, dir: &Path) -> Result<Backend> {
    let (dir, backend) = (Some(dir.to_owned()), file.to_owned());
    StoreArguments { dir, backend, ..store.clone() }.backend(true)
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
        let Failure { way, expected, seen, .. } = failure;
        let _ = writeln!(text, "  expected: {expected}\n  seen:     {seen}\n  ({way})");
        text
    }
}

/// The groups of the contract, then those of `--crash`.
fn groups() -> impl Iterator<Item = &'static str> {
    Group::ALL.map(Group::name).into_iter().chain(check_crash::GROUPS)
}

impl Report {
    fn new(backend: String, seed: u64, checks: Vec<Line>) -> Self {
        let count = |outcome| checks.iter().filter(|line| line.outcome == outcome).count();
        Self {
            passed: count("passed"),
            failed: count("failed"),
            advice: count("advice"),
            not_offered: count("not-offered"),
            not_observed: count("not-observed"),
            backend,
            seed,
            checks,
        }
    }

    fn text(&self) -> String {
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
        report.to_string().context("cannot write the report")
    }
}
