//! One check: its subject, and how it is run.

use std::fmt;

use super::contract::{self, sentence};
use super::outcome::{Outcome, Stop};
use super::reduce;
use super::subject::{Subject, Verdict};
use super::target::Target;
use crate::interface::Interface;

/// The subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// Which keys are valid, and that keys are not confused.
    Keys,
    /// Reading returns what was put.
    RoundTrip,
    /// An artifact replaces another one.
    Overwrite,
    /// Storing only if the key has no artifact.
    Create,
    /// What names a generation, and storing only over that generation.
    Versions,
    /// What belongs to an artifact beside its bytes.
    Attributes,
    /// Parts of an artifact.
    Ranges,
    /// Writes and reads of any size, and how they end.
    Streaming,
    /// Listings and their cursors.
    Listing,
    /// The meaning of errors.
    Errors,
    /// Concurrent calls.
    Concurrency,
    /// Instances that are dropped.
    Instances,
    /// Large artifacts, many artifacts.
    Limits,
    /// Copies within the store.
    Copying,
    /// Audit and sweep.
    Maintenance,
    /// What the backend reads from its environment.
    Settings,
    /// What a layer does with the store below it.
    Layers,
}

impl Group {
    /// All groups, in the order in which they run.
    pub const ALL: &'static [Self] = &[
        Self::Keys,
        Self::RoundTrip,
        Self::Overwrite,
        Self::Create,
        Self::Versions,
        Self::Attributes,
        Self::Ranges,
        Self::Streaming,
        Self::Listing,
        Self::Errors,
        Self::Concurrency,
        Self::Instances,
        Self::Limits,
        Self::Copying,
        Self::Maintenance,
        Self::Settings,
        Self::Layers,
    ];

    /// Its name, such as `round-trip`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::RoundTrip => "round-trip",
            Self::Overwrite => "overwrite",
            Self::Create => "create",
            Self::Versions => "versions",
            Self::Attributes => "attributes",
            Self::Ranges => "ranges",
            Self::Streaming => "streaming",
            Self::Listing => "listing",
            Self::Errors => "errors",
            Self::Concurrency => "concurrency",
            Self::Instances => "instances",
            Self::Limits => "limits",
            Self::Copying => "copying",
            Self::Maintenance => "maintenance",
            Self::Settings => "settings",
            Self::Layers => "layers",
        }
    }
}

/// How a check reaches the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// Directly, on instances that serve one call after the other.
    Reused,
    /// Directly, on a fresh instance for each call.
    Fresh,
    /// Through this library, as an application does.
    Host,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reused => "instances reused",
            Self::Fresh => "a fresh instance for each call",
            Self::Host => "through the host",
        })
    }
}

/// One check, named by what it asserts.
pub struct Check {
    name: &'static str,
    group: Group,
    rules: &'static [&'static str],
    needs: &'static [Interface],
    /// The host would not let an application do this.
    is_direct: bool,
    /// It is about one instance that serves many calls.
    needs_reuse: bool,
    run: Run,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish()
    }
}

enum Run {
    Alone(fn(&Subject) -> Verdict),
    WithOther(fn(&Subject, &Subject) -> Verdict),
}

impl Check {
    pub(super) const fn new(
        name: &'static str,
        group: Group,
        rules: &'static [&'static str],
        run: fn(&Subject) -> Verdict,
    ) -> Self {
        let (is_direct, needs_reuse) = (false, false);
        Self { name, group, rules, needs: &[], is_direct, needs_reuse, run: Run::Alone(run) }
    }

    /// With a second host over the same store.
    pub(super) const fn with_other(mut self, run: fn(&Subject, &Subject) -> Verdict) -> Self {
        self.run = Run::WithOther(run);
        self
    }

    pub(super) const fn needs(mut self, needs: &'static [Interface]) -> Self {
        self.needs = needs;
        self
    }

    pub(super) const fn direct(mut self) -> Self {
        self.is_direct = true;
        self
    }

    /// Of no meaning with a fresh instance for each call.
    pub(super) const fn on_one_instance(mut self) -> Self {
        self.needs_reuse = true;
        self
    }

    /// What it asserts, as words joined by `_`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its subject.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group
    }

    /// The rules of the contract that it tests. [`Failure::rule`](super::Failure::rule) names the one
    /// that a failure breaks.
    #[must_use]
    pub fn rules(&self) -> &'static [&'static str] {
        self.rules
    }

    /// The sentence of its first rule.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.rules.first().and_then(|rule| sentence(rule)).unwrap_or_default()
    }

    /// Whether the rule is a recommendation, which a backend may have reasons not to follow.
    #[must_use]
    pub fn is_advice(&self) -> bool {
        self.rules.first().is_some_and(|rule| contract::is_advice(rule))
    }

    /// Whether it can run in this way: through the host some calls cannot be made, and some checks
    /// are about what an instance keeps from one call to the next.
    #[must_use]
    pub fn runs(&self, way: Way) -> bool {
        match way {
            Way::Reused => true,
            Way::Fresh => !self.needs_reuse,
            Way::Host => !self.is_direct,
        }
    }

    /// Runs it over a fresh store. `seed` determines the data; the same seed repeats a run.
    ///
    /// # Errors
    ///
    /// The backend cannot be opened, or no fresh store can be created.
    pub fn run(&self, target: &Target, way: Way, seed: u64) -> crate::Result<Outcome> {
        if let Some(interface) = target.lacks(self.needs) {
            return Ok(Outcome::NotOffered(interface.name().into()));
        }
        let place = target.fresh()?;
        let subject = Subject::open(place.backend(), way, place.dir(), seed)?;
        if self.group == Group::Layers && !subject.is_layer() {
            return Ok(Outcome::NotOffered("a layer".into()));
        }
        let missing = self.needs.iter().find(|interface| !subject.offers(**interface));
        if let Some(interface) = missing {
            target.note_lacking(*interface);
            return Ok(Outcome::NotOffered(interface.name().into()));
        }
        let verdict = match self.run {
            Run::Alone(run) => run(&subject),
            Run::WithOther(run) => run(&subject, &subject.other(place.backend())?),
        };
        let (mut failure, is_last) = match verdict {
            Ok(()) => return Ok(subject.allowance().map_or(Outcome::Passed, Outcome::Allowed)),
            Err(Stop::NotOffered(what)) => return Ok(Outcome::NotOffered(what)),
            Err(Stop::Failed(failure)) => (failure, false),
            Err(Stop::FailedByLast(failure)) => (failure, true),
        };
        if failure.rule.is_empty() {
            failure.rule = self.rules.first().copied().unwrap_or_default();
        }
        if subject.was_slow() {
            return Ok(Outcome::TooSlow(failure));
        }
        let steps = if is_last { subject.steps() } else { None };
        if let Some(calls) = steps.and_then(|it| reduce::reduce(target, way, seed, &it)) {
            (failure.calls, failure.is_reduced) = (calls, true);
        }
        Ok(Outcome::Failed(failure))
    }
}
