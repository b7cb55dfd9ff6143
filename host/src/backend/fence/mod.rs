//! What a set of grants may not contain. Only this module decides it, when a backend is loaded.
//!
//! A backend may rename, replace and link everything below a directory that it may write. Therefore
//! the path of a grant, or of a file that decides what a backend is or may touch, must not lead
//! through such a directory of another backend.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod mounts;
mod party;
mod place;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "it is tested only"))]
mod portable;
mod register;
mod rules;
mod way;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::ReliedOn;
use crate::error::{LoadError, SettingProblem};
use crate::grants::Directory;
use crate::text::foreign_name;
use crate::wasi::{Preopen, Preopens};
use party::{Item, Kind, Party, What};
use system::Mounts;

/// How long a backend that is being loaded waits for the calls of a store that was dropped, if the
/// two may not be open at the same time. Most end within milliseconds.
const LEAVING: Duration = Duration::from_secs(1);

/// A backend that is to be loaded, as far as the rules need it.
pub(super) struct Applicant<'a> {
    /// Its name in errors if no configuration names its store.
    pub(super) name: &'a str,
    pub(super) directories: &'a [Directory],
    /// The file that its component was read from.
    pub(super) component: Option<&'a Path>,
    pub(super) authorities: &'a [PathBuf],
    /// Whether it is a part of this library; those make no links.
    pub(super) is_built_in: bool,
    pub(super) relied_on: &'a [ReliedOn],
    pub(super) surroundings: Option<&'a Surroundings>,
    /// The files with the identities of its stack.
    pub(super) identities: &'a [PathBuf],
}

/// The configuration around a store.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "config"), allow(dead_code, reason = "there are no configurations"))]
pub(crate) struct Surroundings {
    /// The configuration file.
    pub(crate) file: PathBuf,
    /// Where it keeps compiled code.
    pub(crate) cache: Option<PathBuf>,
    /// The files of the certificate by which its stores are served.
    pub(crate) certificate: Vec<PathBuf>,
    /// The files of the identities of all its stores.
    pub(crate) identities: Vec<PathBuf>,
    /// The store's own name in it.
    pub(crate) store: String,
    /// All its stores, including this one.
    pub(crate) stores: Arc<[Neighbour]>,
    /// Where the file sets what of the store.
    pub(crate) lines: Lines,
}

/// The lines of a store in its configuration, from 1.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    /// Where it begins.
    pub(crate) start: usize,
    /// Where each variable is set.
    pub(crate) variables: BTreeMap<String, usize>,
}

/// Without the variables: what is not granted is not shown with the grants.
impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("start", &self.start).finish_non_exhaustive()
    }
}

/// One store of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) store: String,
    pub(crate) directories: Vec<Directory>,
    /// The file of the component; `None` if it is built in.
    pub(crate) component: Option<PathBuf>,
    /// The files of its layers.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) authorities: Vec<PathBuf>,
}

/// The surroundings are not part of a store: two stores that differ in nothing else need no swap.
impl PartialEq for Surroundings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Surroundings {}

impl Surroundings {
    /// Whether a refusal in these surroundings also holds in the others.
    #[cfg(feature = "config")]
    pub(crate) fn are(&self, others: &Self) -> bool {
        let Self { file, cache, certificate, identities, store, stores, lines: _ } = self;
        *file == others.file
            && *cache == others.cache
            && *certificate == others.certificate
            && *identities == others.identities
            && *store == others.store
            && *stores == others.stores
    }

    /// The same problems in the order of the configuration, if there is one, each with its place.
    pub(crate) fn locate(
        surroundings: Option<&Self>,
        mut problems: Vec<SettingProblem>,
    ) -> Vec<SettingProblem> {
        let Some(Self { file, lines, .. }) = surroundings else { return problems };
        for problem in &mut problems {
            let line = lines.variables.get(&problem.name).unwrap_or(&lines.start);
            problem.location = Some((file.clone(), *line));
        }
        problems.sort_by(|a, b| a.location.cmp(&b.location));
        problems
    }
}

/// Opens the directories of a backend, once for all its instances, unless they overlap something
/// that they, or another backend, may change.
///
/// # Errors
///
/// [`LoadError::Directory`] if one cannot be opened; [`LoadError::Read`] if the component's file no
/// longer exists as a file; [`LoadError::Overlap`].
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
        Some(Surroundings { store, .. }) => format!("store `{}`", foreign_name(store)),
        None => format!("backend `{}`", applicant.name),
    };
    items.extend(party::files(applicant.component, applicant.authorities)?);
    let party = Party { owner, kind: Kind::Applicant, is_trusted: applicant.is_built_in, items };
    let Applicant { relied_on, surroundings, identities, .. } = *applicant;
    let mut beside = vec![party::host(relied_on, surroundings, identities)];
    beside.extend(surroundings.map(party::beside).unwrap_or_default());
    let begun = Instant::now();
    loop {
        // Backends that are loaded at the same time are compared with each other.
        let mut register = register::lock();
        let mounts = Mounts::default();
        let (staying, leaving) = register.parties(&mounts);
        rules::check(&party, beside.iter().chain(&staying), &mounts)?;
        match rules::check(&party, &leaving, &mounts) {
            Err(_) if begun.elapsed() < LEAVING => {
                drop(register);
                std::thread::sleep(LEAVING / 200);
            }
            Err(overlap) => return Err(overlap),
            Ok(()) => {
                register.add(party, &preopens);
                return Ok(preopens);
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{linux, portable};
    use std::os::unix::fs::symlink;

    /// Systems that cannot be tested here do the same as this one.
    #[test]
    fn every_system_finds_the_same_way() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        std::fs::create_dir_all(path("a/b/c")).unwrap();
        std::fs::write(path("a/file"), "").unwrap();
        for (target, link) in [
            ("a/b", "relative"),
            ("../b/../file", "a/b/up"),
            ("loop", "loop"),
            ("nowhere/at/all", "dangling"),
        ] {
            symlink(target, path(link)).unwrap();
        }
        symlink(path("relative"), path("absolute")).unwrap();
        for name in [
            "a",
            "a/b/c",
            "a/file",
            "relative/c",
            "absolute/c/..",
            "a/b/up",
            "absolute/up",
            "loop",
            "dangling",
            "a/none/x",
            "a/file/x",
            "a/./b/../b//c/",
            "a/b/c/../../../a",
        ] {
            let path = path(name);
            match (linux::follow(&path), portable::follow(&path)) {
                (Ok(linux), Ok(portable)) => {
                    assert_eq!(linux.place.ids, portable.place.ids, "{name}");
                    assert_eq!(linux.exists, portable.exists, "{name}");
                    let crossings = |way: super::way::Way| -> Vec<_> {
                        let all = way.crossings.into_iter();
                        all.map(|it| (it.place.ids, it.path, it.is_link)).collect()
                    };
                    assert_eq!(crossings(linux), crossings(portable), "{name}");
                }
                (linux, portable) => assert!(linux.is_err() && portable.is_err(), "{name}"),
            }
            assert_eq!(linux::open_dir(&path).is_ok(), portable::open_dir(&path).is_ok(), "{name}");
            assert_eq!(linux::open_dir(&path).is_ok(), path.is_dir(), "{name}");
        }
        assert!(linux::follow("".as_ref()).is_err() && portable::follow("".as_ref()).is_err());
    }

    /// Their text does not say where they lead.
    #[test]
    fn a_link_of_proc_leads_to_what_is_open() {
        let place = tempfile::tempdir().unwrap();
        let (dir, way) = linux::open_dir(place.path()).unwrap();
        std::fs::rename(place.path(), place.path().with_extension("moved")).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&dir);
        let (_, again) = linux::open_dir(format!("/proc/self/fd/{fd}").as_ref()).unwrap();
        std::fs::rename(place.path().with_extension("moved"), place.path()).unwrap();
        assert_eq!(way.place.ids, again.place.ids);
    }
}
