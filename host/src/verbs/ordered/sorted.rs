//! The first names of a listing that has another order. Each page costs a whole listing, and no more
//! memory than its names take.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use super::super::pages::Pages;
use super::{Asked, ListPage};
use crate::error::{ErrorKind, Operation, Result};
use crate::info::Entry;
use crate::serving::{Loaded, RunBy};

/// How long a backend may take for the listing, as a multiple of `call_timeout`: one that is
/// endless must not hold its caller for ever.
const CALLS: u32 = 20;

pub(super) async fn list_page(backend: &Arc<Loaded>, asked: &Asked, by: RunBy) -> Result<ListPage> {
    let mut first = First { asked, names: BTreeMap::new(), is_cut: false };
    let mut pages = Pages::<Entry>::new(Arc::clone(backend), &asked.prefix);
    let (begun, most) = (Instant::now(), backend.pool.limits().call_timeout.saturating_mul(CALLS));
    while let Some(entry) = poll_fn(|cx| pages.poll_next(by, cx)).await {
        first.add(entry?);
        if begun.elapsed() > most {
            return Err(backend.error(ErrorKind::Timeout(most), Operation::List, &asked.prefix));
        }
    }
    Ok(first.page())
}

/// The first names of those that were seen.
struct First<'a> {
    asked: &'a Asked,
    /// With what is known of the artifact, where the name is its key.
    names: BTreeMap<String, Option<Entry>>,
    /// Whether there are more.
    is_cut: bool,
}

impl First<'_> {
    fn add(&mut self, entry: Entry) {
        let (name, entry) = match self.asked.folded(&entry.key) {
            Some(name) => (name.to_owned(), None),
            None => (entry.key.clone(), Some(entry)),
        };
        let is_full = self.names.len() >= self.asked.limit;
        let last = self.names.last_key_value().filter(|_| is_full);
        if self.asked.is_before(&name) || self.names.contains_key(&name) {
            return;
        }
        if is_full {
            self.is_cut = true;
            if last.is_some_and(|(last, _)| name > *last) {
                return;
            }
            self.names.pop_last();
        }
        self.names.insert(name, entry);
    }

    fn page(self) -> ListPage {
        let last = self.names.last_key_value().filter(|_| self.is_cut);
        let mut page = ListPage { next: last.map(|(name, _)| name.clone()), ..Default::default() };
        for (name, entry) in self.names {
            match entry {
                Some(entry) => page.entries.push(entry),
                None => page.prefixes.push(name),
            }
        }
        page
    }
}
