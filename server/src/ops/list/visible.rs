//! Pages without what is hidden from clients.

use artifact_store::{ArtifactStore, Entry, ListOptions, Result};

use crate::hidden::{HIDDEN, HIDDEN_END};

/// What a page is to have.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) after: Option<String>,
    /// At least 1.
    pub(super) limit: usize,
}

#[derive(Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) prefixes: Vec<String>,
    /// Where the next one begins; `None` if nothing more is visible.
    pub(super) next: Option<String>,
}

impl Page {
    fn len(&self) -> usize {
        self.entries.len() + self.prefixes.len()
    }
}

impl Asked {
    /// Whether something hidden may be among what follows.
    fn meets_hidden(&self) -> bool {
        let follows = self.after.as_deref().is_none_or(|after| after < HIDDEN_END);
        HIDDEN.starts_with(&self.prefix) && follows
    }
}

/// One page of what clients see. It is full if there is as much.
pub(super) async fn page(store: &ArtifactStore, asked: Asked) -> Result<Page> {
    if asked.prefix.starts_with(HIDDEN) {
        return Ok(Page::default());
    }
    let mut page = gather(store, asked.clone()).await?;
    // What follows may be nothing but hidden.
    let rest = Asked { after: page.next.clone(), limit: 1, ..asked };
    if page.next.is_some() && rest.meets_hidden() && gather(store, rest).await?.len() == 0 {
        page.next = None;
    }
    Ok(page)
}

/// The same, but what follows may be nothing but hidden.
async fn gather(store: &ArtifactStore, mut asked: Asked) -> Result<Page> {
    let mut page = Page::default();
    loop {
        let left = asked.limit - page.len();
        let options = ListOptions::default()
            .delimiter(asked.delimiter.clone())
            .start_after(asked.after.clone())
            .limit(left);
        let meets_hidden = asked.meets_hidden();
        let found = store.list_page(&asked.prefix, options).await?;
        page.entries.extend(found.entries.into_iter().filter(|it| !it.key.starts_with(HIDDEN)));
        for name in found.prefixes {
            if !name.starts_with(HIDDEN) && is_visible(store, &name).await? {
                page.prefixes.push(name);
            }
        }
        page.next = found.next;
        let Some(next) = &page.next else { return Ok(page) };
        if page.len() >= asked.limit || !meets_hidden {
            return Ok(page);
        }
        // One step over all that is hidden, however much it is.
        let is_within = next.starts_with(HIDDEN);
        asked.after = Some(if is_within { HIDDEN_END.to_owned() } else { next.clone() });
    }
}

/// Whether a client sees one of the keys that begin so.
async fn is_visible(store: &ArtifactStore, prefix: &str) -> Result<bool> {
    if !HIDDEN.starts_with(prefix) {
        return Ok(true);
    }
    let asked = Asked { prefix: prefix.to_owned(), delimiter: None, after: None, limit: 1 };
    // A page without a delimiter has no prefixes to look at.
    Ok(Box::pin(gather(store, asked)).await?.len() > 0)
}
