use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::instance::Failed;

/// The longest cursor, in bytes. The cursor is kept while the listing is open.
const LENGTH: usize = 64 << 10;

/// How many pages in a row may be empty. A backend that looks for a rare prefix among many
/// artifacts sends some, each after thousands of names. Beyond this number it counts as endless.
const EMPTY_PAGES: u32 = 10_000;

/// How long these pages may take together, as a multiple of `call_timeout`.
const EMPTY_CALLS: u32 = 20;

/// The position of a listing, and the state of Brent's algorithm, which detects a circle: it
/// remembers one cursor, and replaces it by the present one after ever more pages.
#[derive(Clone, Default)]
pub(crate) struct Cursor {
    at: Option<Arc<str>>,
    /// The digest of the remembered cursor.
    remembered: Option<[u8; 32]>,
    steps: u64,
    span: u64,
    /// The pages without an entry since the last one with entries, and the backend's time for them.
    empty: u32,
    spent: Duration,
}

/// A page of a listing, as far as the cursor needs it.
pub(super) struct Step {
    pub(super) next: String,
    pub(super) entries: usize,
    /// The backend's time for the page, and the limit for one call.
    pub(super) spent: Duration,
    pub(super) call_timeout: Duration,
}

impl Cursor {
    /// Where a layer asks to go on. Its own caller sees whether the listing ends.
    pub(super) fn from(at: Option<String>) -> Self {
        Self { at: at.map(Into::into), ..Self::default() }
    }

    /// Where the backend is asked to go on; `None` at the start.
    pub(super) fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// The cursor after a page.
    pub(super) fn advance(mut self, page: Step) -> Result<Self, Failed> {
        let Step { next, entries, spent, call_timeout } = page;
        if next.len() > LENGTH {
            let text = format!("its cursor has {} bytes; the limit is {LENGTH}", next.len());
            return Err(Failed::Protocol(text));
        }
        (self.empty, self.spent) = match entries {
            0 => (self.empty + 1, self.spent.saturating_add(spent)),
            _ => (0, Duration::ZERO),
        };
        let digest = Some(Sha256::digest(&next).into());
        if self.remembered == digest
            || self.empty > EMPTY_PAGES
            || self.spent > call_timeout.saturating_mul(EMPTY_CALLS)
        {
            return Err(Failed::Protocol("its listing does not end".into()));
        }
        self.steps += 1;
        if self.steps >= self.span {
            self.remembered = digest;
            self.span = (self.steps * 2).max(1);
            self.steps = 0;
        }
        self.at = Some(next.into());
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(next: &str, entries: usize) -> Step {
        let (spent, call_timeout) = (Duration::from_secs(1), Duration::from_secs(1000));
        Step { next: next.into(), entries, spent, call_timeout }
    }

    /// Cursors that differ for `start` pages, then repeat in a circle of `length`.
    fn pages_until_noticed(start: usize, length: usize) -> Option<usize> {
        let mut cursor = Cursor::default();
        for page in 0..10_000 {
            let next = if page < start { page } else { start + (page - start) % length };
            match cursor.advance(step(&next.to_string(), 1)) {
                Ok(next) => cursor = next,
                Err(_) => return Some(page),
            }
        }
        None
    }

    #[test]
    fn every_circle_is_noticed_soon() {
        for start in [0, 1, 2, 5, 100] {
            for length in [1, 2, 3, 7, 64, 500] {
                let noticed = pages_until_noticed(start, length).expect("a circle has no end");
                assert!(noticed <= 5 * (start + length), "{start} {length}: {noticed}");
            }
        }
    }

    #[test]
    fn what_goes_straight_is_left_alone() {
        assert_eq!(pages_until_noticed(usize::MAX, 1), None);
    }

    fn empty_pages(spent: Duration) -> u32 {
        let mut cursor = Some(Cursor::default());
        let end = (0..).find(|page: &u32| {
            let page = Step { spent, ..step(&page.to_string(), 0) };
            cursor = cursor.take().and_then(|cursor| cursor.advance(page).ok());
            cursor.is_none()
        });
        end.expect("it ends")
    }

    #[test]
    fn nothing_for_ever_is_noticed_by_its_pages_or_by_its_time() {
        assert_eq!(empty_pages(Duration::from_secs(1)), EMPTY_PAGES);
        assert_eq!(empty_pages(Duration::from_secs(1000)), EMPTY_CALLS);
    }

    #[test]
    fn a_cursor_is_not_long() {
        assert!(Cursor::default().advance(step(&"x".repeat(LENGTH), 1)).is_ok());
        assert!(Cursor::default().advance(step(&"x".repeat(LENGTH + 1), 1)).is_err());
    }
}
