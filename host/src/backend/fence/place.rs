//! Where something is, and what lies in what, as the system resolves it. Paths as text do not show
//! this: links, `..`, mounts and the case of letters give one directory many names.

use std::path::PathBuf;

use super::system::{Device, Mounts, Region};

/// The identity of a file or directory.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) u64, pub(super) u64);

/// The identity of a file or directory: its path without links.
#[cfg(not(unix))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) PathBuf);

/// Where a file or directory was when it was examined.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The identities of itself, its directory, and so on to the root.
    pub(super) ids: Vec<Id>,
    /// The same in terms of the mounted filesystems; `None` if unknown.
    pub(super) at: Option<At>,
    /// The number of its filesystem, in the format of the list of mounts.
    pub(super) device: Option<Device>,
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
            Some(at) => Seen {
                ids,
                own: mounts.of(at),
                below: mounts.below(at),
                unknown: mounts.unknown(at),
                untold: self.device.clone().filter(|_| !mounts.is_told(at)),
                processes: mounts.processes(at),
            },
            None => Seen { ids, ..Seen::default() },
        }
    }
}

/// A [`Place`] together with the mounts of the system.
#[derive(Default)]
pub(super) struct Seen {
    ids: Vec<Id>,
    /// The parts of filesystems that it is: first its own, then those of the filesystems below an
    /// overlay.
    own: Vec<Region>,
    /// The regions that are mounted below it.
    below: Vec<Region>,
    /// Filesystems, at it or below it, that show directories of others, without it being known
    /// which.
    unknown: Vec<Device>,
    /// Its filesystem, if it is not known which part of the filesystem it is.
    untold: Option<Device>,
    /// Where it shows the processes of the system.
    processes: Option<PathBuf>,
}

impl Seen {
    /// Whether both are the same file or directory.
    pub(super) fn is(&self, other: &Self) -> bool {
        let is_one = |(one, other): (&Region, &Region)| one.is(other);
        self.ids.first() == other.ids.first()
            || self.own.first().zip(other.own.first()).is_some_and(is_one)
    }

    /// Whether something that is written in it may be in `other`: `other` lies in it at any depth,
    /// or is the same, or both contain mounts of which this is true.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let is_above = self.ids.first().is_some_and(|id| other.ids.contains(id));
        let mut written = self.own.iter().chain(&self.below).filter(|region| region.is_written());
        let shown = || other.own.iter().chain(&other.below);
        // A region that is mounted below `other` is in it only as a whole.
        is_above || written.any(|region| shown().any(|own| region.holds(own)))
    }

    /// Where it shows the processes of the system, and with them their memory.
    pub(super) fn processes(&self) -> Option<&PathBuf> {
        self.processes.as_ref()
    }

    /// Whether one of them may show what the other is.
    pub(super) fn may_share(&self, other: &Self) -> bool {
        let shows = |one: &Self, other: &Self| {
            // Within one filesystem everything is known.
            let is_within = |device| other.own.iter().any(|region| region.is_of(device));
            one.unknown.iter().any(|device| !is_within(device))
                || one.untold.as_ref().is_some_and(is_within)
        };
        shows(self, other) || shows(other, self)
    }
}
