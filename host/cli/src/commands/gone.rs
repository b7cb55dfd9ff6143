//! Artifacts that a listing named and a read did not find. Most were deleted in between; one that is
//! named again is a hole in the store.

use std::collections::BTreeSet;

use anyhow::Result;
use artifact_store::{ArtifactStore, Entry, ErrorKind, ReadOptions};

#[derive(Default)]
pub struct Gone(BTreeSet<String>);

/// Said of such an artifact.
pub const TEXT: &str = "the listing names the key, but it has no artifact";

impl Gone {
    pub fn add(&mut self, key: &str) {
        self.0.insert(key.to_owned());
    }

    /// Those that are listed and still not found.
    pub async fn still_listed(&self, store: &ArtifactStore, prefix: &str) -> Result<Vec<Entry>> {
        let mut holes = Vec::new();
        if self.0.is_empty() {
            return Ok(holes);
        }
        let mut listing = store.list(prefix);
        while let Some(entry) = listing.next().await? {
            if self.0.contains(&entry.key) && is_absent(store, &entry.key).await? {
                holes.push(entry);
            }
        }
        Ok(holes)
    }
}

/// Whether there is nothing under a key.
pub async fn is_absent(store: &ArtifactStore, key: &str) -> Result<bool> {
    match store.read(key, ReadOptions::default().length(0)).await {
        Ok(_) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
