//! One page of a listing or audit, checked before any of it is passed on.

use std::collections::HashSet;

use super::cursor::{Cursor, Step};
use crate::bindings::{inventory, maintenance};
use crate::error::{ErrorKind, Operation, Result};
use crate::info::Entry;
use crate::instance::Failed;
use crate::key;
use crate::maintenance::Finding;
use crate::serving::{Call, Running};
use crate::text::quoted;

/// How many items a page is asked for.
const PAGE: u32 = 1000;

/// Some items, and where the next page begins.
pub(crate) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<Cursor>,
}

impl<T> Page<T> {
    fn into_parts(self) -> (Vec<T>, Option<String>) {
        (self.items, self.next.and_then(|next| next.at().map(str::to_owned)))
    }
}

/// How many items a backend is asked for if a layer asks for `limit`.
fn at_most(limit: u32) -> u32 {
    if limit == 0 { PAGE } else { limit.min(PAGE) }
}

/// Something that comes page by page.
pub(crate) trait Paged: Sized + Send + Sync + 'static {
    const OPERATION: Operation;

    /// One page, from the cursor on.
    fn page(
        running: Running,
        cursor: Cursor,
    ) -> impl Future<Output = Result<Page<Self>>> + Send + 'static;
}

impl Paged for Entry {
    const OPERATION: Operation = Operation::List;

    async fn page(running: Running, cursor: Cursor) -> Result<Page<Self>> {
        running.list(cursor).await
    }
}

impl Paged for Finding {
    const OPERATION: Operation = Operation::Audit;

    async fn page(running: Running, cursor: Cursor) -> Result<Page<Self>> {
        running.audit(cursor).await
    }
}

impl Running {
    /// One page of the artifacts whose keys begin with the prefix.
    async fn list(&self, cursor: Cursor) -> Result<Page<Entry>> {
        self.list_page(cursor, PAGE).await
    }

    /// The same for a layer, which has its own cursors, and accepts so many entries; 0 is any number.
    pub(crate) async fn list_from(
        &self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<(Vec<Entry>, Option<String>)> {
        self.list_page(Cursor::from(cursor), at_most(limit)).await.map(Page::into_parts)
    }

    async fn list_page(&self, cursor: Cursor, limit: u32) -> Result<Page<Entry>> {
        let prefix = &self.call.key;
        let outcome = async {
            key::check_prefix(prefix).map_err(ErrorKind::InvalidKey)?;
            let call = self.run(async |accessor, exports| {
                let Some(inventory) = &exports.inventory else { return Ok(Err(no_inventory())) };
                let from = cursor.at().map(str::to_owned);
                let answer =
                    inventory.call_list_artifacts(accessor, prefix.clone(), from, limit).await?;
                match answer {
                    Ok(page) => Ok(Ok(entries(page, prefix, cursor, limit, &self.call)?)),
                    Err(error) => Ok(Err(error.into())),
                }
            });
            call.await
        };
        self.call.end(0, outcome.await)
    }

    /// One page of the findings.
    async fn audit(&self, cursor: Cursor) -> Result<Page<Finding>> {
        self.audit_page(cursor, PAGE).await
    }

    /// The same for a layer.
    pub(crate) async fn audit_from(
        &self,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<(Vec<Finding>, Option<String>)> {
        self.audit_page(Cursor::from(cursor), at_most(limit)).await.map(Page::into_parts)
    }

    async fn audit_page(&self, cursor: Cursor, limit: u32) -> Result<Page<Finding>> {
        let outcome = self.run(async |accessor, exports| {
            let Some(maintenance) = &exports.maintenance else { return Ok(Err(no_maintenance())) };
            let from = cursor.at().map(str::to_owned);
            match maintenance.call_audit(accessor, from, limit).await? {
                Ok(found) => Ok(Ok(findings(found, cursor, limit, &self.call)?)),
                Err(error) => Ok(Err(error.into())),
            }
        });
        self.call.end(0, outcome.await)
    }
}

pub(super) fn no_inventory() -> ErrorKind {
    ErrorKind::Unsupported(
        "the backend does not export `inventory`, so it cannot list or stat".into(),
    )
}

pub(super) fn no_maintenance() -> ErrorKind {
    ErrorKind::Unsupported(
        "the backend does not export `maintenance`, so it cannot audit or sweep".into(),
    )
}

fn entries(
    page: inventory::Page,
    prefix: &str,
    cursor: Cursor,
    limit: u32,
    call: &Call,
) -> Result<Page<Entry>, Failed> {
    check_count(page.entries.len(), limit)?;
    let mut seen = HashSet::with_capacity(page.entries.len());
    for inventory::Entry { key, .. } in &page.entries {
        if let Err(why) = key::check(key) {
            return broken(format!("its listing has the invalid key {}: {why}", quoted(key)));
        }
        if !seen.insert(key.as_str()) {
            return broken(format!("its listing has the key {} twice", quoted(key)));
        }
        if !key.starts_with(prefix) {
            let (prefix, key) = (quoted(prefix), quoted(key));
            return broken(format!("its listing of the prefix {prefix} has the key {key}"));
        }
    }
    let next = go_on(call, cursor, page.next, page.entries.len())?;
    let entry = |entry| Entry::try_from(entry).map(|entry| call.backend.entry(entry));
    let entries = page.entries.into_iter().map(entry);
    Ok(Page { items: entries.collect::<Result<_, _>>().map_err(Failed::Protocol)?, next })
}

fn findings(
    page: maintenance::Findings,
    cursor: Cursor,
    limit: u32,
    call: &Call,
) -> Result<Page<Finding>, Failed> {
    check_count(page.items.len(), limit)?;
    let next = go_on(call, cursor, page.next, page.items.len())?;
    Ok(Page { items: page.items.into_iter().map(Finding::from).collect(), next })
}

/// The cursor after a page that had `entries` and names `next`.
fn go_on(
    call: &Call,
    cursor: Cursor,
    next: Option<String>,
    entries: usize,
) -> Result<Option<Cursor>, Failed> {
    let (spent, call_timeout) = (call.clock().spent(), call.limits().call_timeout);
    let step = |next| cursor.advance(Step { next, entries, spent, call_timeout });
    next.map(step).transpose()
}

fn check_count(items: usize, limit: u32) -> Result<(), Failed> {
    match items > limit as usize {
        true => broken(format!("its page has {items} items; the limit was {limit}")),
        false => Ok(()),
    }
}

fn broken<T>(text: String) -> Result<T, Failed> {
    Err(Failed::Protocol(text))
}
