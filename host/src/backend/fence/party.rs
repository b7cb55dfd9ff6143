//! The owners of directories, and the files that they need.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::{io, thread};

use super::way::Way;
use super::{Neighbour, Surroundings, system};
use crate::engine::ReliedOn;
use crate::error::LoadError;
use crate::telemetry;
use crate::text::foreign_name;

/// How long examining a path of another store may take. If its file server is gone, stores that
/// have nothing to do with it can still be opened.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for further paths after one that did not answer.
const LEAST: Duration = Duration::from_millis(500);

/// A backend, or another owner of something that no backend may touch.
#[derive(Clone)]
pub(super) struct Party {
    /// Its name in messages.
    pub(super) owner: String,
    pub(super) kind: Kind,
    /// Its component is a part of this library.
    pub(super) is_trusted: bool,
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The backend that is being loaded.
    Applicant,
    /// A store of the same configuration, open or not.
    Configured,
    /// A backend that is open in this process.
    Open,
    /// The host itself, with its configuration and its caches.
    Host,
}

/// A directory or file, and the way that its path led there.
#[derive(Clone)]
pub(super) struct Item {
    /// As it was named.
    pub(super) path: PathBuf,
    pub(super) what: What,
    pub(super) way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A grant.
    Directory { writable: bool },
    /// A file or folder that the host relies on; the text says what it is to its owner.
    Protected(&'static str),
    /// The same of what no backend may read either.
    Secret(&'static str),
}

const COMPONENT: What = What::Protected("the component");
const CACHE: &str = "the cache of compiled code";
const CERTIFICATE: &str = "the server's certificate or key";
const IDENTITY: What = What::Secret("the identities of an encrypted store");
const AUTHORITY: What = What::Protected("a certificate authority");

/// The files of a backend that is being loaded. The component has already been read; if its file
/// has been removed since, its directory still counts. An authority is read later, which reports
/// its errors.
pub(super) fn files(
    component: Option<&Path>,
    authorities: &[PathBuf],
) -> Result<Vec<Item>, LoadError> {
    let mut files = Vec::new();
    if let Some(path) = component {
        let way = system::follow(path).map_err(LoadError::Read)?;
        files.push(Item { path: path.to_owned(), what: COMPONENT, way });
    }
    files.extend(authorities.iter().filter_map(|path| {
        Some(Item { path: path.clone(), what: AUTHORITY, way: system::follow(path).ok()? })
    }));
    Ok(files)
}

/// What the host itself relies on.
pub(super) fn host(
    relied_on: &[ReliedOn],
    surroundings: Option<&Surroundings>,
    identities: &[PathBuf],
) -> Party {
    let configuration = surroundings.map(|it| (&it.file, "the configuration"));
    let its_cache = surroundings.and_then(|it| it.cache.as_ref()).map(|cache| (cache, CACHE));
    let relied_on = relied_on.iter().map(|it| match it {
        ReliedOn::Cache(folder) => (folder, CACHE),
        ReliedOn::Authority(path) => (path, "a certificate authority"),
        ReliedOn::Protected(path) => (path, "which this program relies on"),
    });
    let certificate = surroundings.iter().flat_map(|it| &it.certificate);
    let certificate = certificate.map(|path| (path, CERTIFICATE));
    let configured = surroundings.iter().flat_map(|it| &it.identities);
    let identities = configured.chain(identities).map(|path| (path, IDENTITY));
    let items = configuration.into_iter().chain(its_cache).chain(certificate).chain(relied_on);
    let items = items.map(|(path, what)| (path, What::Protected(what))).chain(identities);
    let items = items.filter_map(|(path, what)| {
        let way = system::follow(path).ok()?;
        Some(Item { path: path.to_owned(), what, way })
    });
    let items = items.collect();
    Party { owner: "this host".into(), kind: Kind::Host, is_trusted: true, items }
}

/// The other stores of a configuration.
pub(super) fn beside(surroundings: &Surroundings) -> Vec<Party> {
    let Surroundings { store, stores, .. } = surroundings;
    let mut parties = Vec::new();
    let mut named = Vec::new();
    for neighbour in stores.iter().filter(|neighbour| neighbour.store != *store) {
        let Neighbour { store, directories, component, layers, authorities } = neighbour;
        let at = parties.len();
        let directories = directories.iter().map(|dir| {
            let what = What::Directory { writable: dir.writable };
            (at, dir.host.clone(), what)
        });
        named.extend(directories);
        let components = component.iter().chain(layers);
        named.extend(components.map(|file| (at, file.clone(), COMPONENT)));
        named.extend(authorities.iter().map(|file| (at, file.clone(), AUTHORITY)));
        parties.push(Party {
            owner: format!("store `{}`", foreign_name(store)),
            kind: Kind::Configured,
            is_trusted: component.is_none() && layers.is_empty(),
            items: Vec::new(),
        });
    }
    let paths = named.iter().map(|(_, path, _)| path.clone()).collect();
    for ((at, path, what), way) in named.into_iter().zip(ways(paths)) {
        match way {
            Some(Ok(way)) => parties[at].items.push(Item { path, what, way }),
            // Loading that store reports what is wrong with it.
            Some(Err(_)) => {}
            None => telemetry::silent(&parties[at].owner, &path),
        }
    }
    parties
}

/// The ways of all these paths, found on a thread that may hang; `None` for a path that does not
/// answer.
fn ways(paths: Vec<PathBuf>) -> Vec<Option<io::Result<Way>>> {
    let mut found = Vec::new();
    let mut patience = PATIENCE;
    while found.len() < paths.len() {
        let left = paths[found.len()..].to_vec();
        let (sender, receiver) = sync_channel(left.len());
        let look = move || {
            for path in left {
                // If it took too long, the receiver is gone.
                let _ = sender.send(system::follow(&path));
            }
        };
        let name = "artifact-store-look".to_owned();
        if thread::Builder::new().name(name).spawn(look).is_err() {
            // Without a thread the rest is examined here.
            found.extend(paths[found.len()..].iter().map(|path| Some(system::follow(path))));
            break;
        }
        while found.len() < paths.len() {
            match receiver.recv_timeout(patience) {
                Ok(way) => found.push(Some(way)),
                Err(_) => {
                    found.push(None);
                    // The next path may well be in the same place.
                    patience = (patience / 4).max(LEAST);
                    break;
                }
            }
        }
    }
    found
}
