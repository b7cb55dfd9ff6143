//! A backend under test: compiled once, opened on any number of directories.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::intercept;
use super::recorder::Recorder;
use crate::backend::Prepared;
use crate::blocking::ArtifactStore;
use crate::error::{Error, ErrorKind, Result};
use crate::serving::Serving;
use crate::text::hexadecimal;
use crate::{Backend, ReadOptions, WriteOptions};

pub(super) struct Bench {
    prepared: Prepared,
    pub(super) recorder: Arc<Recorder>,
}

/// One change of one key, through the contract.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Put(String, Bytes),
    Create(String, Bytes),
    /// In pieces, without an announced size.
    Write(String, Bytes),
    /// Of the artifact under this key, which has this value.
    Copy(String, String, Bytes),
    Delete(String),
    /// In the version that is there, and again where another change was faster.
    DeleteIf(String),
    /// Over the version that is there, and again where another change was faster.
    Replace(String, Bytes),
}

/// How often a change of one version is tried that others are faster than.
const ATTEMPTS: usize = 5;

impl Step {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Put(key, _)
            | Self::Create(key, _)
            | Self::Write(key, _)
            | Self::Replace(key, _)
            | Self::Copy(_, key, _)
            | Self::Delete(key)
            | Self::DeleteIf(key) => key,
        }
    }

    /// The artifact of the key afterwards.
    pub(super) fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Put(_, value)
            | Self::Create(_, value)
            | Self::Write(_, value)
            | Self::Replace(_, value)
            | Self::Copy(_, _, value) => Some(value),
            Self::Delete(_) | Self::DeleteIf(_) => None,
        }
    }

    pub(super) fn run(&self, store: &ArtifactStore) -> Result<()> {
        match self {
            Self::Put(key, value) => store.put(key, value.clone()).map(drop),
            Self::Create(key, value) => store.put_new(key, value.clone()).map(drop),
            Self::Write(key, value) => {
                store.write(key, &value[..], WriteOptions::default()).map(drop)
            }
            Self::Copy(source, key, _) => store.copy(source, key).map(drop),
            Self::Delete(key) => store.delete(key),
            Self::DeleteIf(key) => delete_if(store, key),
            Self::Replace(key, value) => replace(store, key, value),
        }
    }
}

fn replace(store: &ArtifactStore, key: &str, value: &Bytes) -> Result<()> {
    of_version(store, key, |version| store.put_if(key, value.clone(), version).map(drop))
}

fn delete_if(store: &ArtifactStore, key: &str) -> Result<()> {
    match of_version(store, key, |version| store.delete_if(key, version)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(()),
        answer => answer,
    }
}

/// Makes a change of the version that is there.
fn of_version(store: &ArtifactStore, key: &str, change: impl Fn(&str) -> Result<()>) -> Result<()> {
    let mut attempt = 1;
    loop {
        let found = store.read(key, ReadOptions::default())?.info().version.clone();
        match change(&found.unwrap_or_default()) {
            Err(error)
                if matches!(error.kind(), ErrorKind::ConditionFailed) && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

impl Bench {
    pub(super) fn new(backend: &Backend) -> Result<Self> {
        let recorder = Arc::new(Recorder::default());
        let between = |linker: &mut _| intercept::add_to_linker(linker, &recorder);
        Ok(Self { prepared: Prepared::new(backend.clone(), between)?, recorder })
    }

    /// The backend on `dir`, in an instance that has not run yet.
    pub(super) fn open(&self, dir: &TempDir) -> Result<ArtifactStore> {
        let serving = Serving::new(self.prepared.on(dir.path())?);
        Ok(crate::ArtifactStore { serving }.into())
    }

    pub(super) fn error(&self, error: io::Error) -> Error {
        self.prepared.error(ErrorKind::Io(error))
    }
}

/// Bytes without repeated parts and without zeros.
pub(super) fn value(seed: u64, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        // Xorshift: good enough to distinguish the pieces.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3].max(1)
    };
    std::iter::repeat_with(next).take(size).collect::<Vec<_>>().into()
}

/// A short description of the artifact of a key.
pub(super) fn describe(value: Option<&Bytes>) -> String {
    match value {
        None => "nothing".into(),
        Some(value) => {
            let start = hexadecimal(&value[..value.len().min(4)]);
            format!("{} bytes ({start}…)", value.len())
        }
    }
}
