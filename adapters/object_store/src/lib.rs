#![doc = include_str!("../README.md")]
#![warn(missing_debug_implementations, missing_docs)]

mod attributes;
mod error;
mod listing;
mod meta;
mod multipart;
mod spool;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use artifact_store::ArtifactStore;
use object_store::MultipartId;

use crate::multipart::Upload;

/// An artifact store as an [`ObjectStore`](object_store::ObjectStore), a
/// [`MultipartStore`](object_store::multipart::MultipartStore) and a
/// [`PaginatedListStore`](object_store::list::PaginatedListStore). Clones share the store and its
/// unfinished uploads.
///
/// ```
/// use artifact_store::ArtifactStore;
/// use artifact_store_object_store::ArtifactObjectStore;
/// use object_store::{ObjectStoreExt, path::Path};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path()).await?;
/// let objects = ArtifactObjectStore::new(store.clone());
/// objects.put(&Path::from("builds/app"), "bytes".into()).await?;
/// assert_eq!(store.get("builds/app").await?, "bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ArtifactObjectStore {
    store: ArtifactStore,
    /// Where parts wait; `None` for the system's temporary directory.
    spool: Option<Arc<Path>>,
    uploads: Arc<Mutex<HashMap<MultipartId, Arc<Upload>>>>,
}

impl ArtifactObjectStore {
    /// The objects are the artifacts of `store` whose keys are paths.
    #[must_use]
    pub fn new(store: ArtifactStore) -> Self {
        Self { store, spool: None, uploads: Arc::default() }
    }

    /// The same with another directory in which the parts of unfinished uploads wait, in files
    /// without a name. The default is the system's temporary directory.
    #[must_use]
    pub fn spool_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { spool: Some(dir.into().into()), ..self }
    }

    /// The artifact store.
    #[must_use]
    pub fn store(&self) -> &ArtifactStore {
        &self.store
    }
}

impl From<ArtifactStore> for ArtifactObjectStore {
    fn from(store: ArtifactStore) -> Self {
        Self::new(store)
    }
}

impl fmt::Debug for ArtifactObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactObjectStore").field("store", &self.store).finish_non_exhaustive()
    }
}

impl fmt::Display for ArtifactObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactObjectStore({})", self.store.backend().name())
    }
}
