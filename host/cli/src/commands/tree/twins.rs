//! Names that differ only in case. A filesystem that folds it has one file for all of them, and
//! whether it does shows only when one of them is written.

use std::collections::HashMap;

use tokio::sync::{Mutex, MutexGuard};

/// The names of a tree that are like another one, by what is common to them, and those that have been
/// written.
pub struct Twins(HashMap<String, Mutex<Vec<String>>>);

impl Twins {
    pub fn among<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = HashMap::<_, usize>::new();
        names.for_each(|name| *counts.entry(name.to_lowercase()).or_default() += 1);
        counts.retain(|_, count| *count > 1);
        Self(counts.into_keys().map(|name| (name, Mutex::default())).collect())
    }

    /// Those like this one that have been written; nobody writes another one meanwhile. None if it is
    /// like no other.
    pub async fn of(&self, name: &str) -> Option<MutexGuard<'_, Vec<String>>> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.get(&name.to_lowercase())?.lock().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn only_what_is_alike_waits_for_each_other() {
        let twins = Twins::among(["a/B", "A/b", "c", "\u{c9}", "\u{e9}"].into_iter());
        assert!(twins.of("c").await.is_none());
        twins.of("a/B").await.unwrap().push("a/B".into());
        assert_eq!(*twins.of("A/b").await.unwrap(), ["a/B"]);
        assert!(twins.of("\u{e9}").await.unwrap().is_empty());
    }
}
