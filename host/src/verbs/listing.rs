//! Listings, page by page.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use super::pages::Pages;
use crate::error::Result;
use crate::info::Entry;
use crate::serving::{Loaded, RunBy};

/// The entries of a listing, fetched page by page: a [`Stream`] whose errors are those of
/// [`next`](Self::next). Made by [`ArtifactStore::list`](crate::ArtifactStore::list).
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
pub struct Listing(Pages<Entry>);

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("prefix", &self.0.prefix()).finish_non_exhaustive()
    }
}

impl Listing {
    pub(crate) fn new(backend: Arc<Loaded>, prefix: &str) -> Self {
        Self(Pages::new(backend, prefix))
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the backend has no `inventory`;
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if it lists something that it was not
    /// asked for. After an error, the next call retries the same page; the listing ends after three
    /// failures in a row.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        poll_fn(|cx| self.0.poll_next(RunBy::Worker, cx)).await.transpose()
    }
}

impl Stream for Listing {
    type Item = Result<Entry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(RunBy::Worker, cx)
    }
}
