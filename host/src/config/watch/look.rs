//! Reading the files: which backend has to serve now.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::changes::{Changes, Folders};
use crate::budget::in_background;
use crate::config::Configuration;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::{Backend, file};

/// How long a look may take before this is an error. The look itself goes on.
const PATIENCE: Duration = Duration::from_secs(60);

/// The configuration file, and the name of the store.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) file: PathBuf,
    pub(super) store: String,
}

/// The backend that has to serve: if two are equal, no swap is needed.
#[derive(PartialEq)]
pub(super) struct Found {
    /// As the configuration describes it, including the values of its secrets.
    backend: Backend,
    /// The SHA-256 of its component.
    digest: String,
    /// The contents of the files of the certificate authorities that it trusts; `None` if the file
    /// is absent.
    authorities: Vec<Option<Vec<u8>>>,
}

impl Found {
    /// Whether both have the same other stores in their configuration, which decide whether they
    /// may be opened.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
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
    /// The backend has its component in memory: what was read is what will be tried.
    outcome: Result<(Found, Backend)>,
}

impl Origin {
    fn look(&self) -> Look {
        let mut files = vec![self.file.clone()];
        let outcome = self.look_at(&mut files);
        Look { files, outcome }
    }

    fn look_at(&self, files: &mut Vec<PathBuf>) -> Result<(Found, Backend)> {
        let configuration = Configuration::from_file(&self.file)?;
        let store = configuration.store(&self.store)?;
        files.extend(store.component().map(Path::to_owned));
        let backend = store.backend()?;
        files.extend(backend.authorities().map(Path::to_owned));
        let (in_memory, digest) = backend.clone().read()?;
        let authorities = backend.authorities().map(|path| file::read(path).ok()).collect();
        Ok((Found { backend, digest, authorities }, in_memory))
    }

    fn failed(&self, kind: ErrorKind) -> Result<(Found, Backend)> {
        Err(Error::new(kind, Operation::Configure, None, &(&*self.store).into()))
    }
}

/// Looks at the files on a thread that may block. If the disk does not answer, one look waits for
/// it, and no other look starts meanwhile.
pub(super) struct Looks {
    pub(super) place: Origin,
    pub(super) changes: Arc<Changes>,
    /// `None` while a look uses them.
    folders: Option<Folders>,
    pending: Option<oneshot::Receiver<(Look, Folders)>>,
}

impl Looks {
    pub(super) fn new(file: &Path, store: &str) -> Self {
        let place = Origin { file: file.to_owned(), store: store.to_owned() };
        Self { place, changes: Arc::default(), folders: None, pending: None }
    }

    pub(super) async fn look(&mut self) -> Result<(Found, Backend)> {
        let mut look = match self.pending.take() {
            Some(pending) => pending,
            None => {
                let place = self.place.clone();
                let changes = Arc::clone(&self.changes);
                let folders = self.folders.take();
                let (done, pending) = oneshot::channel();
                in_background(move || {
                    let look = place.look();
                    let mut folders = folders.unwrap_or_else(|| Folders::new(Arc::clone(&changes)));
                    // From here on changes are reported; a second look sees earlier ones.
                    if folders.watch(&look.files) {
                        changes.told.notify_one();
                    }
                    // The receiver may be gone.
                    let _ = done.send((look, folders));
                });
                pending
            }
        };
        match timeout(PATIENCE, &mut look).await {
            Ok(Ok((look, folders))) => {
                self.folders = Some(folders);
                look.outcome
            }
            Ok(Err(_)) => {
                let text = "the process gets no thread to look at the files";
                self.place.failed(ErrorKind::Unavailable(text.into()))
            }
            Err(_) => {
                self.pending = Some(look);
                let text = format!("no look at the files within {} s", PATIENCE.as_secs());
                self.place.failed(ErrorKind::Unavailable(text))
            }
        }
    }
}
