//! `check`: the rules of the contract, one after the other, on any component.

mod crash;
mod report;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use artifact_store::Backend;
use artifact_store::conformance::{Check, Group, Outcome, Target, Way, checks};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::{Line, Report};

use crate::failure::{self, Usage};
use crate::interrupt::Interrupt;
use crate::offload::Offload;
use crate::output::{Output, Standard};
use crate::store::StoreArguments;

/// After so many rules in a row whose calls were not answered in time, the others are not tried: each
/// would take as long.
const SILENT: usize = 3;

/// How a call that was not answered in time is recorded.
const TIMEOUT: &str = "err(timeout";

/// Checks a backend against the rules of the contract
///
/// Each rule of the WIT that can be tested from outside has a check. Each check runs in a directory
/// of its own, below --dir or in the system's directory for temporary files, and runs twice: on
/// instances that serve call after call, and with a fresh instance for each call. A check of an
/// interface that the backend does not export is reported as not offered, never as passed. A broken
/// recommendation (SHOULD) is reported as advice. If the backend does not answer within --timeout in
/// three checks in a row, the remaining checks are reported as not tried.
///
/// With --config the component has the variables, endpoints and limits of that store, and an empty
/// directory in place of each that it may write to: the store itself is not touched. Storage on the
/// network is not replaced: give the backend an empty one.
///
/// The exit code is 0 only if the backend keeps every rule of what it offers, and 1 if it breaks one.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store check my-backend.wasm
  artifact-store check my-backend.wasm --only listing --only keys
  artifact-store check my-backend.wasm --env REGION=eu-west-1 --junit report.xml
  artifact-store check my-backend.wasm --json | jq '.checks[] | select(.outcome == \"failed\")'
  artifact-store check fs --crash
  artifact-store check my-backend-2.wasm --config stores.toml --store archive")]
pub struct Arguments {
    /// The backend: `fs` (built in) or a component file [default: that of the store in --config]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Run only the checks of this group; may be repeated
    #[arg(long, value_name = "GROUP")]
    #[arg(value_parser = PossibleValuesParser::new(Group::ALL.iter().map(|group| group.name())))]
    only: Vec<String>,

    /// Also check what is left after a crash of the machine and after failures of the filesystem
    ///
    /// This is for a component that keeps its artifacts in its granted directory. What cannot be
    /// observed is reported as not observed.
    #[arg(long)]
    crash: bool,

    /// The seed of the test data; the same seed repeats a run
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write one JSON object: {"type": "report", "backend", "seed", "passed", "failed", …, "checks": […]}
    #[arg(long)]
    json: bool,

    /// Also write a JUnit XML report to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    junit: Option<PathBuf>,
}

/// What the thread that runs the checks tells.
enum News {
    Begins(String),
    Ended(Vec<Line>),
    Failed(artifact_store::Error),
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    let Arguments { file, only, crash, seed, json, junit } = arguments;
    let mut out = Standard::open()?.and_goes_on();
    let is_meant =
        |check: &&Check| only.is_empty() || only.iter().any(|name| name == check.group().name());
    let selected: Vec<_> = checks().filter(is_meant).collect();
    let backend = backend(store, file.as_deref()).await?;
    let target = target(store, &backend)?;
    let name = file.as_ref().map(|file| file.display().to_string());
    let name = name.or_else(|| store.store.clone()).unwrap_or_else(|| "the store".into());
    let progress = progress(selected.len());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut running = Offload::new("check").begin(move || {
        // Nobody listens where the command was interrupted.
        let told = |news| sender.send(news).is_ok();
        let mut silent = 0;
        for check in selected {
            if silent == SILENT {
                if !told(News::Ended(vec![Line::not_tried(check)])) {
                    return;
                }
                continue;
            }
            let begun = Instant::now();
            if !told(News::Begins(check.name().replace('_', " "))) {
                return;
            }
            let news = match run_check(check, &target, seed) {
                Ok(outcome) => {
                    silent = if is_silent(&outcome) { silent + 1 } else { 0 };
                    News::Ended(vec![Line::new(check, outcome, begun.elapsed())])
                }
                Err(error) => News::Failed(error),
            };
            if !told(news) {
                return;
            }
        }
        if crash && silent < SILENT {
            let on_progress = |what: &str| {
                told(News::Begins(what.into()));
            };
            let lines = crash::run(&backend, on_progress);
            told(lines.map_or_else(News::Failed, News::Ended));
        }
    });
    let told = interrupt.or(async {
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
        Ok(lines)
    });
    let told = told.await;
    progress.finish_and_clear();
    // The check that runs comes to its end, and takes its directory with it.
    receiver.close();
    running.ended().await.context("a check did not finish")?;
    let report = Report::new(name, seed, told?);
    if let Some(path) = junit {
        let mut output = Output::open(Some(&path)).await?;
        output.write(report.junit()?.as_bytes()).await?;
        output.finish().await?;
    }
    match json {
        true => out.json(&report).await?,
        false => out.text(&report.text()).await?,
    }
    out.finish().await?;
    Ok(if report.failed > 0 || report.not_tried > 0 { failure::FAILURE } else { 0 })
}

/// Whether the rule was broken by an answer that did not come in time.
fn is_silent(outcome: &Outcome) -> bool {
    let Outcome::Failed(failure) = outcome else { return false };
    failure.seen.contains(TIMEOUT)
        || failure.calls.last().is_some_and(|call| call.outcome.contains(TIMEOUT))
}

fn run_check(check: &Check, target: &Target, seed: u64) -> artifact_store::Result<Outcome> {
    let outcome = check.run(target, Way::Reused, seed)?;
    match outcome {
        Outcome::Passed => check.run(target, Way::Fresh, seed),
        _ => Ok(outcome),
    }
}

/// The component in `file` with the grants of the command line or of the named store, or that
/// store's own component.
async fn backend(store: &StoreArguments, file: Option<&Path>) -> Result<Backend> {
    let bucket = || {
        let text = "`check` cannot check `s3`: each rule needs an empty store, and a bucket is only \
                    one; name `fs` or a component file";
        Usage(text.into())
    };
    if file == Some(Path::new("s3")) {
        return Err(bucket().into());
    }
    let of_file = |file: &Path| {
        let (dir, backend) = (Some(PathBuf::from(".")), file.to_owned());
        let described = StoreArguments { dir, backend, config: None, ..store.clone() };
        described.backend(true)
    };
    let backend = match (store.configured().await?, file) {
        (Some(configured), None) => configured,
        (Some(configured), Some(file)) => configured.with_component(&of_file(file)?),
        (None, Some(file)) => of_file(file)?,
        (None, None) => {
            let text = "`check` needs a component file, or a store of --config FILE";
            return Err(Usage(text.into()).into());
        }
    };
    let digest = |backend: &Backend| backend.inspect().map(|inspection| inspection.digest);
    let s3 = Backend::from_bytes("s3", Backend::s3_component());
    if digest(&backend).is_ok_and(|seen| digest(&s3).is_ok_and(|s3| s3 == seen)) {
        return Err(bucket().into());
    }
    Ok(backend)
}

/// A directory of its own for each check, in the place of all that the backend may write to.
fn target(store: &StoreArguments, backend: &Backend) -> Result<Target> {
    let target = Target::of(backend);
    // What the environment says gives way to a file of stores.
    let Some(dir) = store.dir.as_ref().filter(|_| store.config.is_none()) else {
        return Ok(target);
    };
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the directory `{}`", dir.display()))?;
    Ok(target.below(dir))
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
