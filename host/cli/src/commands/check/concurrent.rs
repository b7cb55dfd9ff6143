//! `check --concurrent`: calls of several processes on the same keys, some of which are killed.
//!
//! This program runs itself once for each process, with the same arguments. The standard output of
//! such a process is its part of the history. It ends when its standard input does, and so not later
//! than the command.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use artifact_store::blocking::ArtifactStore;
use artifact_store::conformance::concurrent::{
    Assertion, Log, Outcome, Report, Trial, Worker, work,
};
use artifact_store::conformance::{Target, sentence};

use super::report::{Failure, Line};
use crate::interrupt::Interrupt;

/// The group of these checks.
pub const GROUP: &str = "concurrent";

/// Tells a process which part of a trial it is: its number, and the directory of the store.
const PART: &str = "ARTIFACT_STORE_CHECK_PART";

const PROCESSES: usize = 4;
/// How often is looked at what the processes have written.
const TICK: Duration = Duration::from_millis(250);
/// A process is killed when it has worked for so long, in the second half of the time.
const LIFE: Duration = Duration::from_millis(750);
/// For the calls that are under way at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A part of a trial.
pub struct Part {
    process: u32,
    dir: PathBuf,
}

impl Part {
    /// The one that this process is started for, if any.
    pub fn of_environment() -> Option<Self> {
        let text = std::env::var_os(PART)?.into_string().ok()?;
        let (process, dir) = text.split_once(':')?;
        Some(Self { process: process.parse().ok()?, dir: dir.into() })
    }

    /// Works until standard input ends.
    pub fn run(self, target: &Target, seed: u64, interrupt: &Interrupt) -> Result<u8> {
        let store = ArtifactStore::open(target.at(&self.dir).sweep_older_than(None))?;
        static IS_OVER: AtomicBool = AtomicBool::new(false);
        thread::Builder::new().name("end".into()).spawn(|| {
            drop(io::stdin().read_to_end(&mut Vec::new()));
            IS_OVER.store(true, Ordering::Relaxed);
        })?;
        let is_over = || IS_OVER.load(Ordering::Relaxed) || interrupt.so_far().is_some();
        let mut worker = Worker::new(self.process, prefix(&self.dir));
        worker.seed = seed;
        work(&store, &worker, io::stdout(), is_over)?;
        Ok(0)
    }
}

/// What the keys of a trial begin with: no other trial has the same, where the store is none of a
/// directory.
fn prefix(dir: &Path) -> String {
    let name = dir.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/", name.to_string_lossy())
}

/// A trial of so long; one line for each assertion. `told` gets what goes on, and says whether to
/// go on.
pub fn run(
    target: &Target,
    below: &Path,
    time: Duration,
    told: impl FnMut(String) -> bool,
) -> Result<Vec<Line>> {
    let begun = Instant::now();
    let place = tempfile::Builder::new().prefix("check-").tempdir_in(below);
    let place = place.context("cannot create a directory for the check")?;
    // The name of the store is that of its place, which no other trial has.
    let dir = place.path().join(place.path().file_name().unwrap_or_default());
    fs::create_dir(&dir)?;
    // Whether it can be opened is found out once.
    let store = ArtifactStore::open(target.at(&dir))?;
    let mut crew = Crew { place: place.path(), dir: &dir, started: 0, members: Vec::new() };
    let report = crew.work(time, told);
    drop(crew);
    for entry in store.list(&prefix(&dir)).flatten() {
        // A store that is no directory is left as it was, as far as it lets that be done.
        drop(store.delete(&entry.key));
    }
    Ok(report?.map_or_else(Vec::new, |report| lines(&report, begun.elapsed())))
}

/// The processes of a trial. Dropped, they are ended.
struct Crew<'a> {
    place: &'a Path,
    dir: &'a Path,
    started: u32,
    members: Vec<Member>,
}

struct Member {
    child: Child,
    /// Its part of the history.
    file: PathBuf,
    /// When its first call was seen.
    at_work: Option<Instant>,
}

impl Crew<'_> {
    /// Starts a process.
    fn hire(&mut self, trial: &mut Trial) -> Result<()> {
        self.started += 1;
        let file = self.place.join(self.started.to_string());
        let log = File::create(&file).context("cannot write the history")?;
        trial.add(Log::new(File::open(&file)?));
        let child = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(PART, format!("{}:{}", self.started, self.dir.display()))
            .stdin(Stdio::piped())
            .stdout(log)
            .spawn()
            .context("cannot start a process")?;
        self.members.push(Member { child, file, at_work: None });
        Ok(())
    }

    /// `None` where it was told to stop.
    fn work(
        &mut self,
        time: Duration,
        mut told: impl FnMut(String) -> bool,
    ) -> Result<Option<Report>> {
        let mut trial = Trial::default();
        for _ in 0..PROCESSES {
            self.hire(&mut trial)?;
        }
        let begun = Instant::now();
        while begun.elapsed() < time {
            thread::sleep(TICK.min(time));
            if !told(format!("calls at once: {} made", trial.calls())) {
                return Ok(None);
            }
            if trial.look()? {
                break;
            }
            self.look()?;
            if begun.elapsed() > time / 2 && self.kill_oldest()? {
                self.hire(&mut trial)?;
            }
        }
        self.finish()?;
        told("calls at once: looking for an order".into());
        Ok(Some(trial.end()?))
    }

    /// Notes who has begun to work. None ends by itself, unless it cannot work.
    fn look(&mut self) -> Result<()> {
        for member in &mut self.members {
            if member.at_work.is_none() && fs::metadata(&member.file)?.len() > 0 {
                member.at_work = Some(Instant::now());
            }
            if let Some(status) = member.child.try_wait()? {
                bail!("a process of the check ended before its time: {status}");
            }
        }
        Ok(())
    }

    /// Kills the process that has worked longest, wherever it is, if that is long enough.
    fn kill_oldest(&mut self) -> Result<bool> {
        let is_old = |member: &Member| member.at_work.is_some_and(|since| since.elapsed() > LIFE);
        let Some(oldest) = self.members.iter().position(is_old) else { return Ok(false) };
        let mut member = self.members.remove(oldest);
        member.child.kill()?;
        member.child.wait()?;
        Ok(true)
    }

    /// Lets them end the calls that are under way.
    fn finish(&mut self) -> Result<()> {
        for member in &mut self.members {
            drop(member.child.stdin.take());
        }
        let begun = Instant::now();
        for member in &mut self.members {
            while member.child.try_wait()?.is_none() {
                if begun.elapsed() > PATIENCE {
                    member.child.kill()?;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.members.clear();
        Ok(())
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for member in &mut self.members {
            // It may have ended already.
            drop(member.child.kill());
            drop(member.child.wait());
        }
    }
}

fn lines(report: &Report, took: Duration) -> Vec<Line> {
    let Report { calls, keys, unanswered, .. } = report;
    let tried = format!("{calls} calls on {keys} keys, {unanswered} without an answer");
    let lines = report.assertions.iter().map(|assertion| Line {
        seconds: took.as_secs_f64() / report.assertions.len() as f64,
        ..line(assertion, &tried)
    });
    lines.collect()
}

fn line(Assertion { name, rules, outcome, .. }: &Assertion, tried: &str) -> Line {
    let (word, not_offered, failure) = match outcome {
        Outcome::Held => ("passed", None, None),
        Outcome::NotOffered(what) => ("not-offered", Some(what.clone()), None),
        Outcome::NotObserved(why) => ("not-observed", Some(why.clone()), None),
        Outcome::Broken(failure) => {
            let calls = failure.calls.iter().map(ToString::to_string).collect();
            let (expected, seen) = (failure.expected.clone(), failure.seen.clone());
            let way = format!("of {tried}");
            let (is_reduced, rule) = (failure.is_reduced, Some(failure.rule));
            let failure = Failure { rule, way, calls, is_reduced, expected, seen, cause: None };
            ("failed", None, Some(failure))
        }
        _ => ("not-observed", None, None),
    };
    let name = match word {
        "passed" => format!("{name}, {tried}"),
        "not-observed" => format!("{name}: {}", not_offered.as_deref().unwrap_or_default()),
        _ => (*name).to_owned(),
    };
    let sentence = rules.first().and_then(|rule| sentence(rule)).unwrap_or_default().to_owned();
    Line {
        name,
        group: GROUP,
        rules,
        sentence,
        outcome: word,
        not_offered,
        allowed: None,
        failure,
        seconds: 0.0,
    }
}
