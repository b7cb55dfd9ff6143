//! Notifications of the system about changed files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Files are looked at when they have not changed for this long.
const QUIET: Duration = Duration::from_millis(200);

/// Files that keep changing are looked at after this time.
const UNREST: Duration = Duration::from_secs(2);

/// How often files are looked at without a notification: the system reports none for network mounts
/// and the targets of links.
pub(super) const RECHECK: Duration = Duration::from_secs(5);

/// The notifications about the files, received on a thread of its own.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) told: Notify,
    /// The names of the files; other names in their folders are ignored.
    names: Mutex<BTreeSet<OsString>>,
}

impl Changes {
    fn take(&self, event: notify::Result<Event>) {
        let matters = match &event {
            Ok(event) => event.need_rescan() || self.concerns(event),
            Err(_) => true,
        };
        if matters {
            self.told.notify_one();
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        match event.kind {
            // Reading a file, as we do, is not a change.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            EventKind::Access(_) => return false,
            _ => {}
        }
        let names = self.names.lock().unwrap_or_else(|e| e.into_inner());
        event.paths.iter().any(|path| path.file_name().is_some_and(|name| names.contains(name)))
    }

    /// Returns when the files have changed and come to rest, or when it is time for another look.
    pub(super) async fn wait(&self) {
        if timeout(RECHECK, self.told.notified()).await.is_err() {
            return;
        }
        let at_last = sleep(UNREST);
        let rest = async { while timeout(QUIET, self.told.notified()).await.is_ok() {} };
        tokio::select! {
            () = rest => {}
            () = at_last => {}
        }
    }
}

/// The folders of the files. A replaced file is another file, but its folder stays the same.
pub(super) struct Folders {
    changes: Arc<Changes>,
    /// `None` if the system can create no watcher: then only the periodic looks remain.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    pub(super) fn new(changes: Arc<Changes>) -> Self {
        let told = Arc::clone(&changes);
        let watcher = notify::recommended_watcher(move |event| told.take(event))
            .inspect_err(|error| warn!(%error, "the system tells of no changes"));
        Self { changes, watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Watches the folders of exactly these files; returns whether any folder is new.
    pub(super) fn watch(&mut self, files: &[PathBuf]) -> bool {
        let names = files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned);
        *self.changes.names.lock().unwrap_or_else(|e| e.into_inner()) = names.collect();
        let Some(watcher) = &mut self.watcher else { return false };
        let folders: BTreeSet<_> = files.iter().filter_map(|file| folder(file)).collect();
        for folder in self.watched.difference(&folders) {
            // The folder may be gone.
            let _ = watcher.unwatch(folder);
        }
        let mut watched = BTreeSet::new();
        // This is repeated, since a folder that was removed and created again is another one.
        for folder in folders {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(watched.insert(folder)),
                Err(error) => debug!(%error, "the system does not watch a folder"),
            }
        }
        let is_new = !watched.is_subset(&self.watched);
        self.watched = watched;
        is_new
    }
}

fn folder(file: &Path) -> Option<PathBuf> {
    Some(std::path::absolute(file).ok()?.parent()?.to_owned())
}
