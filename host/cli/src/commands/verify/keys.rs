//! The keys that are read.

use std::vec;

use artifact_store::{ArtifactStore, Entry, ListOptions, Listing, Result};

/// Keys from a store, those behind `start_after` if there is one.
pub struct Keys<'a> {
    start_after: Option<&'a str>,
    source: Source<'a>,
}

enum Source<'a> {
    /// One listing of the whole. The built-in backends have it in the order of the keys, and it is
    /// cheaper than pages while the store is changed.
    Whole { listing: Listing, is_in_order: bool },
    Pages {
        store: &'a ArtifactStore,
        prefix: &'a str,
        /// The next page; `None` if there is none.
        next: Option<ListOptions>,
        page: vec::IntoIter<Entry>,
    },
}

impl<'a> Keys<'a> {
    pub fn new(store: &'a ArtifactStore, prefix: &'a str, start_after: Option<&'a str>) -> Self {
        let is_in_order = matches!(store.backend().name(), "fs" | "s3");
        let source = match start_after {
            Some(key) if !is_in_order => Source::Pages {
                store,
                prefix,
                next: Some(ListOptions::default().start_after(key.to_owned())),
                page: Vec::new().into_iter(),
            },
            _ => Source::Whole { listing: store.list(prefix), is_in_order },
        };
        Self { start_after, source }
    }

    /// Whether a run that stops can go on behind its last key.
    pub fn are_in_order(&self) -> bool {
        !matches!(self.source, Source::Whole { is_in_order: false, .. })
    }

    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            match &mut self.source {
                Source::Whole { listing, .. } => match listing.next().await? {
                    Some(entry) if self.start_after.is_some_and(|key| *entry.key <= *key) => {}
                    found => return Ok(found.map(|entry| entry.key)),
                },
                Source::Pages { store, prefix, next, page } => {
                    if let Some(entry) = page.next() {
                        return Ok(Some(entry.key));
                    }
                    let Some(options) = next.take() else { return Ok(None) };
                    let found = store.list_page(prefix, options).await?;
                    *next = found.next.map(|key| ListOptions::default().start_after(key));
                    *page = found.entries.into_iter();
                }
            }
        }
    }
}
