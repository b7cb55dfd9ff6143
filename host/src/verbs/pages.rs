//! All pages of a listing or audit, one after the other.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::cursor::Cursor;
use super::paging::{Page, Paged};
use crate::error::Result;
use crate::serving::{Loaded, Pending, RunBy};

/// After so many failures in a row a page is the last one, so that a caller who skips errors
/// reaches an end.
const ATTEMPTS: u32 = 3;

/// The items that were fetched and not yet taken, and where the next page begins.
pub(crate) struct Pages<T: Paged> {
    backend: Arc<Loaded>,
    prefix: String,
    items: VecDeque<T>,
    /// Where the next page begins; `None` at the end.
    rest: Option<Cursor>,
    coming: Option<Pending<Page<T>>>,
    /// How often in a row the next page has failed.
    failed: u32,
}

impl<T: Paged> Pages<T> {
    pub(crate) fn new(backend: Arc<Loaded>, prefix: &str) -> Self {
        let (prefix, rest) = (prefix.to_owned(), Some(Cursor::default()));
        Self { backend, prefix, items: VecDeque::new(), rest, coming: None, failed: 0 }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn poll_next(&mut self, by: RunBy, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            let coming = match (&mut self.coming, &self.rest) {
                (Some(coming), _) => coming,
                (None, None) => return Poll::Ready(None),
                (coming @ None, Some(cursor)) => {
                    let (call, cursor) =
                        (self.backend.call(T::OPERATION, &self.prefix), cursor.clone());
                    coming.insert(call.start(by, |running| T::page(running, cursor)))
                }
            };
            let page = ready!(Pin::new(coming).poll(cx));
            self.coming = None;
            match page {
                Ok(page) => {
                    self.items = page.items.into();
                    self.rest = page.next;
                    self.failed = 0;
                }
                Err(error) => {
                    self.failed += 1;
                    if self.failed == ATTEMPTS {
                        self.rest = None;
                    }
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
