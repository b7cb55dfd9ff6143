//! Following the configuration of an open store.

mod changes;
mod files;
mod follow;
mod look;
mod origin;
mod shared;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

pub use files::WatchedFiles;
use tokio::task::AbortHandle;

use crate::SwapOptions;
use crate::budget::spawn;
use crate::error::{Error, Result};
use crate::serving::Serving;
use crate::telemetry;
use follow::Watching;
use look::Looks;
use origin::Origin;

/// Follows the configuration of a store until it is dropped. Made by
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
    /// How often the serving backend was replaced.
    pub swaps: u64,
    /// Why the backend that the configuration names now does not serve; `None` if it does.
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
        // After the drop no swap happens.
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
    let (mut place, mut looks) = (Origin::new(file, name), Looks::new());
    let (found, backend) = place.look(&mut looks).await?;
    let serving = Serving::new(backend.load().await?);
    telemetry::in_step(&place.store, true);
    let shared = Arc::default();
    let (served, told) = (Arc::clone(&serving), Arc::clone(&shared));
    let watching = Watching::new(place, looks, options, served, found, told);
    let task = spawn(watching.run()).abort_handle();
    Ok((serving, Watch { shared, task }))
}
