//! Where something is, and what lies in what, as the system sees it. Text of paths says neither:
//! links, `..`, mounts and the case of letters give one directory many names.

use std::path::PathBuf;

use super::system::{Device, Mounts, Region};

/// What tells two directories apart.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) u64, pub(super) u64);

/// What tells two directories apart: the path without links.
#[cfg(not(unix))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) PathBuf);

/// Where a file or directory was when it was looked at.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Itself, the directory that it lies in, and so on to the root.
    pub(super) ids: Vec<Id>,
    /// The same in the terms of the mounted filesystems; none where that is not known.
    pub(super) at: Option<At>,
}

/// A mount, and a path that leads there from the root.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nobody tells"))]
pub(super) struct At {
    pub(super) mount: u64,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn id(&self) -> Option<Id> {
        self.ids.first().cloned()
    }

    pub(super) fn seen(&self, mounts: &Mounts) -> Seen {
        let ids = self.ids.clone();
        match &self.at {
            Some(at) => {
                let (own, below, unknown) = (mounts.of(at), mounts.below(at), mounts.unknown(at));
                Seen { ids, own, below, unknown }
            }
            None => Seen { ids, own: Vec::new(), below: Vec::new(), unknown: Vec::new() },
        }
    }
}

/// A [`Place`] beside the mounts of the system.
pub(super) struct Seen {
    ids: Vec<Id>,
    /// The parts of filesystems that it is: one, but for a filesystem that lies over others.
    own: Vec<Region>,
    /// What is mounted below it.
    below: Vec<Region>,
    /// Filesystems, of it or below it, that show directories of others, and nobody tells which.
    unknown: Vec<Device>,
}

impl Seen {
    /// Whether both are one file or directory.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.ids.first() == other.ids.first()
            || self.own.iter().any(|region| other.own.contains(region))
    }

    /// Whether `other` lies in it, however deep, or is the same.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let is_above = self.ids.first().is_some_and(|id| other.ids.contains(id));
        let mut regions = self.own.iter().chain(&self.below);
        is_above || regions.any(|region| other.own.iter().any(|own| region.holds(own)))
    }

    /// Whether one of them may show what the other is.
    pub(super) fn may_share(&self, other: &Self) -> bool {
        let shows = |one: &Self, other: &Self| {
            // Within one filesystem all is told.
            let is_within = |device| other.own.iter().any(|region| region.is_of(device));
            one.unknown.iter().any(|device| !is_within(device))
        };
        shows(self, other) || shows(other, self)
    }
}
