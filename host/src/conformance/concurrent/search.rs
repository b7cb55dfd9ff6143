//! Whether there is an order of the calls on one key in which each takes effect in one moment
//! between its begin and its end, and every answer is right (Herlihy and Wing's linearizability).
//!
//! The calls are followed in the order of their begins and ends. What is kept is every state that
//! the key may be in, with the calls under way that have then taken effect. No call takes effect
//! before an answer needs it, and one that changes nothing does as soon as it fits; so the set is
//! small, and where it becomes empty is the first answer that nothing explains.

use std::collections::HashMap;

use super::value::Id;

/// The value under the key; `None` where it is absent.
pub(super) type State = Option<Id>;

/// The state in which the answer is right.
#[derive(Clone, Debug)]
pub(super) enum Needs {
    Anything,
    Absent,
    Present,
    OneOf(Vec<Id>),
    /// Absent, or another value.
    Other(Id),
    /// Another value.
    Another(Id),
    AbsentOr(Vec<Id>),
}

impl Needs {
    fn holds(&self, state: State) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => state.is_none(),
            Self::Present => state.is_some(),
            Self::OneOf(values) => state.is_some_and(|value| values.contains(&value)),
            Self::Other(value) => state != Some(*value),
            Self::Another(value) => state.is_some_and(|state| state != *value),
            Self::AbsentOr(values) => state.is_none_or(|value| values.contains(&value)),
        }
    }
}

/// A call as the search sees it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Which operation it is.
    pub(super) of: usize,
    pub(super) begin: u64,
    /// `None` where it may take effect at any time, or never.
    pub(super) end: Option<u64>,
    pub(super) needs: Needs,
    /// The state afterwards, if it changes it.
    pub(super) then: Option<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Explained,
    /// The step whose answer nothing explains.
    Unexplained(usize),
    /// There are too many possibilities.
    Undecided,
}

/// How many possibilities are looked at.
const MOST: usize = 200_000;

/// One possibility.
#[derive(Clone, Copy)]
struct Possible {
    state: State,
    /// The calls under way that have taken effect, by their places.
    done: u128,
}

/// Calls under way. Each has a place until its end; those without an end keep theirs.
struct Pending<'a> {
    steps: &'a [Step],
    places: Vec<Option<usize>>,
    /// The places of those without an end.
    endless: u128,
}

/// Possibilities of which none is worse than another: of two that differ only in calls without an
/// end, the one in which fewer of them have taken effect can do all that the other can.
#[derive(Default)]
struct Best(HashMap<(State, u128), Vec<u128>>);

impl Best {
    fn add(&mut self, possible: Possible, endless: u128) -> bool {
        let alike = self.0.entry((possible.state, possible.done & !endless)).or_default();
        let taken = possible.done & endless;
        if alike.iter().any(|other| other & !taken == 0) {
            return false;
        }
        alike.retain(|other| taken & !other != 0);
        alike.push(taken);
        true
    }

    fn into_possible(self) -> Vec<Possible> {
        let all = self.0.into_iter().flat_map(|((state, done), taken)| {
            taken.into_iter().map(move |taken| Possible { state, done: done | taken })
        });
        all.collect()
    }
}

impl Pending<'_> {
    /// The place of a call that begins; `None` where all are taken.
    fn begin(&mut self, at: usize) -> Option<u128> {
        let free = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if free == self.places.len() {
            self.places.push(None);
        }
        self.places[free] = Some(at);
        let place = 1_u128.checked_shl(free as u32)?;
        if self.steps[at].end.is_none() {
            self.endless |= place;
        }
        Some(place)
    }

    fn place(&self, at: usize) -> usize {
        self.places.iter().position(|it| *it == Some(at)).unwrap_or_default()
    }

    fn not_done(&self, done: u128) -> impl Iterator<Item = (u128, &Step)> {
        let all = self.places.iter().enumerate();
        all.filter_map(move |(place, at)| Some((1 << place, &self.steps[(*at)?])))
            .filter(move |(place, _)| done & place == 0)
    }

    /// What changes nothing and fits has taken effect.
    fn settled(&self, mut possible: Possible) -> Possible {
        for (place, step) in self.not_done(possible.done) {
            if step.then.is_none() && step.needs.holds(possible.state) {
                possible.done |= place;
            }
        }
        possible
    }

    /// Every possibility in which the call in this place has taken effect.
    fn after(&self, known: Vec<Possible>, place: u128, left: &mut usize) -> Option<Vec<Possible>> {
        let (mut seen, mut found, mut open) = (Best::default(), Best::default(), known);
        while let Some(possible) = open.pop() {
            if possible.done & place != 0 {
                let ended = Possible { done: possible.done & !place, ..possible };
                found.add(ended, self.endless);
                continue;
            }
            *left = left.checked_sub(1)?;
            for (its, step) in self.not_done(possible.done) {
                let Some(state) = step.then.filter(|_| step.needs.holds(possible.state)) else {
                    continue;
                };
                let next = self.settled(Possible { state, done: possible.done | its });
                if seen.add(next, self.endless) {
                    open.push(next);
                }
            }
        }
        Some(found.into_possible())
    }
}

/// Looks for an order, from any of the states in `before`.
pub(super) fn search(steps: &[Step], before: &[State]) -> Verdict {
    let mut events = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        // A read without an answer explains nothing, and needs no explanation.
        if step.end.is_some() || step.then.is_some() {
            events.push((step.begin, false, at));
        }
        events.extend(step.end.map(|end| (end, true, at)));
    }
    // At one time, begins come first: nothing tells that the calls did not overlap.
    events.sort_unstable();
    let mut pending = Pending { steps, places: Vec::new(), endless: 0 };
    let mut known: Vec<_> =
        before.iter().map(|state| Possible { state: *state, done: 0 }).collect();
    let mut left = MOST;
    for (_, is_end, at) in events {
        if !is_end {
            if pending.begin(at).is_none() {
                return Verdict::Undecided;
            }
            known = known.into_iter().map(|possible| pending.settled(possible)).collect();
            continue;
        }
        let place = pending.place(at);
        let Some(after) = pending.after(known, 1 << place, &mut left) else {
            return Verdict::Undecided;
        };
        if after.is_empty() {
            return Verdict::Unexplained(at);
        }
        known = after;
        pending.places[place] = None;
    }
    Verdict::Explained
}
