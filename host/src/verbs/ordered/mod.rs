//! Pages in the order of the keys: of a backend that has that order, or else sorted here.

mod answer;
mod sorted;

use std::sync::Arc;

use super::cursor::{Cursor, Step};
use crate::bindings::ordered::OrderedPage;
use crate::error::{ErrorKind, Operation, Result};
use crate::info::Entry;
use crate::instance::Failed;
use crate::interface::Interface;
use crate::key;
use crate::serving::{Loaded, RunBy, Running};
use crate::setters::setters;

/// How many names a page has if nobody says.
const USUAL: usize = 1000;

/// The most names of a page.
const MOST: usize = 10_000;

/// What a page of a listing is to have. By default the first 1000 keys.
///
/// ```
/// use artifact_store::ListOptions;
///
/// let options = ListOptions::default().start_after("builds/41".to_owned()).limit(10);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// Keys that contain this behind the prefix are not listed themselves: what they have up to its
    /// first end is listed instead, once for all that share it. Any text, such as `/`; an empty one
    /// is none.
    pub delimiter: Option<String>,
    /// Only what is greater than this is listed. It need not be a key: any text has its place in
    /// the order.
    pub start_after: Option<String>,
    /// The most keys and common prefixes together, up to 10 000. By default 1000.
    pub limit: Option<usize>,
}

setters!(ListOptions {} some { delimiter: String, start_after: String, limit: usize });

/// One page of a listing in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage {
    /// The artifacts, in the order of their keys.
    pub entries: Vec<Entry>,
    /// The common prefixes, in their order. Each ends with the delimiter.
    pub prefixes: Vec<String>,
    /// [`ListOptions::start_after`] of the next page; `None` if there is nothing more. A page may be
    /// shorter than its limit although there is more; it is empty only at the end.
    pub next: Option<String>,
}

/// What is asked for: the options of a page, and its prefix.
#[derive(Clone)]
struct Asked {
    prefix: String,
    delimiter: Option<String>,
    after: Option<String>,
    limit: usize,
}

impl Asked {
    /// The name under which `key` is listed, if that is not the key itself.
    fn folded<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = key.get(self.prefix.len()..)?.find(delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len())
    }

    /// Whether `name` is one of those that are to be skipped.
    fn is_before(&self, name: &str) -> bool {
        self.after.as_deref().is_some_and(|after| name <= after)
    }
}

/// One page of the artifacts whose keys begin with `prefix`.
pub(crate) async fn list_page(
    backend: &Arc<Loaded>,
    prefix: &str,
    options: ListOptions,
    by: RunBy,
) -> Result<ListPage> {
    let ListOptions { delimiter, start_after, limit } = options;
    let asked = Asked {
        prefix: prefix.into(),
        delimiter: delimiter.filter(|delimiter| !delimiter.is_empty()),
        after: start_after,
        limit: limit.unwrap_or(USUAL).clamp(1, MOST),
    };
    if !backend.offers(Interface::Ordered) {
        return sorted::list_page(backend, &asked, by).await;
    }
    let mut cursor = Cursor::default();
    loop {
        let call = backend.call(Operation::List, prefix);
        let mut asked = asked.clone();
        if let Some(next) = cursor.at() {
            asked.after = Some(next.into());
        }
        let page =
            call.start(by, move |running| async move { running.ordered(asked, cursor).await });
        let (page, next) = page.await?;
        match next {
            // The backend pauses in a long search.
            Some(next) if page.entries.is_empty() && page.prefixes.is_empty() => cursor = next,
            _ => return Ok(page),
        }
    }
}

impl Running {
    /// One page as the backend makes it, and where the next one begins.
    async fn ordered(&self, asked: Asked, cursor: Cursor) -> Result<(ListPage, Option<Cursor>)> {
        let outcome = async {
            key::check_prefix(&asked.prefix).map_err(ErrorKind::InvalidKey)?;
            let call = self.run(async |accessor, exports| {
                let Some(ordered) = &exports.ordered else {
                    return Ok(Err(ErrorKind::not_exported(Interface::Ordered)));
                };
                let Asked { prefix, delimiter, after, limit } = asked.clone();
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                let answer =
                    ordered.call_list_ordered(accessor, prefix, after, delimiter, limit).await?;
                match answer {
                    Ok(page) => Ok(Ok(self.checked(page, &asked, cursor)?)),
                    Err(error) => Ok(Err(error.into())),
                }
            });
            call.await
        };
        self.call.end(0, outcome.await)
    }

    fn checked(
        &self,
        page: OrderedPage,
        asked: &Asked,
        cursor: Cursor,
    ) -> Result<(ListPage, Option<Cursor>), Failed> {
        let mut page = answer::checked(page, asked).map_err(Failed::Protocol)?;
        page.entries =
            page.entries.into_iter().map(|entry| self.call.backend.entry(entry)).collect();
        let entries = page.entries.len() + page.prefixes.len();
        let (spent, call_timeout) = (self.call.clock().spent(), self.call.limits().call_timeout);
        let next = page.next.clone();
        let step = |next| cursor.advance(Step { next, entries, spent, call_timeout });
        let next = next.map(step).transpose()?;
        Ok((page, next))
    }
}
