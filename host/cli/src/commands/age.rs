//! Which artifacts of a listing are meant, by their age.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use artifact_store::{ArtifactStore, Entry, ErrorKind};
use clap::Args;

use crate::shown;

#[derive(Args)]
pub struct Ages {
    /// Only artifacts that were put at least this long ago, such as `30d` or `12h`
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,

    /// Only artifacts that were put less than this long ago
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    newer_than: Option<Duration>,
}

impl Ages {
    pub fn are_given(&self) -> bool {
        self.older_than.is_some() || self.newer_than.is_some()
    }

    /// Whether this artifact is meant.
    ///
    /// # Errors
    ///
    /// Where the backend does not tell its time: it is neither old nor new.
    pub async fn include(&self, store: &ArtifactStore, entry: &Entry) -> Result<bool> {
        if !self.are_given() {
            return Ok(true);
        }
        let what = "--older-than and --newer-than need";
        let Some(put) = put(store, entry, what).await? else { return Ok(false) };
        // What is put in the future is new.
        let age = SystemTime::now().duration_since(put).unwrap_or_default();
        let is_old = self.older_than.is_none_or(|older| age >= older);
        Ok(is_old && self.newer_than.is_none_or(|newer| age < newer))
    }
}

/// When an artifact was put; none if it was deleted meanwhile.
///
/// # Errors
///
/// Where the backend does not tell it, which `what` to know.
pub async fn put(store: &ArtifactStore, entry: &Entry, what: &str) -> Result<Option<SystemTime>> {
    let modified = match entry.modified {
        Some(modified) => Some(modified),
        None => match store.stat(&entry.key).await {
            Ok(info) => info.modified,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => return Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let key = shown::name(&entry.key);
    let missing =
        || anyhow!("the backend does not tell when `{key}` was put, which {what} to know");
    modified.map(Some).ok_or_else(missing)
}
