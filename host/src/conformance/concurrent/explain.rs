//! The smallest part of a history that no order explains, as people read it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::history::{Answer, Call, Operation};
use super::search::{Needs, State, Step, Verdict, search};
use super::value::Id;
use crate::conformance::trace::Recorded;
use crate::conformance::{Failure, Way};

/// For so long a smaller part is looked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The failure that the step `at` is the first one whose answer nothing explains.
pub(super) fn explain(operations: &[Operation], steps: &[Step], at: usize) -> Failure {
    let Part { needed, is_reduced, is_from_begin } = smallest(steps, at);
    let mut meant: BTreeSet<usize> = needed.iter().map(|step| step.of).collect();
    // And those that stored what the answers are about, and what was replaced by them.
    for _ in 0..2 {
        let told: BTreeSet<Id> = steps
            .iter()
            .filter(|step| meant.contains(&step.of))
            .flat_map(|step| step.needs.values())
            .copied()
            .collect();
        let writers = operations.iter().enumerate().filter(|(_, it)| told.contains(&it.id));
        meant.extend(writers.map(|(of, _)| of));
    }
    let last = &operations[steps[at].of];
    let mut chosen: Vec<_> = meant.iter().map(|of| &operations[*of]).collect();
    chosen.sort_by_key(|operation| (operation.begin, operation.end));
    let first = chosen.first().map_or(0, |operation| operation.begin);
    let mut calls = Vec::new();
    if !is_from_begin {
        let text = "before these calls the key may have been in any state";
        calls.push(Recorded { call: text.into(), outcome: String::new(), cause: None });
    }
    calls.extend(chosen.iter().map(|operation| shown(operation, first)));
    let begun = |it: &&Operation| Some(it.begin) <= last.end;
    let others = operations.iter().filter(begun).count().saturating_sub(chosen.len());
    if others > 0 {
        let text =
            format!("{others} other calls on the key explain nothing, whenever they took effect");
        calls.push(Recorded { call: text, outcome: String::new(), cause: None });
    }
    let last = shown(last, first);
    Failure {
        rule: "",
        way: Way::Host,
        calls,
        is_reduced,
        expected: "an order of the calls, each between its begin and its end, in which every \
                   answer is right"
            .into(),
        seen: format!("no order explains the answer at {last}"),
    }
}

struct Part {
    /// The steps without which there would be an order.
    needed: Vec<Step>,
    is_reduced: bool,
    /// Whether nothing was before it.
    is_from_begin: bool,
}

fn smallest(steps: &[Step], at: usize) -> Part {
    let begun = Instant::now();
    let (last, until) = (steps[at].of, steps[at].end.unwrap_or(u64::MAX));
    // What ends later may have taken effect or not.
    let ended = |step: &Step| Step { end: step.end.filter(|end| *end <= until), ..step.clone() };
    let all: Vec<_> = steps.iter().filter(|step| step.begin <= until).map(ended).collect();
    let fails =
        |part: &[Step], before: &[State]| matches!(search(part, before), Verdict::Unexplained(_));
    // As late a begin as shows it, from whatever state.
    let mut cuts: Vec<_> = all.iter().filter_map(|step| step.end).collect();
    cuts.sort_unstable_by(|a, b| b.cmp(a));
    let shows = |cut: u64| {
        let part = since(&all, cut);
        fails(&part, &before(&part, &all))
    };
    let found = cuts.partition_point(|cut| begun.elapsed() < PATIENCE && !shows(*cut));
    let mut part = since(&all, cuts.get(found).copied().unwrap_or(0));
    let mut start = before(&part, &all);
    if !fails(&part, &start) {
        (part, start) = (all.clone(), vec![None]);
    }
    // Without each call that is not needed: a change may then have taken effect at any time.
    let mut at = 0;
    let is_loose = |step: &Step| step.end.is_none() && step.begin == 0;
    while at < part.len() && begun.elapsed() < PATIENCE {
        let mut fewer = part.clone();
        match fewer[at].then {
            _ if fewer[at].of == last => {}
            None => drop(fewer.remove(at)),
            Some(_) => (fewer[at].begin, fewer[at].end) = (0, None),
        }
        match fewer.len() < part.len() || is_loose(&fewer[at]) {
            true if fails(&fewer, &start) => {
                at += usize::from(fewer.len() == part.len());
                part = fewer;
            }
            _ => at += 1,
        }
    }
    let (is_reduced, is_from_begin) = (at >= part.len(), start == [None]);
    let needed = part.into_iter().filter(|step| step.end.is_some()).collect();
    Part { needed, is_reduced, is_from_begin }
}

/// What had not ended before this time.
fn since(all: &[Step], cut: u64) -> Vec<Step> {
    all.iter().filter(|step| step.end.is_none_or(|end| end >= cut)).cloned().collect()
}

/// The states that may have been before a part: absent, or any value that no call of it stores. Of
/// those that it does not tell apart, one is enough.
fn before(part: &[Step], all: &[Step]) -> Vec<State> {
    if part.len() == all.len() {
        return vec![None];
    }
    let stored =
        |steps: &[Step]| steps.iter().filter_map(|step| step.then?).collect::<BTreeSet<_>>();
    let (in_part, in_all) = (stored(part), stored(all));
    let told: BTreeSet<Id> = part.iter().flat_map(|step| step.needs.values()).copied().collect();
    let (told, untold): (Vec<Id>, Vec<Id>) =
        in_all.difference(&in_part).partition(|id| told.contains(id));
    let values = told.into_iter().chain(untold.into_iter().next());
    values.map(Some).chain([None]).collect()
}

impl Needs {
    /// The values that it names.
    fn values(&self) -> &[Id] {
        match self {
            Self::Anything | Self::Absent | Self::Present => &[],
            Self::OneOf(values) | Self::AbsentOr(values) => values,
            Self::Other(value) | Self::Another(value) => std::slice::from_ref(value),
        }
    }
}

/// Who called what when, and the answer. Times count from `first`.
pub(super) fn shown(operation: &Operation, first: u64) -> Recorded {
    let Operation { id, thread, call, begin, end, answer } = operation;
    let time = |at: u64| format!("{:.3}", at.saturating_sub(first) as f64 / 1e6);
    let when = match end {
        Some(end) => format!("{} to {} ms", time(*begin), time(*end)),
        None => format!("from {} ms", time(*begin)),
    };
    let what = match call {
        Call::Put | Call::Write | Call::Create => format!("{}(value {id})", call.name()),
        Call::Replace(version) => format!("replace(value {id}, over version {})", brief(version)),
        Call::DeleteIf(version) => format!("delete-if(version {})", brief(version)),
        call => format!("{}()", call.name()),
    };
    let call = format!("{when}, process {} thread {thread}: {what}", id.process);
    Recorded { call, outcome: answer_shown(answer), cause: None }
}

fn answer_shown(answer: &Answer) -> String {
    let named = |version: &Option<String>| match version {
        Some(version) => format!(", version {}", brief(version)),
        None => String::new(),
    };
    match answer {
        Answer::Stored(seen) => format!("ok{}", named(&seen.version)),
        Answer::Deleted => "ok".into(),
        Answer::Got(id, seen) => format!("value {id}{}", named(&seen.version)),
        Answer::Stated(seen) => format!("{} bytes{}", seen.size, named(&seen.version)),
        Answer::Absent => "not-found".into(),
        Answer::Exists => "already-exists".into(),
        Answer::Differs => "condition-failed".into(),
        Answer::Unsupported => "unsupported".into(),
        Answer::Refused(why) | Answer::Damaged(why) | Answer::Unknown(why) => why.clone(),
    }
}

/// A version, or its begin.
fn brief(version: &str) -> String {
    const MOST: usize = 12;
    match version.len() {
        0..=MOST => format!("{version:?}"),
        _ => format!("{:?}…", &version[..version.floor_char_boundary(MOST)]),
    }
}
