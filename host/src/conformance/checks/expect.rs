//! Expectations about answers.

use std::thread::ScopedJoinHandle;

use super::super::direct::Download;
use super::super::shown::shown_bytes;
use super::super::subject::{Answer, Subject, Verdict};

impl Subject {
    /// The answer must be ok. A failure shows the calls about `key`, or all calls if it is empty.
    pub(super) fn ok<T>(&self, key: &str, answer: Answer<T>) -> Verdict<T> {
        answer.map_err(|kind| self.fail_by_last(&keys(key), "ok", self.trace().error_shown(&kind)))
    }

    /// The answer must be an error of one of these cases.
    pub(super) fn refused<T>(&self, key: &str, answer: Answer<T>, cases: &[&str]) -> Verdict {
        let seen = match answer {
            Err(kind) if cases.contains(&kind.name()) => return Ok(()),
            Err(kind) => self.trace().error_shown(&kind),
            Ok(_) => "ok".into(),
        };
        Err(self.fail_by_last(&keys(key), format!("err({})", cases.join(" or ")), seen))
    }

    /// The key must have these bytes.
    pub(super) fn holds(&self, key: &str, data: impl AsRef<[u8]>) -> Verdict {
        let got = self.get(key);
        let got = self.ok(key, got)?;
        self.same(key, data.as_ref(), &got)
    }

    /// The key must have no artifact.
    pub(super) fn absent(&self, key: &str) -> Verdict {
        let got = self.get(key);
        self.refused(key, got, &["not-found"])
    }

    pub(super) fn same(&self, key: &str, expected: &[u8], seen: &[u8]) -> Verdict {
        if expected == seen {
            return Ok(());
        }
        let (expected, mut seen_text) = (shown_bytes(expected), shown_bytes(seen));
        if expected == seen_text {
            seen_text.push_str(", which differ");
        }
        Err(self.fail_by_last(&keys(key), expected, seen_text))
    }

    pub(super) fn check(&self, is_right: bool, expected: &str, seen: impl Into<String>) -> Verdict {
        if is_right { Ok(()) } else { Err(self.fail(expected, seen)) }
    }

    /// The read must have ended without an error, with exactly these bytes.
    pub(super) fn sound(&self, key: &str, data: &[u8], read: Answer<Download>) -> Verdict {
        let read = self.ok(key, read)?;
        if let Some(end) = read.end {
            self.ok(key, end)?;
        }
        self.same(key, data, &read.bytes)
    }

    /// All keys of a listing, page by page; the listing has to end.
    pub(super) fn list(&self, prefix: &str, limit: u32) -> Verdict<Vec<(String, u64)>> {
        const MOST: usize = 1_000_000;
        let (mut entries, mut cursor) = (Vec::new(), None::<String>);
        let mut cursors = std::collections::HashSet::new();
        loop {
            let page = self.page(prefix, cursor.as_deref(), limit);
            let page = self.ok("", page)?;
            entries.extend(page.entries.into_iter().map(|entry| (entry.key, entry.size)));
            let Some(next) = page.next else { return Ok(entries) };
            if !cursors.insert(next.clone()) || cursors.len() + entries.len() > MOST {
                return Err(self.fail("a listing that ends", "the same cursor again"));
            }
            cursor = Some(next);
        }
    }

    /// Bytes without repeated stretches; another number gives other bytes.
    pub(super) fn bytes(&self, size: usize, number: u64) -> Vec<u8> {
        let mut state = self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            bytes.extend((word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }
}

/// The result of a thread of a check.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn keys(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { vec![key] }
}
