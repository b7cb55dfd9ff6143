//! Notifications of the system about changed files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
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
    fn take(&self, event: &notify::Result<Event>) {
        let matters = match event {
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
        let names = lock(&self.names);
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
    watched: BTreeSet<PathBuf>,
}

/// The one watcher of the process. A user has few of the system's (128, by default of Linux), and each
/// has a thread.
struct Shared {
    watcher: Mutex<RecommendedWatcher>,
    /// How many stores have files in each folder.
    folders: Mutex<BTreeMap<PathBuf, usize>>,
}

/// `None` if the system can create no watcher: then only the periodic looks remain.
static SHARED: LazyLock<Option<Shared>> = LazyLock::new(|| {
    let watcher = notify::recommended_watcher(tell)
        .inspect_err(|error| warn!(%error, "the system tells of no changes"));
    Some(Shared { watcher: Mutex::new(watcher.ok()?), folders: Mutex::default() })
});

/// Who is told. Its lock is no other's: the watcher's thread takes it while that of a call on the watcher
/// is held.
static TOLD: Mutex<Vec<Weak<Changes>>> = Mutex::new(Vec::new());

fn tell(event: notify::Result<Event>) {
    for changes in lock(&TOLD).iter().filter_map(Weak::upgrade) {
        changes.take(&event);
    }
}

impl Folders {
    pub(super) fn new(changes: Arc<Changes>) -> Self {
        let mut told = lock(&TOLD);
        told.retain(|changes| changes.strong_count() > 0);
        told.push(Arc::downgrade(&changes));
        drop(told);
        Self { changes, watched: BTreeSet::new() }
    }

    /// Watches the folders of exactly these files; returns whether any folder is new.
    pub(super) fn watch(&mut self, files: &[PathBuf]) -> bool {
        let names = files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned);
        *lock(&self.changes.names) = names.collect();
        let Some(shared) = &*SHARED else { return false };
        let folders: BTreeSet<_> = files.iter().filter_map(|file| folder(file)).collect();
        for folder in self.watched.difference(&folders) {
            shared.leave(folder);
        }
        self.watched.retain(|folder| folders.contains(folder));
        let mut is_new = false;
        // This is repeated, since a folder that was removed and created again is another one.
        for folder in folders {
            let is_known = self.watched.contains(&folder);
            match shared.watch(&folder, is_known) {
                Ok(()) => is_new |= self.watched.insert(folder),
                Err(error) => {
                    debug!(%error, "the system does not watch a folder");
                    if self.watched.remove(&folder) {
                        shared.leave(&folder);
                    }
                }
            }
        }
        is_new
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Some(shared) = SHARED.as_ref() {
            self.watched.iter().for_each(|folder| shared.leave(folder));
        }
    }
}

impl Shared {
    /// For one more store, unless it is known.
    fn watch(&self, folder: &Path, is_known: bool) -> notify::Result<()> {
        let mut folders = lock(&self.folders);
        lock(&self.watcher).watch(folder, RecursiveMode::NonRecursive)?;
        if !is_known {
            *folders.entry(folder.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// One store less.
    fn leave(&self, folder: &Path) {
        let mut folders = lock(&self.folders);
        let Some(count) = folders.get_mut(folder) else { return };
        *count -= 1;
        if *count == 0 {
            folders.remove(folder);
            // The folder may be gone.
            let _ = lock(&self.watcher).unwatch(folder);
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder(file: &Path) -> Option<PathBuf> {
    Some(std::path::absolute(file).ok()?.parent()?.to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn watchers() -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = open.filter_map(|file| std::fs::read_link(file.path()).ok());
        links.filter(|link| link.as_os_str() == "anon_inode:inotify").count()
    }

    #[test]
    fn all_stores_share_one_watcher_and_each_hears_of_its_own_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = |n: usize| dir.path().join(n.to_string());
        let mut stores: Vec<_> = (0..300)
            .map(|n| {
                let changes = Arc::new(Changes::default());
                let mut folders = Folders::new(Arc::clone(&changes));
                assert!(folders.watch(&[file(n)]));
                assert!(!folders.watch(&[file(n)]));
                (changes, folders)
            })
            .collect();
        assert_eq!(watchers(), 1);
        // Those that are left go on.
        stores.truncate(2);
        let (second, folders) = stores.pop().unwrap();
        let (first, _) = &stores[0];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            std::fs::write(file(1), "new").unwrap();
            timeout(RECHECK, second.told.notified()).await.unwrap();
            assert!(timeout(QUIET, first.told.notified()).await.is_err());
            drop(folders);
            std::fs::write(file(0), "new").unwrap();
            timeout(RECHECK, first.told.notified()).await.unwrap();
        });
    }
}
