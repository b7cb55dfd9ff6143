//! The rules of the contract as a list of checks that any backend can be put through.
//!
//! A check reaches the backend itself, without the host's own guards: what a host would hide
//! (a key that the backend does not refuse, bytes beyond the end) is seen. Each runs over a store
//! of its own. With the feature `conformance`.
//!
//! ```
//! use artifact_store::Backend;
//! use artifact_store::conformance::{Outcome, Target, Way, checks};
//!
//! let target = Target::in_directories(|dir| Backend::fs(dir));
//! let check = checks().find(|check| check.rules().contains(&"delete-1")).unwrap();
//! assert!(matches!(check.run(&target, Way::Reused, 1)?, Outcome::Passed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checks;
mod contract;
#[cfg(unix)]
pub mod crash;
mod direct;
mod reduce;
mod step;
mod subject;
mod trace;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use checks::checks;
pub use contract::{UNTESTABLE, sentence};
pub use trace::Recorded;

use crate::Backend;
use subject::{Subject, Verdict};

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// What is a key, and that no two are mixed up.
    Keys,
    /// What was put comes back.
    RoundTrip,
    /// An artifact takes the place of another.
    Overwrite,
    /// Storing only where there is nothing.
    Create,
    /// Parts of an artifact.
    Ranges,
    /// Writes and reads of any size, and how they end.
    Streaming,
    /// Listings and their cursors.
    Listing,
    /// Which error means what.
    Errors,
    /// Calls at the same time.
    Concurrency,
    /// Instances that are dropped.
    Instances,
    /// Large artifacts, great numbers.
    Limits,
    /// Audit and sweep.
    Maintenance,
}

impl Group {
    /// All groups, in the order in which they are run.
    pub const ALL: &'static [Self] = &[
        Self::Keys,
        Self::RoundTrip,
        Self::Overwrite,
        Self::Create,
        Self::Ranges,
        Self::Streaming,
        Self::Listing,
        Self::Errors,
        Self::Concurrency,
        Self::Instances,
        Self::Limits,
        Self::Maintenance,
    ];

    /// Its name, such as `round-trip`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::RoundTrip => "round-trip",
            Self::Overwrite => "overwrite",
            Self::Create => "create",
            Self::Ranges => "ranges",
            Self::Streaming => "streaming",
            Self::Listing => "listing",
            Self::Errors => "errors",
            Self::Concurrency => "concurrency",
            Self::Instances => "instances",
            Self::Limits => "limits",
            Self::Maintenance => "maintenance",
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

pub use crate::interface::Interface;

/// The backend in question, and how it gets a fresh store for each check.
#[derive(Clone)]
pub struct Target {
    below: PathBuf,
    open: Open,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("below", &self.below).finish()
    }
}

#[derive(Clone)]
enum Open {
    Directory(Arc<dyn Fn(&Path) -> Backend + Send + Sync>),
    Name(Arc<dyn Fn(&str) -> Backend + Send + Sync>),
}

/// One fresh store.
struct Fresh<'a> {
    target: &'a Target,
    dir: tempfile::TempDir,
}

impl Target {
    /// A backend that keeps its artifacts in the directory that it is granted. `open` grants it
    /// the one that it is given, which is empty, and is removed afterwards. It is called again
    /// for a second host over the same store.
    #[must_use]
    pub fn in_directories(open: impl Fn(&Path) -> Backend + Send + Sync + 'static) -> Self {
        Self { below: std::env::temp_dir(), open: Open::Directory(Arc::new(open)) }
    }

    /// The same for a backend with all its grants, but the directory in the place of all that it
    /// may write to.
    #[must_use]
    pub fn of(backend: &Backend) -> Self {
        let backend = backend.clone();
        Self::in_directories(move |dir| backend.clone().map_grants(|grants| grants.only(dir)))
    }

    /// A backend that keeps its artifacts elsewhere, such as in a bucket. `open` gives it an empty
    /// store of the name that it is given (letters, digits and `-`), which it has not been given
    /// before but for a second host over the same store. Nothing removes it afterwards. What takes
    /// a directory is not offered then.
    #[must_use]
    pub fn by_name(open: impl Fn(&str) -> Backend + Send + Sync + 'static) -> Self {
        Self { below: std::env::temp_dir(), open: Open::Name(Arc::new(open)) }
    }

    /// Makes these directories in `dir` instead of the system's place for temporary files.
    #[must_use]
    pub fn below(mut self, dir: impl Into<PathBuf>) -> Self {
        self.below = dir.into();
        self
    }

    fn place(&self) -> crate::Result<Fresh<'_>> {
        let dir = tempfile::Builder::new().prefix("check-").tempdir_in(&self.below);
        let dir = dir.map_err(|source| no_directory(&self.below, source))?;
        Ok(Fresh { target: self, dir })
    }
}

impl Fresh<'_> {
    fn backend(&self) -> Backend {
        match &self.target.open {
            Open::Directory(open) => open(self.dir.path()),
            Open::Name(open) => {
                let name = self.dir.path().file_name().unwrap_or_default();
                open(&name.to_string_lossy())
            }
        }
    }

    /// The directory in which the artifacts are.
    fn dir(&self) -> Option<&Path> {
        matches!(self.target.open, Open::Directory(_)).then(|| self.dir.path())
    }
}

/// One check, named by what it asserts.
pub struct Check {
    name: &'static str,
    group: Group,
    rules: &'static [&'static str],
    needs: &'static [Interface],
    /// It does what the host would not let an application do.
    is_direct: bool,
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
    const fn new(
        name: &'static str,
        group: Group,
        rules: &'static [&'static str],
        run: fn(&Subject) -> Verdict,
    ) -> Self {
        Self { name, group, rules, needs: &[], is_direct: false, run: Run::Alone(run) }
    }

    /// With a second host over the same store.
    const fn with_other(mut self, run: fn(&Subject, &Subject) -> Verdict) -> Self {
        self.run = Run::WithOther(run);
        self
    }

    const fn needs(mut self, needs: &'static [Interface]) -> Self {
        self.needs = needs;
        self
    }

    const fn direct(mut self) -> Self {
        self.is_direct = true;
        self
    }

    /// What it asserts, in words joined by `_`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is about.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group
    }

    /// The rules of the contract that it tests; the first one is what a failure breaks.
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

    /// Whether it makes sense in this way: through the host some calls cannot be made.
    #[must_use]
    pub fn runs(&self, way: Way) -> bool {
        way != Way::Host || !self.is_direct
    }

    /// Runs it over a fresh store. `seed` chooses the data; the same one repeats a run.
    ///
    /// # Errors
    ///
    /// Where the backend cannot be opened, or no fresh store be made.
    pub fn run(&self, target: &Target, way: Way, seed: u64) -> crate::Result<Outcome> {
        let place = target.place()?;
        let subject = Subject::open(place.backend(), way, place.dir(), seed)?;
        let missing = self.needs.iter().find(|interface| !subject.offers(**interface));
        if let Some(interface) = missing {
            return Ok(Outcome::NotOffered(interface.name().into()));
        }
        let verdict = match self.run {
            Run::Alone(run) => run(&subject),
            Run::WithOther(run) => run(&subject, &subject.other(place.backend())?),
        };
        Ok(match verdict {
            Ok(()) => Outcome::Passed,
            Err(Stop::NotOffered(what)) => Outcome::NotOffered(what),
            Err(Stop::Failed(failure)) => Outcome::Failed(failure),
            Err(Stop::FailedByLast(mut failure)) => {
                let steps = subject.steps();
                if let Some(calls) = steps.and_then(|it| reduce::reduce(target, way, seed, &it)) {
                    (failure.calls, failure.is_reduced) = (calls, true);
                }
                Outcome::Failed(failure)
            }
        })
    }
}

fn no_directory(below: &Path, source: std::io::Error) -> crate::Error {
    let path = below.display().to_string();
    let kind = crate::LoadError::Directory { path, source: source.into() }.into();
    crate::Error::new(kind, crate::error::Operation::Open, None, &"conformance".into())
}

/// What came of a check. It is exhaustive, so that nobody takes a new outcome for one of these.
#[derive(Clone, Debug)]
#[must_use]
pub enum Outcome {
    /// Nothing was seen that breaks the rule.
    Passed,
    /// The backend does not offer what the rule is about, which is named.
    NotOffered(String),
    /// The rule is broken.
    Failed(Failure),
}

/// What shows that a rule is broken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// How the backend was reached.
    pub way: Way,
    /// The calls that show it, in the order in which they ended.
    pub calls: Vec<Recorded>,
    /// Whether they are the fewest: made again over a fresh store they show the same, and that
    /// needs each of them. Else they are the last calls, of which some may have nothing to do with
    /// it: the rule is about several answers, or calls at the same time.
    pub is_reduced: bool,
    /// What the rule asks for.
    pub expected: String,
    /// What came instead.
    pub seen: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in &self.calls {
            writeln!(f, "  {call}")?;
        }
        write!(f, "expected: {}\nseen:     {} ({})", self.expected, self.seen, self.way)
    }
}

/// What ends a check before its end.
enum Stop {
    NotOffered(String),
    Failed(Failure),
    /// The last answer is what is wrong.
    FailedByLast(Failure),
}
