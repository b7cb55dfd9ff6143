//! Keys that the command line names.

use std::collections::HashSet;

/// Each of them once, in the order in which they are named first.
pub fn distinct(mut keys: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    keys
}
