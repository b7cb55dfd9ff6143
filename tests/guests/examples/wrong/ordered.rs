//! Pages in the order of the keys.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::artifact::storage::types::Error;
use crate::exports::artifact::storage::inventory::Entry;
use crate::exports::artifact::storage::ordered::{Guest, OrderedPage};
use crate::files::{all, open};
use crate::{Wrong, fault};

thread_local! {
    /// What a backend must not have: the keys as they were.
    static SEEN: RefCell<Vec<String>> = RefCell::default();
}

/// The keys of all artifacts.
fn keys(is_first: bool) -> Result<Vec<String>, Error> {
    let now: Vec<_> = all()?.into_keys().collect();
    if !fault("ordered-from-memory") {
        return Ok(now);
    }
    SEEN.with_borrow_mut(|seen| {
        if is_first || seen.is_empty() {
            *seen = now;
        }
        Ok(seen.clone())
    })
}

/// The name under which a key is listed.
fn folded(key: &str, prefix: &str, delimiter: Option<&str>) -> Option<String> {
    let (delimiter, rest) = (delimiter?, &key[prefix.len()..]);
    let at = match fault("folds-at-the-last") {
        true => rest.rfind(delimiter)?,
        false => rest.find(delimiter)?,
    };
    Some(key[..prefix.len() + at + delimiter.len()].to_owned())
}

impl Guest for Wrong {
    async fn list_ordered(
        prefix: String,
        start_after: Option<String>,
        delimiter: Option<String>,
        limit: u32,
    ) -> Result<OrderedPage, Error> {
        let delimiter = delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let mut names = BTreeMap::new();
        for key in keys(start_after.is_none())? {
            if key.starts_with(&prefix) {
                match folded(&key, &prefix, delimiter) {
                    Some(name) => names.insert(name, None),
                    None => names.insert(key.clone(), Some(key)),
                };
            }
        }
        if delimiter == Some("/") && prefix.is_empty() && fault("empty-prefix-is-listed") {
            names.insert("b/".into(), None);
        }
        if let Some(after) = &start_after {
            let is_after = |name: &String| {
                name > after || name == after && fault("start-is-listed") && !name.ends_with('/')
            };
            names.retain(|name, _| is_after(name));
        }
        let most = if limit == 0 || fault("ordered-ignores-limit") { 1000 } else { limit as usize };
        let mut next = names.keys().nth(most.saturating_sub(1)).cloned();
        next = next.filter(|_| names.len() > most && !fault("one-ordered-page"));
        if fault("next-skips") && next.is_some() {
            next = names.keys().nth(most).cloned();
        }
        let mut page = OrderedPage { entries: Vec::new(), prefixes: Vec::new(), next };
        for (name, key) in names.into_iter().take(most) {
            let Some(key) = key else {
                page.prefixes.push(name);
                continue;
            };
            let Some(path) = all()?.remove(&key) else { continue };
            let Ok(found) = open(&path) else { continue };
            let info = found.info;
            let (size, modified, version) = (info.size, info.modified, info.version);
            page.entries.push(Entry { key, size, modified, version });
        }
        if fault("ordered-backwards") {
            page.entries.reverse();
        }
        if fault("ordered-loses-one") && page.entries.len() > 2 {
            page.entries.remove(1);
        }
        Ok(page)
    }
}
