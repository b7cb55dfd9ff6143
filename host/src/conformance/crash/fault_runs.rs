//! Making each call of the filesystem fail in turn.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;

use super::Options;
use super::backend::{Bench, Step, describe, value};
use super::crash_runs::swept;
use super::fault_kinds::{Failing, Fault};
use super::recorder::{Intent, Recording, Seen};
use super::report::{Consequence, FaultReport, Operation, Rule, Violation};
use super::scenarios::KEY;
use crate::blocking::ArtifactStore;
use crate::chunk::CHUNK;
use crate::error::{Error, ErrorKind, Result};

/// One call of the contract, and the artifact of its key before.
struct Case {
    name: &'static str,
    before: Option<Bytes>,
    /// Whether that was replaced by its version before, so that changes have to claim it.
    uses_versions: bool,
    call: Call,
}

enum Call {
    Change(Step),
    Get,
    List,
}

fn cases(neighbours: &[String]) -> Vec<Case> {
    let key = || KEY.to_owned();
    let (old, new) = (|| Some(value(1, 300)), || value(2, 400));
    let change = |name, before, step| {
        let call = Call::Change(step);
        Case { name, before, uses_versions: false, call }
    };
    let claim = |name, step| Case { uses_versions: true, ..change(name, old(), step) };
    let read = |name, call| Case { name, before: old(), uses_versions: false, call };
    // As `prepare` stores it.
    let copy =
        |source: &String| change("copy", old(), Step::Copy(source.clone(), key(), value(100, 300)));
    let mut all = vec![
        change("put of a new key", None, Step::Put(key(), new())),
        change("put over an artifact", old(), Step::Put(key(), new())),
        change("create", None, Step::Create(key(), new())),
        change("streaming write", old(), Step::Write(key(), value(2, CHUNK + 1000))),
        change("delete", old(), Step::Delete(key())),
        claim("replace", Step::Replace(key(), new())),
        claim("put over an artifact, with claims", Step::Put(key(), new())),
        claim("delete, with claims", Step::Delete(key())),
        claim("delete-if", Step::DeleteIf(key())),
        read("get", Call::Get),
        read("list", Call::List),
    ];
    all.extend(neighbours.first().map(copy));
    all
}

pub(super) fn run(
    bench: &Bench,
    options: &Options,
    on_progress: &mut impl FnMut(&str),
) -> Result<FaultReport> {
    let mut report = FaultReport::default();
    for case in cases(&options.neighbours) {
        on_progress(case.name);
        let trial = Trial { bench, options, case: &case };
        trial.all(&mut report).map_err(|e| bench.error(e))?;
    }
    Ok(report)
}

struct Trial<'a> {
    bench: &'a Bench,
    options: &'a Options,
    case: &'a Case,
}

/// The relevant part of the answer to the tested call.
type Reading = std::result::Result<Option<Bytes>, Error>;

type Broken = (Rule, String, String);

impl Trial<'_> {
    fn all(&self, report: &mut FaultReport) -> io::Result<()> {
        let name = self.case.name;
        let dir = tempfile::tempdir()?;
        let (answer, recording) = match self.prepare(&dir) {
            Ok(()) => self.call(&dir, Failing::Never)?,
            Err(error) => (Err(error), None),
        };
        let calls = recording.map_or_else(Vec::new, |recording| recording.calls);
        if let Err(error) = answer {
            report.unobserved.push(format!("{name}: {error}"));
            return Ok(());
        }
        if calls.is_empty() {
            report.unobserved.push(format!("{name}: the backend used no file"));
        }
        let mut outcomes = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(call)) {
                let (error, broken) = self.one(at + 1, call, fault)?;
                let function = call.name;
                outcomes.push(Consequence { call: at + 1, function, fault, error });
                for (rule, expected, seen) in broken {
                    let same =
                        |known: &&mut Violation| known.rule == rule && known.scenario == name;
                    if let Some(known) = report.violations.iter_mut().find(same) {
                        known.times += 1;
                        continue;
                    }
                    let case = format!("call {} ({function}) fails: {fault}", at + 1);
                    let violation =
                        Violation { rule, scenario: name, case, expected, seen, times: 1 };
                    report.violations.push(violation);
                }
            }
        }
        report.operations.push(Operation { name, calls: calls.len(), outcomes });
        Ok(())
    }

    /// Fills an empty directory.
    fn prepare(&self, dir: &TempDir) -> Result<()> {
        let store = self.bench.open(dir)?;
        for (key, seed) in self.options.neighbours.iter().zip(100..) {
            store.put(key, value(seed, 300))?;
        }
        let Some(old) = self.case.before.clone() else { return Ok(()) };
        store.put(KEY, old.clone())?;
        match self.case.uses_versions {
            true => Step::Replace(KEY.to_owned(), old).run(&store),
            false => Ok(()),
        }
    }

    /// Makes the call in a new instance.
    fn call(&self, dir: &TempDir, failing: Failing) -> io::Result<(Reading, Option<Recording>)> {
        let store = self.bench.open(dir)?;
        self.bench.recorder.start(dir.path(), failing)?;
        let answer = self.ask(&store);
        Ok((answer, self.bench.recorder.stop()))
    }

    fn ask(&self, store: &ArtifactStore) -> Reading {
        match &self.case.call {
            Call::Change(step) => step.run(store).map(|()| None),
            Call::Get => store.get(KEY).map(Some),
            Call::List => {
                let mut keys = Vec::new();
                for entry in store.list("") {
                    keys.push(entry?.key);
                }
                keys.sort_unstable();
                Ok(Some(keys.join("\n").into()))
            }
        }
    }

    /// The correct answer to the call.
    fn right(&self) -> Option<Bytes> {
        match &self.case.call {
            Call::Change(_) => None,
            Call::Get => self.case.before.clone(),
            Call::List => {
                let neighbours = self.options.neighbours.iter().map(String::as_str);
                let mut keys: Vec<_> = neighbours.chain([KEY]).collect();
                keys.sort_unstable();
                Some(keys.join("\n").into())
            }
        }
    }

    fn one(
        &self,
        at: usize,
        call: &Seen,
        fault: Fault,
    ) -> io::Result<(Option<String>, Vec<Broken>)> {
        let dir = tempfile::tempdir()?;
        if let Err(error) = self.prepare(&dir) {
            return Err(io::Error::other(error));
        }
        let files = count(dir.path())?;
        let (answer, recording) = self.call(&dir, Failing::Once(at, fault))?;
        let mut broken = Vec::new();
        if recording.is_some_and(|recording| recording.synced_again > 0) {
            broken.push((Rule::SyncedAgain, "a new file".into(), "a second sync".into()));
        }
        let store = self.bench.open(&dir)?;
        let new = match &self.case.call {
            Call::Change(step) => step.value().cloned(),
            Call::Get | Call::List => self.case.before.clone(),
        };
        let old = self.case.before.clone();
        let allowed = match &answer {
            Ok(_) => vec![new.clone()],
            Err(error) if error.is_retryable() => vec![old, new.clone()],
            Err(_) => vec![old],
        };
        match &answer {
            Err(error) => broken.extend(untyped(error, call, fault)),
            Ok(seen) if *seen != self.right() => {
                let (right, seen) = (describe(self.right().as_ref()), describe(seen.as_ref()));
                broken.push((Rule::Ignored, right, seen));
            }
            Ok(_) if matches!(call.intent, Intent::Sync { .. }) && !fault.is_tolerable(call) => {
                broken.push((Rule::Ignored, "an error".into(), "ok".into()));
            }
            Ok(_) => {}
        }
        let seen = read(&store, KEY);
        if !seen.as_ref().is_ok_and(|seen| allowed.contains(seen)) {
            let allowed: Vec<_> = allowed.iter().map(|value| describe(value.as_ref())).collect();
            broken.push((Rule::Untouched, allowed.join(" or "), shown(&seen)));
        }
        for (key, seed) in self.options.neighbours.iter().zip(100..) {
            let (right, seen) = (value(seed, 300), read(&store, key));
            if seen.as_ref().ok() != Some(&Some(right.clone())) {
                let right = format!("`{key}` to hold {}", describe(Some(&right)));
                broken.push((Rule::Untouched, right, shown(&seen)));
            }
        }
        // One more file, if the key now has an artifact and had none before.
        let is_there = seen.as_ref().is_ok_and(Option::is_some);
        let was_there = self.case.before.is_some();
        let mut due = (files + usize::from(is_there)).saturating_sub(usize::from(was_there));
        if matches!(call.intent, Intent::Unlink { .. }) {
            // If the removal itself failed, a sweep removes the rest.
            let _ = swept(&store);
        }
        let mut left = count(dir.path())?;
        broken.extend(self.again(&store, &new));
        if self.case.uses_versions {
            // A claim stays as long as what it claims, and goes with that.
            left = count(dir.path())?;
            due = (files + usize::from(new.is_some())).saturating_sub(usize::from(was_there));
        }
        if left > due {
            broken.push((Rule::Removed, format!("{due} files"), format!("{left}")));
        }
        Ok((answer.err().map(|error| error.to_string()), broken))
    }

    fn again(&self, store: &ArtifactStore, new: &Option<Bytes>) -> Option<Broken> {
        let answer = match (&self.case.call, self.ask(store)) {
            // The first attempt may have succeeded.
            (Call::Change(Step::Create(..)), Err(error))
                if matches!(error.kind(), ErrorKind::AlreadyExists) =>
            {
                Ok(None)
            }
            (_, answer) => answer,
        };
        let seen = match answer {
            Ok(answer) if answer != self.right() => describe(answer.as_ref()),
            Ok(_) => match read(store, KEY) {
                Ok(seen) if seen == *new => return None,
                seen => shown(&seen),
            },
            Err(error) => error.to_string(),
        };
        Some((Rule::Again, describe(new.as_ref()), seen))
    }
}

fn read(store: &ArtifactStore, key: &str) -> std::result::Result<Option<Bytes>, String> {
    match store.get(key) {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn shown(seen: &std::result::Result<Option<Bytes>, String>) -> String {
    seen.as_ref().map_or_else(Clone::clone, |seen| describe(seen.as_ref()))
}

/// What is wrong with the error that a fault led to.
fn untyped(error: &Error, call: &Seen, fault: Fault) -> Option<Broken> {
    let is_right = match error.kind() {
        ErrorKind::NoSpace(why) => {
            matches!(fault, Fault::NoSpace | Fault::Quota) && !why.is_empty()
        }
        ErrorKind::AccessDenied(why) => {
            matches!(fault, Fault::ReadOnly | Fault::Permission) && !why.is_empty()
        }
        ErrorKind::Unsupported(why) => fault == Fault::UnsupportedSync && !why.is_empty(),
        // A truncated transfer shows only as missing bytes.
        ErrorKind::Corrupt(why) => {
            fault == Fault::ShortTransfer && call.intent.is_read() && !why.is_empty()
        }
        ErrorKind::Unavailable(why) | ErrorKind::Other(why) => !why.is_empty(),
        _ => false,
    };
    let expected = || format!("an error that says `{fault}`");
    (!is_right).then(|| (Rule::Typed, expected(), error.to_string()))
}

/// How many files there are below `dir`.
fn count(dir: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}
