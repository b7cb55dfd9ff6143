//! What was called and what came of it, so that a failure can show the way to it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

/// A report is read by people.
const MOST: usize = 40;

/// One call of a backend, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The call, with its arguments.
    pub call: String,
    /// What came of it.
    pub outcome: String,
    /// The key that it was about; empty where it was about none.
    pub(super) key: String,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome.as_str() {
            "" => write!(f, "({})", self.call),
            outcome => write!(f, "{} -> {outcome}", self.call),
        }
    }
}

/// The last calls.
#[derive(Debug, Default)]
pub(super) struct Trace {
    calls: Mutex<VecDeque<Recorded>>,
}

impl Trace {
    pub(super) fn add(&self, key: &str, call: String, outcome: String) {
        let mut calls = self.calls();
        if calls.len() == MOST * 10 {
            calls.pop_front();
        }
        calls.push_back(Recorded { call, outcome, key: key.to_owned() });
    }

    /// What comes now does not depend on what was before.
    pub(super) fn restart(&self) {
        self.calls().clear();
    }

    /// The calls that are about these keys or about none; all where no key is named.
    pub(super) fn about(&self, keys: &[&str]) -> Vec<Recorded> {
        let calls = self.calls();
        let is_meant = |call: &&Recorded| {
            keys.is_empty() || call.key.is_empty() || keys.contains(&call.key.as_str())
        };
        let calls: Vec<_> = calls.iter().filter(is_meant).cloned().collect();
        calls[calls.len().saturating_sub(MOST)..].to_vec()
    }

    fn calls(&self) -> MutexGuard<'_, VecDeque<Recorded>> {
        self.calls.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A key as a report shows it: whole where it is short.
pub(super) fn shown(key: &str) -> String {
    const SHORT: usize = 60;
    if key.len() <= SHORT {
        return format!("{key:?}");
    }
    let (start, end) = (key.floor_char_boundary(SHORT / 2), key.ceil_char_boundary(key.len() - 12));
    format!("{:?}…{:?} ({} bytes)", &key[..start], &key[end..], key.len())
}

/// Bytes as a report shows them: short text as it is, else their number and checksum.
pub(super) fn shown_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 40 && !text.contains(char::is_control) => format!("{text:?}"),
        _ => {
            let mut checksum = crate::checksum::Checksum::new();
            checksum.update(bytes);
            format!("{} bytes (CRC {:016x})", bytes.len(), checksum.value())
        }
    }
}
