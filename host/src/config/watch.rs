//! Keeping an open store in step with its configuration.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::{Configuration, ConfigurationError};
use crate::budget::spawn;
use crate::error::{Error, Operation, Result};
use crate::instance::look_at_disk;
use crate::swap::Serving;
use crate::{Backend, Limits, LoadedBackend, SwapOptions};

/// Files that change again within this time are looked at when that is over.
const QUIET: Duration = Duration::from_millis(200);

/// They are looked at after this time, even where they never come to rest.
const UNREST: Duration = Duration::from_secs(2);

/// How often they are looked at where nothing tells of changes: a mount of another machine's files,
/// the target of a link.
const RECHECK: Duration = Duration::from_secs(5);

/// The longest pause before a backend that was refused is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Keeps a store in step with its configuration, until it is dropped. Made by
/// [`ArtifactStore::open_watched`](crate::ArtifactStore::open_watched).
///
/// ```
/// use artifact_store::{ArtifactStore, SwapOptions};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("stores.toml");
/// # let text = "[stores.main]\nbackend = \"fs\"\ndirectories = [{ host = \".\" }]\n";
/// # std::fs::write(&file, text)?;
/// let (store, watch) =
///     ArtifactStore::open_watched(&file, "main", SwapOptions::default()).await?;
/// store.put("k", "served by whatever the file names now").await?;
/// if let Some(error) = watch.status().last_error {
///     eprintln!("the old backend goes on to serve: {error}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the watching ends when this is dropped"]
pub struct Watch {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What a [`Watch`] has done so far.
///
/// ```
/// # let watch_status = artifact_store::WatchStatus::default();
/// let is_healthy = watch_status.last_error.is_none();
/// # assert!(is_healthy);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WatchStatus {
    /// How often the configuration and the component were looked at.
    pub checks: u64,
    /// How often another backend took the place of the one that served.
    pub swaps: u64,
    /// Why what the configuration names now does not serve; none where it does.
    pub last_error: Option<Arc<Error>>,
}

impl Watch {
    /// What it has done so far.
    #[must_use]
    pub fn status(&self) -> WatchStatus {
        self.shared.state().status.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Whoever drops it sees no swap afterwards.
        self.shared.state().is_over = true;
        self.task.abort();
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.status()).finish()
    }
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    status: WatchStatus,
    is_over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Opens the store and begins to watch it.
pub(crate) async fn open(
    file: &Path,
    name: &str,
    options: SwapOptions,
) -> Result<(Arc<Serving>, Watch)> {
    let place = Place { file: file.to_owned(), store: name.to_owned() };
    let (found, backend) = place.look().await.outcome?;
    let serving = Serving::new(backend.load().await?);
    let shared = Arc::default();
    let watching = Watching {
        place,
        options,
        serving: Arc::clone(&serving),
        served: found,
        refused: None,
        looking: Arc::default(),
        shared: Arc::clone(&shared),
    };
    let task = spawn(watching.run()).abort_handle();
    Ok((serving, Watch { shared, task }))
}

/// Where it is written what is to serve.
#[derive(Clone)]
struct Place {
    file: PathBuf,
    store: String,
}

/// What is to serve: two that are equal need no swap.
#[derive(PartialEq)]
struct Found {
    /// As the configuration names it, the values of its secrets included.
    backend: Backend,
    /// The SHA-256 of its component.
    digest: String,
    /// What is in the files of the certificate authorities that it trusts; none where there is no
    /// such file.
    authorities: Vec<Option<Vec<u8>>>,
}

impl Found {
    /// Whether both stand beside the same stores, which decides whether they may be opened.
    fn is_beside(&self, other: &Self) -> bool {
        match (self.backend.surroundings(), other.backend.surroundings()) {
            (Some(ours), Some(others)) => ours.are(others),
            (None, None) => true,
            _ => false,
        }
    }
}

struct Look {
    /// The files that were looked at.
    files: Vec<PathBuf>,
    /// The backend has its component in memory: what was looked at is what will be tried.
    outcome: Result<(Found, Backend)>,
}

impl Place {
    /// Looks at the files, on a thread that may block.
    async fn look(&self) -> Look {
        let failed = |kind| {
            let error = Error::new(kind, Operation::Configure, None, &(&*self.store).into());
            Look { files: vec![self.file.clone()], outcome: Err(error) }
        };
        let place = self.clone();
        let limits = Limits::default();
        let look = look_at_disk(&limits, move || {
            let mut files = vec![place.file.clone()];
            let outcome = place.look_at(&mut files);
            Look { files, outcome }
        });
        look.await.unwrap_or_else(failed)
    }

    fn look_at(&self, files: &mut Vec<PathBuf>) -> Result<(Found, Backend)> {
        // Of a pipe it would wait for the other end.
        if let Ok(about) = std::fs::metadata(&self.file) {
            crate::files::check(&about).map_err(|source| {
                let error = ConfigurationError::Read { file: self.file.clone(), source };
                Error::new(error.into(), Operation::Configure, None, &(&*self.store).into())
            })?;
        }
        let configuration = Configuration::from_file(&self.file)?;
        let store = configuration.store(&self.store)?;
        files.extend(store.component().map(Path::to_owned));
        let backend = store.backend()?;
        files.extend(backend.authorities().map(Path::to_owned));
        let (in_memory, digest) = backend.clone().read()?;
        let authorities = backend.authorities().map(|file| crate::files::read(file).ok()).collect();
        Ok((Found { backend, digest, authorities }, in_memory))
    }
}

struct Watching {
    place: Place,
    options: SwapOptions,
    serving: Arc<Serving>,
    /// What the watch has opened or swapped in last.
    served: Found,
    refused: Option<Refused>,
    /// Shared with a look at the directories that is under way.
    looking: Arc<()>,
    shared: Arc<Shared>,
}

/// What could not be opened, and may be some time later: a directory may be there then.
struct Refused {
    found: Found,
    pause: Duration,
    again: Instant,
}

impl Watching {
    async fn run(mut self) {
        let changes = Arc::new(Changes::default());
        let mut folders = Folders::new(Arc::clone(&changes));
        loop {
            let Look { files, outcome } = self.place.look().await;
            // From here on changes are told: what came before is seen by a second look.
            if folders.watch(&files) {
                changes.told.notify_one();
            }
            match outcome {
                Ok((found, backend)) => self.consider(found, backend, &changes).await,
                Err(error) => self.refuse(error),
            }
            self.look_at_directories();
            self.shared.state().status.checks += 1;
            changes.wait().await;
        }
    }

    /// Looks whether the paths of the directories still name those that are open. Nobody waits for
    /// it, and where it hangs there is no second one.
    fn look_at_directories(&mut self) {
        if Arc::strong_count(&self.looking) > 1 {
            return;
        }
        let (backend, looking) = (self.serving.backend(), Arc::clone(&self.looking));
        let look = move || {
            backend.pool.preopens().look();
            drop(looking);
        };
        drop(spawn(async move { drop(look_at_disk(&Limits::default(), look).await) }));
    }

    async fn consider(&mut self, found: Found, backend: Backend, changes: &Changes) {
        if found == self.served {
            self.refused = None;
            self.shared.state().status.last_error = None;
            return;
        }
        let refused = self.refused.take_if(|refused| {
            refused.found != found || !refused.found.is_beside(&found) || refused.is_due()
        });
        if self.refused.is_some() {
            return;
        }
        match backend.load().await {
            Ok(backend) => {
                // What was being written while it was tried is tried again when it is whole.
                match self.place.look().await.outcome {
                    Ok((still, _)) if still == found => self.serve(found, backend),
                    _ => changes.told.notify_one(),
                }
            }
            Err(error) => {
                self.refuse(error);
                let before = refused.filter(|refused| refused.found == found);
                let pause = before.map_or(RECHECK, |refused| (refused.pause * 2).min(RETRY));
                self.refused = Some(Refused { found, pause, again: Instant::now() + pause });
            }
        }
    }

    fn serve(&mut self, found: Found, backend: LoadedBackend) {
        let mut state = self.shared.state();
        if state.is_over {
            return;
        }
        self.serving.exchange(backend, self.options);
        state.status.swaps += 1;
        state.status.last_error = None;
        drop(state);
        self.served = found;
        let (store, file) = (&*self.place.store, self.place.file.display());
        info!(store, file = %file, "the store follows its configuration");
    }

    /// The old backend goes on to serve.
    fn refuse(&self, error: Error) {
        let last = self.shared.state().status.last_error.replace(Arc::new(error));
        let state = self.shared.state();
        let Some(error) = &state.status.last_error else { return };
        let cause = causes(error);
        // Once for each reason, however often it is looked at.
        if last.is_none_or(|last| causes(&last) != cause) {
            let store = &*self.place.store;
            warn!(store, cause, "the old backend goes on to serve: the new one was refused");
        }
    }
}

impl Refused {
    fn is_due(&self) -> bool {
        self.again <= Instant::now()
    }
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

/// What the system tells of the files, on a thread of its own.
#[derive(Default)]
struct Changes {
    told: Notify,
    /// The names of the files; all else in their folders is of no interest.
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
            // That somebody reads a file, as we do, is no change.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            EventKind::Access(_) => return false,
            _ => {}
        }
        let names = self.names.lock().unwrap_or_else(|e| e.into_inner());
        event.paths.iter().any(|path| path.file_name().is_some_and(|name| names.contains(name)))
    }

    /// Returns when the files have changed and come to rest, or when it is time for another look.
    async fn wait(&self) {
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

/// The folders of the files. A file that is replaced is another one; its folder stays.
struct Folders {
    changes: Arc<Changes>,
    /// None where the system has no room for one: then there are the other looks.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(changes: Arc<Changes>) -> Self {
        let told = Arc::clone(&changes);
        let watcher = notify::recommended_watcher(move |event| told.take(event))
            .inspect_err(|error| warn!(%error, "the system tells of no changes"));
        Self { changes, watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Watches the folders of these files and no others; whether any is new.
    fn watch(&mut self, files: &[PathBuf]) -> bool {
        let names = files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned);
        *self.changes.names.lock().unwrap_or_else(|e| e.into_inner()) = names.collect();
        let Some(watcher) = &mut self.watcher else { return false };
        let folders: BTreeSet<_> = files.iter().filter_map(|file| folder(file)).collect();
        for folder in self.watched.difference(&folders) {
            // It may be gone.
            let _ = watcher.unwatch(folder);
        }
        let mut watched = BTreeSet::new();
        // Again and again: one that was removed and made again is another one.
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
