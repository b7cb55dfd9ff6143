//! Audits, page by page.

use std::fmt;
use std::sync::Arc;

use super::paging::Pages;
use crate::error::{Operation, Result};
use crate::maintenance::Finding;
use crate::serving::{Loaded, RunBy};

/// The findings of an audit, fetched page by page. Made by
/// [`ArtifactStore::audit`](crate::ArtifactStore::audit).
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
pub struct Audit {
    backend: Arc<Loaded>,
    pages: Pages<Finding>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("backend", &self.backend.name).finish()
    }
}

impl Audit {
    pub(crate) fn new(backend: Arc<Loaded>) -> Self {
        Self { backend, pages: Pages::new() }
    }

    /// The next finding; none at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the backend has no
    /// `maintenance`; [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied) where a part
    /// of the store cannot be looked at. The audit goes on at the failed page when it is asked
    /// again.
    pub async fn next(&mut self) -> Result<Option<Finding>> {
        loop {
            if let Some(finding) = self.pages.take() {
                return Ok(Some(finding));
            }
            let Some(cursor) = self.pages.rest() else { return Ok(None) };
            let call = self.backend.call(Operation::Audit, "");
            let page = call.start(RunBy::Worker, |call| async move { call.audit(cursor).await });
            self.pages.add(page.await?);
        }
    }
}
