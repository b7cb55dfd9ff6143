//! `check`: the rules of the contract on any component.

mod concurrent;
mod crash;
mod report;
mod run;
mod select;
mod subject;

use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use artifact_store::conformance::Check;
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::Report;
use run::{News, Run};
use select::{Listed, Selector};
use subject::Subject;

use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::offload::Offload;
use crate::output::{Output, Standard};
use crate::store::StoreArguments;

/// Checks a backend, or a layer, against the rules of the contract
///
/// Each rule of the WIT that can be tested from outside has a check. Each check runs in a directory
/// of its own, below --dir or in the system's directory for temporary files, and runs twice: on
/// instances that serve call after call, and with a fresh instance for each call. A check of an
/// interface that the backend does not export is reported as not offered, never as passed. A broken
/// recommendation (SHOULD) is reported as advice.
///
/// A check whose calls are not answered within --timeout is reported as too slow, and not as failed:
/// whether its rule holds was not observed. After three of them in a row, the remaining checks are
/// reported as not tried. A longer --timeout, or --jobs 1, gives a slow backend more time.
///
/// With --config the component has the variables, endpoints and limits of that store, and an empty
/// directory in place of each that it may write to: the store itself is not touched. With `s3`
/// each check has a prefix of its own in the bucket, below S3_PREFIX, and removes what it stored.
/// Other storage on the network is not replaced: tell the backend by --fresh-env where to begin anew.
///
/// With --layer the layer is checked, over BACKEND, or else the built-in `fs`: all checks of a backend run
/// through it, then those of the rules for layers, which look at the store below and let it fail. Keys
/// that become too long below may be refused (layer-5); a check that met such a key is reported as
/// allowed. A rule that does not apply to what the layer does is reported as not offered, with the reason.
/// A store of --config is checked with its layers that are components; `encrypt` is left out.
///
/// The exit code is 0 only if the backend keeps every rule of what it offers, 1 if it breaks one, and
/// 6 if it breaks none and some checks were too slow.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store check my-backend.wasm
  artifact-store check my-backend.wasm --only listing --only put-1 --only read
  artifact-store check --list
  artifact-store check my-backend.wasm --env REGION=eu-west-1 --junit report.xml
  artifact-store check my-backend.wasm --json | jq '.checks[] | select(.outcome == \"failed\")'
  artifact-store check --layer my-layer.wasm,PREFIX=team-a/
  artifact-store check --layer my-layer.wasm --only layers --only layer-5
  artifact-store check fs --crash
  artifact-store check fs --concurrent --for 5m
  AWS_ENDPOINT_URL=http://127.0.0.1:9000 S3_BUCKET=b artifact-store check s3
  artifact-store check my-backend.wasm --allow-net http://127.0.0.1:8080 --fresh-env 'PREFIX=ci/{}'
  artifact-store check my-backend-2.wasm --config stores.toml --store archive")]
pub struct Arguments {
    /// The backend: `fs` or `s3` (built in), or a component file [default: that of the store in
    /// --config; below --layer, `fs`]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Run only these checks; may be repeated
    ///
    /// A group, a rule such as `read-5`, the rules that begin so (`read`), or the name of a check.
    #[arg(long, value_name = "GROUP|RULE|CHECK", hide_possible_values = true)]
    #[arg(value_parser = Selector)]
    only: Vec<String>,

    /// List the checks and their rules instead of running them
    #[arg(long, conflicts_with_all = [
        "file", "jobs", "fresh_env", "crash", "concurrent", "time", "seed", "junit",
    ])]
    list: bool,

    /// How many checks run at once [default: one for each processor]
    ///
    /// The report has the same order. Each of them has a store of its own.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,

    /// Give this variable of the backend another value for each check
    ///
    /// For a backend that keeps its artifacts elsewhere than in its directory. `{}` in VALUE becomes a
    /// name of letters, digits and `-` that no other check has; without VALUE that name is the
    /// value. What a check stored is removed again, as far as the backend can list it.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = fresh_env)]
    fresh_env: Option<FreshEnv>,

    /// Also check what is left after a crash of the machine and after failures of the filesystem
    ///
    /// This is for a component that keeps its artifacts in its granted directory. What cannot be
    /// observed is reported as not observed.
    #[arg(long)]
    crash: bool,

    /// Also check that calls of several processes at once have the result of one order
    ///
    /// Four processes with four threads each work on the same keys through one store; in the second
    /// half of the time, one after the other is killed and started again. Their answers must be
    /// explained by one order of the calls on each key (linearizability).
    #[arg(long)]
    concurrent: bool,

    /// For how long, such as `5m`, or a number of seconds
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", requires = "concurrent")]
    #[arg(value_parser = duration)]
    time: Duration,

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

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::from_secs);
    let duration = seconds.or_else(|_| humantime::parse_duration(text));
    duration.map_err(|error| error.to_string())
}

/// A variable with another value for each check, and the form of that value.
#[derive(Clone)]
pub struct FreshEnv {
    name: String,
    form: String,
}

fn fresh_env(text: &str) -> Result<FreshEnv, String> {
    let (name, form) = text.split_once('=').unwrap_or((text, "{}"));
    if name.is_empty() {
        return Err("it needs the name of a variable".into());
    }
    if !form.contains("{}") {
        return Err("the value needs a `{}`, which becomes another name for each check".into());
    }
    Ok(FreshEnv { name: name.into(), form: form.into() })
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    if arguments.list {
        return list(&select::selected(&arguments.only), arguments.json).await;
    }
    let Arguments {
        file, only, crash, concurrent, time, seed, json, junit, jobs, fresh_env, ..
    } = arguments;
    let fresh = fresh_env.as_ref();
    let subject = Subject::new(store, file.as_deref(), fresh).await?;
    if crash && !subject.is_on_disk(fresh) {
        let text = "--crash is for a backend that keeps its artifacts in its granted directory, \
                    without a layer around it";
        return Err(Usage(text.into()).into());
    }
    let Subject { backend, target } = subject;
    if let Some(part) = concurrent::Part::of_environment() {
        return part.run(&target, seed, interrupt);
    }
    let checks = select::applicable(&only, target.is_layer())?;
    let mut out = Standard::open()?.and_goes_on();
    let below = subject::below(store).map_or_else(std::env::temp_dir, Path::to_owned);
    let name = subject::name(store, file.as_deref());
    let progress = progress(checks.len());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut running = Offload::new("check").begin(move || {
        // Nobody listens where the command was interrupted.
        let told = |news| sender.send(news).is_ok();
        let last = checks.len();
        let jobs = jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        if !Run::new(&checks, &target, seed, &told).run(jobs) {
            return;
        }
        let ended = |lines: Result<_>| {
            told(lines.map_or_else(News::Failed, |lines| News::Ended(last, lines)))
        };
        let on_progress = |what: String| told(News::Begins(what));
        if concurrent && !ended(concurrent::run(&target, &below, time, on_progress)) {
            return;
        }
        if crash {
            let on_progress = |what: &str| {
                told(News::Begins(what.into()));
            };
            ended(crash::run(&backend, on_progress).map_err(Into::into));
        }
    });
    let told = interrupt.or(async {
        let mut ended = Vec::new();
        while let Some(news) = receiver.recv().await {
            match news {
                News::Begins(what) => progress.set_message(what),
                News::Ended(at, lines) => {
                    progress.inc(1);
                    ended.push((at, lines));
                }
                News::Failed(error) => return Err(error),
            }
        }
        // Those that run side by side end in any order.
        ended.sort_by_key(|(at, _)| *at);
        Ok(ended.into_iter().flat_map(|(_, lines)| lines).collect())
    });
    let told = told.await;
    progress.finish_and_clear();
    // The checks that run come to their end, and take their directories with them.
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
    Ok(report.code())
}

async fn list(checks: &[&'static Check], json: bool) -> Result<u8> {
    let mut out = Standard::open()?;
    match json {
        true => {
            for check in checks {
                out.json(&Listed::from(*check)).await?;
            }
        }
        false => out.text(&select::list(checks)).await?,
    }
    out.finish().await?;
    Ok(0)
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
