//! Where a listing continues, and how it detects a service that repeats itself.

use std::collections::BTreeSet;

use artifact_store_backend::checksum::checksum;

/// The end of one page. An instance that continues from it has nothing else to compare with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Where the service is asked to continue; empty at the start.
    pub token: String,
    /// The last name.
    last: Option<u64>,
    /// Brent's algorithm for detecting a circle: one token is remembered, and after ever more pages
    /// replaced by the present one.
    remembered: Option<u64>,
    steps: u32,
    span: u32,
}

/// The hash of a name or token. Two different ones do not collide by chance.
fn hash(text: &str) -> u64 {
    checksum(text.as_bytes())
}

impl Cursor {
    /// The inverse of `to_string`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '.');
        let mut number = || match parts.next()? {
            "" => Some(None),
            digits => u64::from_str_radix(digits, 16).ok().map(Some),
        };
        let (last, remembered) = (number()?, number()?);
        let (steps, span) = (number()??.try_into().ok()?, number()??.try_into().ok()?);
        let token = parts.next().filter(|token| !token.is_empty())?.to_owned();
        Some(Self { token, last, remembered, steps, span })
    }

    /// Compares a page with what was requested and with the page before it.
    ///
    /// # Errors
    ///
    /// What is wrong with the page: then it must not become a part of the listing.
    pub fn check(&self, names: &[&str], limit: usize) -> Result<(), String> {
        if names.len() > limit {
            return Err(format!("a page has {} names; the limit was {limit}", names.len()));
        }
        let mut seen = BTreeSet::new();
        match names.iter().find(|name| !seen.insert(**name) || Some(hash(name)) == self.last) {
            Some(name) => Err(format!("the listing names `{name}` twice")),
            None => Ok(()),
        }
    }

    /// The end of a page with these names, after which the service continues from `token`.
    ///
    /// # Errors
    ///
    /// The listing goes in a circle.
    pub fn advance(&self, names: &[&str], token: String) -> Result<Self, String> {
        let mut next = self.clone();
        next.last = names.last().map(|name| hash(name)).or(self.last);
        if token == self.token || self.remembered == Some(hash(&token)) {
            return Err("the listing repeats itself".into());
        }
        next.steps += 1;
        if next.steps >= next.span {
            next.remembered = Some(hash(&token));
            next.span = next.steps.saturating_mul(2);
            next.steps = 0;
        }
        next.token = token;
        Ok(next)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for number in [self.last, self.remembered] {
            match number {
                Some(number) => write!(f, "{number:x}.")?,
                None => write!(f, ".")?,
            }
        }
        write!(f, "{:x}.{:x}.{}", self.steps, self.span, self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_that_repeats_a_name_is_refused() {
        let start = Cursor::default();
        start.check(&["a", "b"], 2).unwrap();
        start.check(&[], 2).unwrap();
        for names in [&["a", "a"][..], &["a", "b", "a"], &["a", "b", "c", "d"]] {
            start.check(names, 3).unwrap_err();
        }
        let next = start.advance(&["a", "b"], "t".into()).unwrap();
        next.check(&["c"], 3).unwrap();
        next.check(&["b", "c"], 3).unwrap_err();
        // An empty page keeps what came before it.
        let next = next.advance(&[], "u".into()).unwrap();
        next.check(&["b"], 3).unwrap_err();
    }

    /// Tokens that differ for `start` pages, then repeat in a circle of `length`.
    fn pages_until_noticed(start: usize, length: usize) -> Option<usize> {
        let mut cursor = Cursor::default();
        for page in 0..5000 {
            let token = if page < start { page } else { start + (page - start) % length };
            cursor = match cursor.advance(&[], format!("t{token}")) {
                // Encoded and decoded, as between two instances.
                Ok(next) => Cursor::parse(&next.to_string()).unwrap(),
                Err(_) => return Some(page),
            };
        }
        None
    }

    #[test]
    fn every_circle_is_noticed_soon() {
        for start in [0, 1, 2, 5, 100] {
            for length in [1, 2, 3, 7, 64] {
                let noticed = pages_until_noticed(start, length).expect("a circle has no end");
                assert!(noticed <= 5 * (start + length), "{start} {length}: {noticed}");
            }
        }
        assert_eq!(pages_until_noticed(usize::MAX, 1), None);
    }

    proptest! {
        #[test]
        fn a_cursor_survives_as_text(token in ".+", names in proptest::collection::vec(".*", 0..3)) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let cursor = Cursor::default().advance(&names, token).unwrap();
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }

        #[test]
        fn other_texts_are_no_cursors(text in "[0-9a-z.]{0,12}") {
            if let Some(cursor) = Cursor::parse(&text) {
                prop_assert!(!cursor.token.is_empty());
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "x", "....", "..0.0.", "..x.0.t", "..0.t", "..100000000.0.t", "g.0.0.0.t"]
        {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
