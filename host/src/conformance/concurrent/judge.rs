//! What the calls on one key show.

use std::collections::{BTreeMap, HashMap};

use super::explain::{explain, shown};
use super::history::{Answer, Call, Operation, Seen};
use super::search::{Needs, Step, Verdict, search};
use super::value::Id;
use crate::conformance::trace::Recorded;
use crate::conformance::{Failure, Way};

/// What an assertion is about. Each but the last adds conditions to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// What was stored, deleted and read.
    Order,
    /// And what creates and replaces that failed have seen.
    Refusals,
    /// And that a create stores only where nothing is.
    Creates,
    /// And a replace only over its version.
    Replaces,
    /// And a deletion of one version only that.
    Deletions,
    Versions,
}

pub(super) enum Judgement {
    Explained,
    Undecided,
    Broken(About, Failure),
}

/// The calls on one key, with the generation that each version names.
struct Key<'a> {
    operations: &'a [Operation],
    sums: BTreeMap<Id, (u64, u64)>,
    versions: HashMap<&'a str, Id>,
}

/// Judges the calls on a key that was absent before the first of them.
pub(super) fn judge(operations: &[Operation]) -> Judgement {
    let key = match Key::new(operations) {
        Ok(key) => key,
        Err((about, failure)) => return Judgement::Broken(about, failure),
    };
    match search(&key.steps(About::Deletions), &[None]) {
        Verdict::Explained => return Judgement::Explained,
        Verdict::Undecided => return Judgement::Undecided,
        Verdict::Unexplained(_) => {}
    }
    // With as few conditions as show it.
    use About::{Creates, Deletions, Order, Refusals, Replaces};
    for about in [Order, Refusals, Creates, Replaces, Deletions] {
        let steps = key.steps(about);
        if let Verdict::Unexplained(at) = search(&steps, &[None]) {
            let about = match operations[steps[at].of].call {
                _ if about != Refusals => about,
                Call::Create => Creates,
                Call::Replace(_) => Replaces,
                Call::DeleteIf(_) => Deletions,
                _ => Order,
            };
            return Judgement::Broken(about, explain(operations, &steps, at));
        }
    }
    Judgement::Undecided
}

type Broken = (About, Failure);

impl<'a> Key<'a> {
    /// Finds out which generation each version names, and what no order could explain.
    fn new(operations: &'a [Operation]) -> Result<Self, Broken> {
        let stores = |operation: &&Operation| operation.call.stores();
        let sums = operations.iter().filter(stores).map(|it| (it.id, it.id.sum())).collect();
        let mut key = Self { operations, sums, versions: HashMap::new() };
        let mut named: BTreeMap<Id, (&Operation, &str)> = BTreeMap::new();
        for operation in operations {
            let Some((id, seen)) = key.told(operation)? else { continue };
            if !key.sums.get(&id).is_some_and(|sum| seen.fits(*sum)) {
                let expected = "size and checksum of the generation that the answer is about";
                return Err(broken(About::Versions, &[operation], expected, "others"));
            }
            let Some(version) = seen.version.as_deref() else { continue };
            let first = *named.entry(id).or_insert((operation, version));
            if first.1 != version {
                let expected = "one version for one generation";
                let seen = format!("{:?}, and then {version:?}", first.1);
                return Err(broken(About::Versions, &[first.0, operation], expected, seen));
            }
            let bound = *key.versions.entry(version).or_insert(id);
            if bound != id {
                let both = [named[&bound].0, operation];
                let expected = "another version for another generation";
                return Err(broken(About::Versions, &both, expected, format!("{version:?} again")));
            }
        }
        Ok(key)
    }

    /// The generation that an answer is about, where it says that.
    fn told(&self, operation: &'a Operation) -> Result<Option<(Id, &'a Seen)>, Broken> {
        let stored = "a value that was stored under the key";
        Ok(match &operation.answer {
            Answer::Stored(seen) => Some((operation.id, seen)),
            Answer::Got(id, seen) if self.sums.contains_key(id) => Some((*id, seen)),
            Answer::Got(..) => {
                let seen = "a value that was stored under another key, or by nobody";
                return Err(broken(About::Order, &[operation], stored, seen));
            }
            Answer::Damaged(what) => {
                return Err(broken(About::Order, &[operation], stored, what.clone()));
            }
            Answer::Stated(seen) => match self.fitting(seen)[..] {
                [id] => Some((id, seen)),
                _ => None,
            },
            _ => None,
        })
    }

    /// The values that an info may describe.
    fn fitting(&self, seen: &Seen) -> Vec<Id> {
        let named = seen.version.as_deref().and_then(|version| self.versions.get(version));
        let fits = self.sums.iter().filter(|(_, sum)| seen.fits(**sum)).map(|(id, _)| *id);
        fits.filter(|id| named.is_none_or(|named| named == id)).collect()
    }

    fn steps(&self, about: About) -> Vec<Step> {
        let steps = self.operations.iter().enumerate().filter_map(|(of, operation)| {
            let (needs, then) = self.step(operation, about)?;
            Some(Step { of, begin: operation.begin, end: operation.end, needs, then })
        });
        steps.collect()
    }

    /// What an answer needs, and what the call leaves; `None` if it tells nothing.
    fn step(&self, operation: &Operation, about: About) -> Option<(Needs, Option<Option<Id>>)> {
        let stored = Some(Some(operation.id));
        Some(match (&operation.call, &operation.answer) {
            (_, Answer::Refused(_) | Answer::Unsupported | Answer::Damaged(_)) => return None,
            (Call::Get | Call::Read | Call::Stat, answer) => match answer {
                Answer::Absent => (Needs::Absent, None),
                Answer::Got(id, _) => (Needs::OneOf(vec![*id]), None),
                Answer::Stated(seen) => (Needs::OneOf(self.fitting(seen)), None),
                _ => return None,
            },
            (Call::Delete, _) => (Needs::Anything, Some(None)),
            (_, Answer::Exists | Answer::Differs) if about < About::Refusals => return None,
            (Call::Create, Answer::Exists) => (Needs::Present, None),
            (Call::Create, _) if about >= About::Creates => (Needs::Absent, stored),
            (Call::Replace(version), Answer::Differs) => {
                (Needs::Other(*self.versions.get(version.as_str())?), None)
            }
            (Call::Replace(version), _) if about >= About::Replaces => {
                let replaced = self.versions.get(version.as_str());
                (Needs::OneOf(replaced.into_iter().copied().collect()), stored)
            }
            (Call::DeleteIf(version), Answer::Differs) => {
                (Needs::Another(*self.versions.get(version.as_str())?), None)
            }
            (Call::DeleteIf(version), _) if about >= About::Deletions => {
                let removed = self.versions.get(version.as_str());
                (Needs::AbsentOr(removed.into_iter().copied().collect()), Some(None))
            }
            (Call::DeleteIf(_), _) => (Needs::Anything, Some(None)),
            _ => (Needs::Anything, stored),
        })
    }
}

impl Call {
    fn stores(&self) -> bool {
        matches!(self, Self::Put | Self::Write | Self::Create | Self::Replace(_))
    }
}

fn broken(
    about: About,
    operations: &[&Operation],
    expected: &str,
    seen: impl Into<String>,
) -> Broken {
    let first = operations.iter().map(|it| it.begin).min().unwrap_or_default();
    let calls: Vec<Recorded> = operations.iter().map(|it| shown(it, first)).collect();
    let (expected, seen) = (expected.to_owned(), seen.into());
    (about, Failure { rule: "", way: Way::Host, calls, is_reduced: true, expected, seen })
}
