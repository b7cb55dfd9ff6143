//! What has to be separate.
//!
//! 1. A directory that a backend may write neither contains another grant nor lies in one, of the
//!    same backend, of its configuration, or of the process; nor is it granted twice to one backend.
//!    Two backends may have the same directory, and those of this library may be open on nested ones.
//! 2. The path of a grant does not lead through a link that lies in a directory which a backend may
//!    write.
//! 3. A directory that a foreign backend may write contains nothing that the host relies on, and one
//!    that it may read no secret of the host.
//! 4. A directory of a foreign backend does not show the processes of the system, whose memory the
//!    backend could read and write there.

use std::cell::OnceCell;
use std::path::PathBuf;

use super::party::{Item, Kind, Party, What};
use super::place::Seen;
use super::system::Mounts;
use crate::error::LoadError;

/// How two relate if the system does not say.
const UNKNOWN: &str = "may share files, through mounts that the system does not fully report, with";

/// # Errors
///
/// [`LoadError::Overlap`] with the first violation.
pub(super) fn check<'a>(
    applicant: &Party,
    others: impl IntoIterator<Item = &'a Party>,
    mounts: &Mounts,
) -> Result<(), LoadError> {
    let applicant = Looked::at(applicant, mounts);
    let others: Vec<_> = others.into_iter().map(|party| Looked::at(party, mounts)).collect();
    let all = || std::iter::once(&applicant).chain(&others);
    for (n, mine) in applicant.directories().enumerate() {
        if let Some(place) = mine.seen().processes().filter(|_| !applicant.party.is_trusted) {
            let whose = "the processes of this system and their memory".to_owned();
            return Err(mine.overlap(&applicant, "shows", place.clone(), whose));
        }
        for other in applicant.directories().skip(n + 1) {
            mine.apart_from(other, &applicant, &applicant)?;
        }
        for (party, other) in others.iter().flat_map(|it| it.directories().map(move |d| (it, d))) {
            let are_ours = party.party.is_trusted && applicant.party.is_trusted;
            if !(party.party.kind == Kind::Open && are_ours) {
                mine.apart_from(other, &applicant, party)?;
            }
        }
        for party in all() {
            for other in party.directories().filter(|other| other.is_written()) {
                mine.not_found_through(other, &applicant, party)?;
            }
        }
    }
    for party in all().filter(|party| !party.party.is_trusted) {
        let relied_on: Vec<_> = match party.party.kind {
            Kind::Applicant => all().collect(),
            // Everything else was compared with it when it was loaded.
            Kind::Open => {
                let is_new =
                    |of: &&Looked<'_>| matches!(of.party.kind, Kind::Applicant | Kind::Host);
                all().filter(is_new).collect()
            }
            // Its own violations are reported when it is loaded. But it may have been open before,
            // with another configuration, and what the host relies on is used for all backends.
            Kind::Configured => all().filter(|of| of.party.kind == Kind::Host).collect(),
            Kind::Host => continue,
        };
        for directory in party.directories() {
            for of in &relied_on {
                for file in of.protected() {
                    if directory.is_written() || matches!(file.item.what, What::Secret(_)) {
                        directory.holds_nothing_of(file, party, of)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// A party whose directories are compared with others.
struct Looked<'a> {
    party: &'a Party,
    items: Vec<LookedAt<'a>>,
}

struct LookedAt<'a> {
    item: &'a Item,
    mounts: &'a Mounts,
    /// Computed only if the directory is compared with something.
    seen: OnceCell<Seen>,
}

impl<'a> Looked<'a> {
    fn at(party: &'a Party, mounts: &'a Mounts) -> Self {
        let looked_at = |item| LookedAt { item, mounts, seen: OnceCell::new() };
        Self { party, items: party.items.iter().map(looked_at).collect() }
    }

    fn directories(&self) -> impl Iterator<Item = &LookedAt<'a>> {
        self.items.iter().filter(|at| matches!(at.item.what, What::Directory { .. }))
    }

    fn protected(&self) -> impl Iterator<Item = &LookedAt<'a>> {
        self.items.iter().filter(|at| matches!(at.item.what, What::Protected(_) | What::Secret(_)))
    }

    /// The other side's owner, as named in a message about this one.
    fn name(&self) -> &str {
        match self.party.kind {
            Kind::Applicant => "the same backend",
            _ => &self.party.owner,
        }
    }
}

impl LookedAt<'_> {
    fn seen(&self) -> &Seen {
        self.seen.get_or_init(|| self.item.way.place.seen(self.mounts))
    }

    fn is_writable(&self) -> bool {
        self.item.what == What::Directory { writable: true }
    }

    /// Whether a backend may write there now.
    fn is_written(&self) -> bool {
        self.is_writable() && self.item.way.exists
    }

    /// The first rule, with this directory of the applicant and `other` of `party`.
    fn apart_from(
        &self,
        other: &Self,
        applicant: &Looked<'_>,
        party: &Looked<'_>,
    ) -> Result<(), LoadError> {
        if !self.is_writable() && !other.is_writable() {
            return Ok(());
        }
        let how = match other.item.way.exists {
            // What will be created there lies in this one.
            false => self.seen().holds(other.seen()).then_some("holds"),
            true if self.seen().is(other.seen()) => {
                (party.party.kind == Kind::Applicant).then_some("is the same as")
            }
            true if self.seen().holds(other.seen()) => Some("holds"),
            true if other.seen().holds(self.seen()) => Some("lies in"),
            true => {
                let is_foreign =
                    |one: &Self, of: &Looked<'_>| one.is_writable() && !of.party.is_trusted;
                let is_known = !is_foreign(self, applicant) && !is_foreign(other, party);
                (!is_known && self.seen().may_share(other.seen())).then_some(UNKNOWN)
            }
        };
        let Some(how) = how else { return Ok(()) };
        let kind = if other.is_writable() { "writable" } else { "read-only" };
        let whose = format!("a {kind} directory of {}", party.name());
        Err(self.overlap(applicant, how, other.item.path.clone(), whose))
    }

    /// The second rule, with this directory of `applicant` and `writable` of `party`.
    fn not_found_through(
        &self,
        writable: &Self,
        applicant: &Looked<'_>,
        party: &Looked<'_>,
    ) -> Result<(), LoadError> {
        let Some(path) = self.crossing(writable, party) else { return Ok(()) };
        let whose = format!("which {} may change", party.name());
        Err(self.overlap(applicant, "is reached through", path, whose))
    }

    /// The third rule, with this directory of `party` and `file` of `of`.
    fn holds_nothing_of(
        &self,
        file: &Self,
        party: &Looked<'_>,
        of: &Looked<'_>,
    ) -> Result<(), LoadError> {
        let how = if self.seen().holds(file.seen()) {
            "holds"
        } else if file.item.way.exists && file.seen().holds(self.seen()) {
            "lies in"
        } else if file.crossing(self, party).is_some() {
            "holds a part of the path to"
        } else if self.seen().may_share(file.seen()) {
            UNKNOWN
        } else {
            return Ok(());
        };
        let (What::Protected(what) | What::Secret(what)) = file.item.what else { return Ok(()) };
        let whose = match of.party.kind {
            Kind::Host => what.to_owned(),
            _ if std::ptr::eq(of.party, party.party) => format!("{what} of the same backend"),
            _ => format!("{what} of {}", of.party.owner),
        };
        Err(self.overlap(party, how, file.item.path.clone(), whose))
    }

    /// What `party`, which may write `writable`, can change on the way to this one: a link in
    /// `writable` or, by renaming, the way up from a directory in it.
    fn crossing(&self, writable: &Self, party: &Looked<'_>) -> Option<PathBuf> {
        let crossing = self.item.way.crossings.iter().find(|crossing| {
            let seen = crossing.place.seen(self.mounts);
            let may_move = || !party.party.is_trusted && !writable.seen().is(&seen);
            let may_hold = || !party.party.is_trusted && writable.seen().may_share(&seen);
            writable.seen().holds(&seen) && (crossing.is_link || may_move()) || may_hold()
        });
        crossing.map(|crossing| crossing.path.clone())
    }

    /// The error of this directory of `party`.
    fn overlap(
        &self,
        party: &Looked<'_>,
        how: &'static str,
        other: PathBuf,
        whose: String,
    ) -> LoadError {
        let (directory, owner) = (self.item.path.clone(), party.party.owner.clone());
        LoadError::Overlap { directory, owner, how, other, whose }
    }
}
