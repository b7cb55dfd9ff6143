//! What a set of grants may not contain: the one place that decides it, when a backend is loaded.
//!
//! A backend may rename, replace and link whatever lies below a directory that it may write. So no
//! grant, and no file that says what a backend is or may touch, has to be found through such a
//! directory of another one.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod mounts;
mod party;
mod place;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;
mod register;
mod rules;
mod way;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::LoadError;
use crate::grants::Directory;
use crate::wasi::{Preopen, Preopens};
use party::{Item, Kind, Party, What};
use system::Mounts;

/// A backend that is to be loaded, as far as the rules go.
pub(super) struct Applicant<'a> {
    /// How errors call it where no configuration names its store.
    pub(super) name: &'a str,
    pub(super) directories: &'a [Directory],
    /// The file that its component was read from.
    pub(super) component: Option<&'a Path>,
    pub(super) authorities: &'a [PathBuf],
    /// It is one of this library's own, which make no links.
    pub(super) is_built_in: bool,
    pub(super) surroundings: Option<&'a Surroundings>,
}

/// What is beside a store in its configuration.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "config"), allow(dead_code, reason = "there are no configurations"))]
pub(crate) struct Surroundings {
    /// The configuration.
    pub(crate) file: PathBuf,
    /// The store's own name in it.
    pub(crate) store: String,
    /// All stores of it, this one included.
    pub(crate) stores: Arc<[Neighbour]>,
}

/// One store of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) store: String,
    pub(crate) directories: Vec<Directory>,
    /// The component's file; none where it is built in.
    pub(crate) component: Option<PathBuf>,
    pub(crate) authorities: Vec<PathBuf>,
}

/// What is beside a store is no part of it: two that differ in nothing else need no swap.
impl PartialEq for Surroundings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Surroundings {}

impl Surroundings {
    /// Whether a refusal beside the one holds beside the other, too.
    #[cfg(feature = "config")]
    pub(crate) fn are(&self, others: &Self) -> bool {
        self.file == others.file && self.store == others.store && self.stores == others.stores
    }
}

/// Opens the directories of a backend, once for all its instances, unless they are too near to
/// something that they, or somebody else, may change.
///
/// # Errors
///
/// [`LoadError::Directory`] where one cannot be opened; [`LoadError::Overlap`].
pub(super) fn open(applicant: &Applicant<'_>) -> Result<Arc<Preopens>, LoadError> {
    let mut opened = Vec::new();
    let mut items = Vec::new();
    for Directory { host, guest, writable } in applicant.directories {
        let failed = |source: std::io::Error| LoadError::Directory {
            path: host.display().to_string(),
            source: source.into(),
        };
        let path = std::path::absolute(host).map_err(failed)?;
        let (dir, way) = system::open_dir(host).map_err(failed)?;
        opened.push(Preopen::new(path, guest.clone(), dir, *writable));
        items.push(Item { path: host.clone(), what: What::Directory { writable: *writable }, way });
    }
    let preopens = Arc::new(Preopens::new(opened));
    let owner = match applicant.surroundings {
        Some(Surroundings { store, .. }) => format!("store `{}`", store.escape_debug()),
        None => format!("backend `{}`", applicant.name),
    };
    items.extend(party::files(applicant.component, applicant.authorities));
    let party = Party { owner, kind: Kind::Applicant, is_trusted: applicant.is_built_in, items };
    let mut beside = applicant.surroundings.map(party::beside).unwrap_or_default();
    if !party.is_trusted {
        beside.extend(party::cache());
    }
    // Whoever comes at the same time is compared with this one, or this one with it.
    let mut register = register::lock();
    beside.extend(register.parties());
    rules::check(&party, &beside, &Mounts::default())?;
    register.add(party, &preopens);
    Ok(preopens)
}
