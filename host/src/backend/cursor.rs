use crate::instance::Failed;

/// How many pages in a row may be empty. A backend that looks for a rare prefix among many
/// artifacts sends some; one that never ends is not waited for.
const EMPTY_PAGES: u32 = 1_000_000;

/// Where a listing is, and what it takes to notice that it goes in a circle: Brent's way, which
/// remembers one cursor, and after ever more pages the present one.
#[derive(Clone, Default)]
pub(crate) struct Cursor {
    at: Option<String>,
    remembered: Option<String>,
    steps: u64,
    span: u64,
    empty: u32,
}

impl Cursor {
    /// What the backend is asked to go on from; none at the start.
    pub(super) fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// The cursor behind a page that had `entries` and named `next`.
    pub(super) fn advance(mut self, next: String, entries: usize) -> Result<Self, Failed> {
        self.empty = if entries == 0 { self.empty + 1 } else { 0 };
        if self.remembered.as_ref() == Some(&next) || self.empty > EMPTY_PAGES {
            return Err(Failed::Protocol("a listing that comes to no end".into()));
        }
        self.steps += 1;
        if self.steps >= self.span {
            self.remembered = Some(next.clone());
            self.span = (self.steps * 2).max(1);
            self.steps = 0;
        }
        self.at = Some(next);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cursors that run straight for `start` pages, then in a circle of `length`.
    fn pages_until_noticed(start: usize, length: usize) -> Option<usize> {
        let mut cursor = Cursor::default();
        for page in 0..10_000 {
            let next = if page < start { page } else { start + (page - start) % length };
            match cursor.advance(next.to_string(), 1) {
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

    #[test]
    fn nothing_for_ever_is_noticed() {
        let mut cursor = Some(Cursor::default());
        let end = (0..).find(|page: &u32| {
            cursor = cursor.take().and_then(|cursor| cursor.advance(page.to_string(), 0).ok());
            cursor.is_none()
        });
        assert_eq!(end, Some(EMPTY_PAGES));
    }
}
