//! The fewest calls that show a failure.
//!
//! If the last answer is wrong, the calls before it are repeated over a fresh store, without those
//! that, according to the contract, do not affect that answer. The remaining calls show the failure
//! if every call is answered as before.

use std::time::{Duration, Instant};

use super::subject::Subject;
use super::trace::Entry;
use super::{Recorded, Target, Way};

/// A slow backend must not delay the report for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The calls that are needed; `None` if these calls do not show the failure again.
pub(super) fn reduce(
    target: &Target,
    way: Way,
    seed: u64,
    calls: &[Entry],
) -> Option<Vec<Recorded>> {
    let begun = Instant::now();
    let is_shown = |calls: &[&Entry]| {
        begun.elapsed() < PATIENCE && repeat(target, way, seed, calls).unwrap_or(false)
    };
    let mut kept: Vec<_> = calls.iter().collect();
    if !is_shown(&kept) {
        return None;
    }
    // Often none of the others is needed.
    let needed = (0..kept.len()).filter(|at| !may_be_left_out(&kept, *at));
    let needed: Vec<_> = needed.map(|at| kept[at]).collect();
    if is_shown(&needed) {
        kept = needed;
    }
    // From the end, so that a call that only reads is removed before the change that it reads.
    for at in (0..kept.len()).rev() {
        let mut fewer = kept.clone();
        fewer.remove(at);
        if may_be_left_out(&kept, at) && is_shown(&fewer) {
            kept = fewer;
        }
    }
    Some(kept.into_iter().map(|entry| entry.recorded.clone()).collect())
}

/// Whether a correct backend answers the last call the same without this one: it only read, or
/// failed, or is about another key, or a later change of the same key replaces it.
fn may_be_left_out(calls: &[&Entry], at: usize) -> bool {
    let Some((last, before)) = calls.split_last() else { return false };
    let Some(call) = before.get(at) else { return false };
    if !changed(call) {
        return true;
    }
    let is_about_another = !last.key.is_empty() && last.key != call.key;
    let counts_no_more = before[at + 1..].iter().any(|it| changed(it) && it.key == call.key);
    is_about_another || counts_no_more
}

fn changed(entry: &Entry) -> bool {
    let is_change = entry.step.as_ref().is_some_and(|step| step.is_change());
    is_change && entry.recorded.outcome.starts_with("ok")
}

/// Whether these calls alone get the same answers as before.
fn repeat(target: &Target, way: Way, seed: u64, calls: &[&Entry]) -> crate::Result<bool> {
    let place = target.fresh()?;
    let subject = Subject::open(place.backend(), way, place.dir(), seed)?;
    let other = match calls.iter().any(|call| call.is_other) {
        true => Some(subject.other(place.backend())?),
        false => None,
    };
    for call in calls {
        let host = other.as_ref().filter(|_| call.is_other).unwrap_or(&subject);
        if let Some(step) = &call.step {
            host.repeat(step);
        }
    }
    let expected = calls.iter().map(|call| call.recorded.outcome.as_str());
    Ok(subject.outcomes().iter().map(String::as_str).eq(expected))
}
