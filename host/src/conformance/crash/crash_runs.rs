//! Running the scenarios, and testing each directory that a crash may leave.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;

use super::Options;
use super::backend::{Bench, Step, describe, value};
use super::crash_states::{State, enumerate};
use super::fault_kinds::Failing;
use super::recorder::{Event, Recording};
use super::report::{self, Report, Rule, Violation};
use super::scenarios::Scenario;
use super::story::moment;
use crate::blocking::ArtifactStore;
use crate::error::{ErrorKind, Result};
use crate::text::chain;
use crate::{FindingKind, Interface};

/// What a key may hold, and the rule that requires it.
struct Expected {
    rule: Rule,
    allowed: Vec<Option<Bytes>>,
    /// What it held before the last acknowledged change.
    gone: Vec<Option<Bytes>>,
}

type Expectation = BTreeMap<String, Expected>;

/// Runs one scenario, and tests all of its crashes.
pub(super) fn run(
    bench: &Bench,
    scenario: &Scenario,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let mut counted = report::Scenario { name: scenario.name, events: 0, states: 0 };
    let kills = if scenario.is_killed { 1..usize::MAX } else { 0..1 };
    for kill in kills {
        let recording = record(bench, scenario, kill, report).map_err(|e| bench.error(e))?;
        let Some((recording, was_killed)) = recording else { break };
        for what in &recording.unknown {
            report.not_seen(format!("{}: the model does not know {what}", scenario.name));
        }
        let changes = |event: &&Event| !matches!(event, Event::Begin(_) | Event::Acknowledge(_));
        let events = recording.events.iter().filter(changes).count();
        if events == 0 && kill == 0 {
            report.not_seen(format!("{}: the backend changed no file", scenario.name));
        }
        counted.events += events;
        counted.states += try_all(bench, scenario, &recording, kill, options, report);
        if kill > 0 && !was_killed {
            break;
        }
    }
    report.scenarios.push(counted);
    Ok(())
}

/// Runs the steps; `None` if the backend does not offer them.
fn record(
    bench: &Bench,
    scenario: &Scenario,
    kill: usize,
    report: &mut Report,
) -> io::Result<Option<(Recording, bool)>> {
    let dir = tempfile::tempdir()?;
    let store = bench.open(&dir)?;
    for (key, value) in &scenario.before {
        if let Err(error) = store.put(key, value.clone()) {
            report.not_seen(format!("{}: {error}", scenario.name));
            return Ok(None);
        }
    }
    if let Some((key, value)) = scenario.before.last().filter(|_| scenario.uses_versions)
        && let Err(error) = Step::Replace(key.clone(), value.clone()).run(&store)
    {
        report.not_seen(format!("{}: {error}", scenario.name));
        return Ok(None);
    }
    // Each step has a new instance, without the memory of the one before.
    let store = bench.open(&dir)?;
    let failing = if kill > 0 { Failing::Killed(kill) } else { Failing::Never };
    bench.recorder.start(dir.path(), failing)?;
    let mut was_killed = false;
    let mut failed = None;
    for (number, step) in scenario.steps.iter().enumerate() {
        bench.recorder.note(Event::Begin(number));
        match step.run(&store) {
            Ok(()) => {
                bench.recorder.note(Event::Acknowledge(number));
                bench.recorder.fail(Failing::Never);
            }
            Err(error) if kill > 0 && number == 0 && !is_unsupported(&error) => {
                was_killed = true;
                bench.recorder.fail(Failing::Never);
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    bench.recorder.fail(Failing::Never);
    let recording = bench.recorder.stop();
    if let Some(error) = failed {
        report.not_seen(format!("{}: {error}", scenario.name));
        return Ok(None);
    }
    Ok(recording.map(|recording| (recording, was_killed)))
}

/// Then it failed by itself, and would with each call that it is killed before.
fn is_unsupported(error: &crate::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported(_))
}

/// What each key may hold after `prefix` events.
fn expected(scenario: &Scenario, events: &[Event]) -> Expectation {
    let mut keys: Expectation = BTreeMap::new();
    let mut set = |key: &str, value| {
        let (rule, allowed, gone) = (Rule::Neighbours, vec![value], Vec::new());
        keys.insert(key.to_owned(), Expected { rule, allowed, gone });
    };
    for step in &scenario.steps {
        set(step.key(), None);
    }
    for (key, value) in &scenario.before {
        set(key, Some(value.clone()));
    }
    for event in events {
        let (number, is_done) = match event {
            Event::Begin(number) => (*number, false),
            Event::Acknowledge(number) => (*number, true),
            _ => continue,
        };
        let Some(step) = scenario.steps.get(number) else { continue };
        let Some(at) = keys.get_mut(step.key()) else { continue };
        let new = step.value().cloned();
        if is_done {
            at.rule = Rule::Acknowledged;
            at.gone.append(&mut at.allowed);
            at.allowed.push(new);
        } else {
            at.rule = Rule::Whole;
            at.allowed.push(new);
        }
    }
    keys
}

fn try_all(
    bench: &Bench,
    scenario: &Scenario,
    recording: &Recording,
    kill: usize,
    options: &Options,
    report: &mut Report,
) -> usize {
    let threads = options.threads.max(1);
    let (states, waiting) = sync_channel::<State>(threads * 4);
    let waiting = Mutex::new(waiting);
    let found = Mutex::new(std::mem::take(report));
    let mut count = 0;
    let left_out = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(state) = next(&waiting) {
                    let broken = try_state(bench, scenario, recording, &state, &found);
                    let crash = crash(recording, &scenario.steps, &state, kill);
                    let mut found = found.lock().unwrap_or_else(|e| e.into_inner());
                    for (rule, expected, seen) in broken {
                        let case = crash.clone();
                        let scenario = scenario.name;
                        found.add(Violation { rule, scenario, case, expected, seen, times: 1 });
                    }
                }
            });
        }
        let left_out = enumerate(recording, kill > 0, |state| {
            count += 1;
            // If all threads are gone, one has panicked, and the scope reports it.
            let _ = states.send(state);
        });
        drop(states);
        left_out
    });
    *report = found.into_inner().unwrap_or_else(|e| e.into_inner());
    if left_out > 0 {
        report.not_seen(format!("{}: {left_out} more states", scenario.name));
    }
    count
}

fn next(waiting: &Mutex<Receiver<State>>) -> Option<State> {
    waiting.lock().unwrap_or_else(|e| e.into_inner()).recv().ok()
}

/// When the crash came and what it left, for people.
fn crash(recording: &Recording, steps: &[Step], state: &State, kill: usize) -> String {
    let moment = match kill {
        0 => format!("a crash {}", moment(recording, steps, state.prefix)),
        _ => format!("a crash after the process was killed before its call {kill} of the system"),
    };
    format!("{moment}; {}", state.variant)
}

type Broken = Vec<(Rule, String, String)>;

/// Opens the backend on one state and tests the rules.
fn try_state(
    bench: &Bench,
    scenario: &Scenario,
    recording: &Recording,
    state: &State,
    report: &Mutex<Report>,
) -> Broken {
    let unobserved = |what: String| {
        report.lock().unwrap_or_else(|e| e.into_inner()).not_seen(what);
    };
    let made = tempfile::tempdir().and_then(|dir| {
        state.make(dir.path())?;
        let store = bench.open(&dir)?;
        Ok((dir, store))
    });
    let (_dir, store) = match made {
        Ok(made) => made,
        Err(error) => {
            unobserved(format!("{}: a state cannot be made: {error}", scenario.name));
            return Vec::new();
        }
    };
    let expected = expected(scenario, &recording.events[..state.prefix]);
    let mut broken = Vec::new();
    let mut present = Vec::new();
    for (key, Expected { rule, allowed, gone }) in &expected {
        let seen = match store.get(key) {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(chain(&error)),
        };
        if !seen.as_ref().is_ok_and(|seen| allowed.contains(seen)) {
            let is_back = seen.as_ref().is_ok_and(|seen| gone.contains(seen));
            let rule = if is_back { Rule::Acknowledged } else { *rule };
            let allowed: Vec<_> = allowed.iter().map(|v| describe(v.as_ref())).collect();
            let seen = seen.as_ref().map_or_else(Clone::clone, |seen| describe(seen.as_ref()));
            broken.push((rule, format!("`{key}` to hold {}", allowed.join(" or ")), seen));
        }
        if !matches!(seen, Ok(None)) {
            present.push(key.clone());
        }
    }
    if store.offers(Interface::Inventory) {
        match list(&store) {
            Ok(listed) if listed == present => {}
            Ok(listed) => {
                broken.push((Rule::Listing, format!("{present:?}"), format!("{listed:?}")));
            }
            Err(kind) => broken.push((Rule::Listing, format!("{present:?}"), kind.to_string())),
        }
    } else {
        unobserved("listing: the backend does not export `inventory`".into());
    }
    for step in &scenario.steps[..1] {
        broken.extend(try_next(&store, step));
    }
    if store.offers(Interface::Maintenance) {
        match swept(&store) {
            Ok(left) if left.is_empty() => {}
            Ok(left) => broken.push((Rule::Litter, "no temporary".into(), format!("{left:?}"))),
            Err(kind) => broken.push((Rule::Litter, "no temporary".into(), kind.to_string())),
        }
    } else {
        unobserved("litter: the backend does not export `maintenance`".into());
    }
    broken
}

fn list(store: &ArtifactStore) -> std::result::Result<Vec<String>, ErrorKind> {
    let mut keys = Vec::new();
    for entry in store.list("") {
        keys.push(entry.map_err(|error| error.into_kind())?.key);
    }
    keys.sort_unstable();
    Ok(keys)
}

fn try_next(store: &ArtifactStore, step: &Step) -> Broken {
    let new = value(99, 500);
    let put = Step::Put(step.key().to_owned(), new.clone()).run(store);
    let seen = match put.and_then(|()| store.get(step.key())) {
        Ok(seen) if seen == new => return Vec::new(),
        Ok(seen) => describe(Some(&seen)),
        Err(error) => chain(&error),
    };
    vec![(Rule::Next, describe(Some(&new)), seen)]
}

/// The temporaries that remain after a sweep of all ages.
pub(super) fn swept(store: &ArtifactStore) -> std::result::Result<Vec<String>, ErrorKind> {
    store.sweep(Duration::ZERO).map_err(|error| error.into_kind())?;
    let mut left = Vec::new();
    for finding in store.audit() {
        let finding = finding.map_err(|error| error.into_kind())?;
        if finding.kind == FindingKind::Temporary {
            left.push(finding.name);
        }
    }
    Ok(left)
}
