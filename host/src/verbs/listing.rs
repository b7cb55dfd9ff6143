//! Listings, page by page.

use std::fmt;
use std::sync::Arc;

use super::paging::Pages;
use crate::error::{Operation, Result};
use crate::info::Entry;
use crate::serving::{Loaded, RunBy};

/// The entries of a listing, fetched page by page. Made by
/// [`ArtifactStore::list`](crate::ArtifactStore::list).
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let store = artifact_store::ArtifactStore::open_dir(dir.path()).await?;
/// store.put("a/1", "x").await?;
/// store.put("b/1", "y").await?;
/// let mut listing = store.list("a/");
/// while let Some(entry) = listing.next().await? {
///     assert_eq!((entry.key.as_str(), entry.size), ("a/1", 1));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Listing {
    backend: Arc<Loaded>,
    prefix: String,
    pages: Pages<Entry>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("prefix", &self.prefix).finish()
    }
}

impl Listing {
    pub(crate) fn new(backend: Arc<Loaded>, prefix: &str) -> Self {
        Self { backend, prefix: prefix.to_owned(), pages: Pages::new() }
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the backend has no inventory, [`ErrorKind::Protocol`](crate::ErrorKind::Protocol)
    /// where it lists what it was not asked for. The listing goes on behind a failed page's
    /// start when it is asked again.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.pages.take() {
                return Ok(Some(entry));
            }
            let Some(cursor) = self.pages.rest() else { return Ok(None) };
            let call = self.backend.call(Operation::List, &self.prefix);
            let page = call.start(RunBy::Worker, |call| async move { call.list(cursor).await });
            self.pages.add(page.await?);
        }
    }
}
