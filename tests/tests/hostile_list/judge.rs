//! What counts as harm.

use std::time::Duration;

use crate::vitals::{Log, Usage};

/// The longest that one behaviour may take, by way of both APIs; the limit of a call is 200 ms.
const CALL: Duration = Duration::from_secs(20);

/// The longest that a call of the healthy store may take.
const NEIGHBOUR: Duration = Duration::from_secs(10);

/// What the process may have in memory at most beyond what it had: for whatever it does itself, and
/// for each call at once. An instance may have 64 MiB, and hand over 16.
const PEAK: usize = 160 << 20;
const PEAK_OF_EACH: usize = 96 << 20;

/// What it may still have afterwards, beyond what it had in the beginning: each of 64 idle instances
/// keeps at most 8 MiB by which it has grown.
pub const KEPT: usize = 512 << 20;

/// What it may write to its log about each call, in bytes.
const LOG: usize = 64 << 10;

/// What happened while a behaviour went on.
pub struct Observed {
    /// Of each call.
    pub outcomes: Vec<String>,
    pub took: Duration,
    pub at_once: usize,
    /// How long the healthy store took at most, and what was wrong with it.
    pub neighbour: Duration,
    pub trouble: Option<String>,
    pub panics: Vec<String>,
    pub log: Log,
    /// What is outside of the grants and is not as it was.
    pub changed: Option<String>,
    /// At the beginning of all, before this, and after it.
    pub first: Usage,
    pub before: Usage,
    pub after: Usage,
}

/// Each harm that was done, in words.
pub fn judge(seen: &Observed, allowed: &str) -> Vec<String> {
    let mut harms = Vec::new();
    let mut harm = |is_harmed: bool, what: String| {
        if is_harmed {
            harms.push(what);
        }
    };
    for outcome in &seen.outcomes {
        harm(!allows(allowed, outcome), format!("the outcome is `{outcome:.300}`, not {allowed}"));
    }
    harm(seen.outcomes.is_empty(), "there is no outcome".into());
    harm(seen.took > CALL, format!("the call took {:?}", seen.took));
    let (wait, trouble) = (seen.neighbour, &seen.trouble);
    harm(wait > NEIGHBOUR, format!("the healthy store took {wait:?}"));
    harm(trouble.is_some(), format!("the healthy store failed: {trouble:?}"));
    harm(!seen.panics.is_empty(), format!("the host panicked: {:?}", seen.panics));
    let log = seen.log.bytes;
    harm(log > LOG * seen.outcomes.len().max(1), format!("the log has {log} bytes more"));
    harm(seen.log.is_raw, "the log has raw control characters".into());
    harm(seen.changed.is_some(), format!("outside of the grants: {:?}", seen.changed));

    let Observed { first, before, after, at_once, .. } = seen;
    let slack = Usage::slack(*at_once);
    let grew = |what| format!("{what} were not given back: {before:?}, then {after:?}");
    harm(after.files > before.files + slack, grew("files"));
    harm(after.threads > before.threads + slack, grew("threads"));
    // What each of them keeps must not add up.
    let slack = Usage::slack(64);
    harm(after.files > first.files + slack, format!("files add up: {first:?}, then {after:?}"));
    harm(after.threads > first.threads + slack, format!("threads add up: {after:?}"));
    harm(after.resident > first.resident + KEPT, format!("memory adds up: {first:?}, {after:?}"));
    let most = before.resident + PEAK + PEAK_OF_EACH * at_once;
    harm(after.peak > most, format!("memory had a peak of {} MiB", after.peak >> 20));
    harms.dedup();
    harms
}

/// `allowed` names the right outcomes, separated by ` | `; one that ends with `*` stands for all
/// that begin like it.
pub fn allows(allowed: &str, outcome: &str) -> bool {
    allowed.split(" | ").any(|right| match right.strip_suffix('*') {
        Some(begins) => outcome.starts_with(begins),
        None => outcome == right,
    })
}
