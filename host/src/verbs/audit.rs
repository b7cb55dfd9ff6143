//! Audits, page by page.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use super::pages::Pages;
use crate::error::Result;
use crate::maintenance::Finding;
use crate::serving::{Loaded, RunBy};

/// The findings of an audit, fetched page by page: a [`Stream`] whose errors are those of
/// [`next`](Self::next). Made by [`ArtifactStore::audit`](crate::ArtifactStore::audit).
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let store = artifact_store::ArtifactStore::open_dir(dir.path()).await?;
/// let mut audit = store.audit();
/// while let Some(finding) = audit.next().await? {
///     println!("{}: {}", finding.name, finding.detail);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Audit(Pages<Finding>);

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    pub(crate) fn new(backend: Arc<Loaded>) -> Self {
        Self(Pages::new(backend, ""))
    }

    /// The next finding; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the backend has no
    /// `maintenance`; [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied) if a part of the
    /// store cannot be read. After an error, the next call retries the same page; the audit ends
    /// after three failures in a row.
    pub async fn next(&mut self) -> Result<Option<Finding>> {
        poll_fn(|cx| self.0.poll_next(RunBy::Worker, cx)).await.transpose()
    }
}

impl Stream for Audit {
    type Item = Result<Finding>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(RunBy::Worker, cx)
    }
}
