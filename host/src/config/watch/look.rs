//! Looking at files on a thread that may block.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::changes::{Changes, Folders};
use crate::budget::in_background;

/// How long a look may take before this is an error. The look itself goes on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at files, and hears of their changes. If the disk does not answer, one look waits for it,
/// and no other look starts meanwhile.
pub(super) struct Looks<T> {
    pub(super) changes: Arc<Changes>,
    /// `None` while a look uses them.
    folders: Option<Folders>,
    pending: Option<oneshot::Receiver<(T, Folders)>>,
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLook {
    #[error("the process gets no thread to look at the files")]
    NoThread,
    #[error("no look at the files within {} s", PATIENCE.as_secs())]
    TooSlow,
}

impl<T: Send + 'static> Looks<T> {
    pub(super) fn new() -> Self {
        Self { changes: Arc::default(), folders: None, pending: None }
    }

    /// What `look` finds. It also returns the files that it looked at.
    pub(super) async fn look(
        &mut self,
        look: impl FnOnce() -> (Vec<PathBuf>, T) + Send + 'static,
    ) -> Result<T, NoLook> {
        let mut pending = match self.pending.take() {
            Some(pending) => pending,
            None => self.begin(look),
        };
        match timeout(PATIENCE, &mut pending).await {
            Ok(Ok((found, folders))) => {
                self.folders = Some(folders);
                Ok(found)
            }
            Ok(Err(_)) => Err(NoLook::NoThread),
            Err(_) => {
                self.pending = Some(pending);
                Err(NoLook::TooSlow)
            }
        }
    }

    fn begin(
        &mut self,
        look: impl FnOnce() -> (Vec<PathBuf>, T) + Send + 'static,
    ) -> oneshot::Receiver<(T, Folders)> {
        let (changes, folders) = (Arc::clone(&self.changes), self.folders.take());
        let (done, pending) = oneshot::channel();
        in_background(move || {
            let (files, found) = look();
            let mut folders = folders.unwrap_or_else(|| Folders::new(Arc::clone(&changes)));
            // From here on changes are reported; a second look sees earlier ones.
            if folders.watch(&files) {
                changes.told.notify_one();
            }
            // The receiver may be gone.
            let _ = done.send((found, folders));
        });
        pending
    }
}
