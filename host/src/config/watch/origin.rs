//! Reading the files of a store: which backend has to serve now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::look::Looks;
use super::shared::{self, Parsed};
use crate::config::Configuration;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::{Backend, file};

/// What a look at the files of a store finds. The backend has its component in memory: what was
/// read is what will be tried.
pub(super) type Outcome = Result<(Found, Backend)>;

/// The same with the configuration, if it can be read.
pub(super) type Seen = (Option<Arc<Parsed>>, Outcome);

/// The configuration file, and the name of the store.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) file: PathBuf,
    pub(super) store: String,
    /// What the last look found, kept for the looks of other stores.
    configuration: Option<Arc<Parsed>>,
}

/// The backend that has to serve: if two are equal, no swap is needed.
#[derive(PartialEq)]
pub(super) struct Found {
    /// As the configuration describes it, including the values of its secrets.
    backend: Backend,
    /// The SHA-256 of its component, and of those of its layers.
    digests: Vec<String>,
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

impl Origin {
    pub(super) fn new(file: &Path, store: &str) -> Self {
        Self { file: file.to_owned(), store: store.to_owned(), configuration: None }
    }

    /// What the files say now.
    pub(super) async fn look(&mut self, looks: &mut Looks<Seen>) -> Outcome {
        let place = self.clone();
        let found = looks.look(move || {
            let mut files = vec![place.file.clone()];
            let parsed = shared::read(&place.file);
            let configuration = parsed.as_ref().ok().map(Arc::clone);
            let outcome =
                parsed.and_then(|parsed| place.look_at(&parsed.configuration, &mut files));
            (files, (configuration, outcome))
        });
        match found.await {
            Ok((configuration, outcome)) => {
                self.configuration = configuration;
                outcome
            }
            Err(error) => {
                let kind = ErrorKind::Unavailable(error.to_string());
                Err(Error::new(kind, Operation::Configure, None, &(&*self.store).into()))
            }
        }
    }

    /// The same on a thread that may block; notes the files that it looks at.
    fn look_at(&self, configuration: &Configuration, files: &mut Vec<PathBuf>) -> Outcome {
        let store = configuration.store(&self.store)?;
        files.extend(store.component().map(Path::to_owned));
        files.extend(store.further_files().map(Path::to_owned));
        let backend = store.backend()?;
        files.extend(backend.authorities().map(Path::to_owned));
        let (in_memory, digests) = backend.clone().read()?;
        let authorities = backend.authorities().map(|path| file::read(path).ok()).collect();
        Ok((Found { backend, digests, authorities }, in_memory))
    }
}
