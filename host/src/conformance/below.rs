//! The store below a layer, as the checks see and disturb it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::shown::shown;
use super::subject::{Subject, Verdict};
use crate::blocking::ArtifactStore;
use crate::budget::on_this_thread;
use crate::error::{ErrorKind, Operation};
use crate::key::MAX_LEN;
use crate::serving::{Fault, Loaded, Running};

/// No key grows by more with one character: 4 bytes, each of which is written as 3.
const GROWTH: usize = 16;

/// The store below a layer, by a handle of its own.
pub(super) struct Below<'a> {
    subject: &'a Subject,
    backend: Arc<Loaded>,
    store: ArtifactStore,
}

/// Artifacts and their bytes.
pub(super) type Contents = BTreeMap<String, Vec<u8>>;

impl Subject {
    /// Whether it is a layer, with a store below it.
    pub(super) fn is_layer(&self) -> bool {
        self.loaded().0.below.is_some()
    }

    /// The store below.
    pub(super) fn below(&self) -> Verdict<Below<'_>> {
        let nothing = || self.fail("a store below", "none");
        let serving = self.loaded().0.below.clone().ok_or_else(nothing)?;
        let backend = serving.backend();
        let store = ArtifactStore::serve(serving.loaded());
        Ok(Below { subject: self, backend, store })
    }

    /// Lets what the layer calls below fail from now on, or no longer.
    pub(super) fn fail_below(&self, fault: Option<Fault>) {
        if let Some(below) = &self.loaded().0.below {
            below.fail(fault);
        }
        self.note(&match fault {
            Some(Fault::Refuse(given)) => {
                format!("each call below fails with {} from now on", given.kind().name())
            }
            Some(Fault::Lose(given)) => {
                format!("each change below fails at its end with {}", given.kind().name())
            }
            Some(Fault::Cut) => "each read below fails after half of its bytes".into(),
            Some(Fault::Overstate) => "each read below states too many bytes, and fails".into(),
            None => "the store below works again".into(),
        });
    }

    /// Whether this valid key may be refused: it becomes too long for a store below (layer-5). The
    /// longest key of the same characters that is taken shows how much room there is below.
    pub(super) fn may_refuse(&self, key: &str) -> bool {
        if !self.is_layer() {
            return false;
        }
        // No check uses a key that begins so.
        let shorter = |bytes: usize| {
            let end = key.floor_char_boundary(bytes.saturating_sub(1));
            format!("~{}", &key[..end])
        };
        let (mut taken, mut refused) = (0, key.len());
        let mut longest = None;
        while refused - taken > 1 {
            let middle = usize::midpoint(taken, refused);
            let key = shorter(middle);
            match self.arrives(&key) {
                Some(below) => (taken, longest) = (middle, Some((key.len(), below))),
                None => refused = middle,
            }
        }
        longest.is_some_and(|(above, below)| below > above && below + GROWTH > MAX_LEN)
    }

    /// How long the longest key is under which a store below keeps an artifact of this key; `None` if
    /// the layer refuses it.
    fn arrives(&self, key: &str) -> Option<usize> {
        let levels = std::iter::successors(self.host().below(), ArtifactStore::below);
        let levels: Vec<_> = levels.map(|store| (keys(&store), store)).collect();
        // These calls are not part of the check.
        let put = self.run(Operation::Put, key, async |accessor, exports| {
            let data = b"how long does it become?".to_vec();
            let answer = exports.store.call_put(accessor, key.into(), data).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        put.ok()?;
        let new = levels.iter().flat_map(|(before, store)| &keys(store) - before);
        let longest = new.map(|key| key.len()).max();
        // What remains of it disturbs no check.
        let _ = self.run(Operation::Delete, key, async |accessor, exports| {
            let answer = exports.store.call_delete(accessor, key.into()).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        Some(longest.unwrap_or(0))
    }
}

/// The keys of a store, as far as it tells them.
fn keys(store: &ArtifactStore) -> BTreeSet<String> {
    store.list("").map_while(Result::ok).map(|entry| entry.key).collect()
}

impl Below<'_> {
    fn failed(&self, error: &crate::Error) -> super::Stop {
        self.subject.fail("an answer of the store below", error.to_string())
    }

    /// The keys that it has.
    pub(super) fn keys(&self) -> Verdict<BTreeSet<String>> {
        let keys = self.store.list("").map(|entry| entry.map(|entry| entry.key));
        keys.collect::<Result<_, _>>().map_err(|error| self.failed(&error))
    }

    /// What a listing says of each artifact, as text.
    pub(super) fn listed(&self) -> Verdict<BTreeMap<String, String>> {
        let entries = self.store.list("");
        let shown = entries.map(|entry| entry.map(|it| (it.key.clone(), format!("{it:?}"))));
        shown.collect::<Result<_, _>>().map_err(|error| self.failed(&error))
    }

    /// The bytes under a key; `None` if it has no artifact there.
    pub(super) fn get(&self, key: &str) -> Verdict<Option<Vec<u8>>> {
        match self.store.get(key) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind().name() == "not-found" => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// All that it has.
    pub(super) fn contents(&self) -> Verdict<Contents> {
        let mut contents = Contents::new();
        for key in self.keys()? {
            if let Some(bytes) = self.get(&key)? {
                contents.insert(key, bytes);
            }
        }
        Ok(contents)
    }

    /// Stores without the layer.
    pub(super) fn put(&self, key: &str, bytes: &[u8]) -> Verdict {
        self.store.put(key, bytes.to_vec()).map_err(|error| self.failed(&error))?;
        self.subject.note_about(key, &format!("{} is stored below, beside the layer", shown(key)));
        Ok(())
    }

    /// The cursor behind the first artifact with this prefix, if there are more.
    pub(super) fn cursor(&self, prefix: &str) -> Option<String> {
        let call = Running::new(self.backend.call(Operation::List, prefix));
        on_this_thread(call.list_from(None, 1)).ok()?.1
    }

    /// Its artifacts must be these.
    pub(super) fn has(&self, expected: &Contents) -> Verdict {
        let seen = self.contents()?;
        if seen == *expected {
            return Ok(());
        }
        let differs = |key: &&String| seen.get(*key) != expected.get(*key);
        let named: BTreeSet<_> = seen.keys().chain(expected.keys()).filter(differs).collect();
        let change = |key: &String| match (expected.get(key), seen.get(key)) {
            (None, _) => format!("a new artifact {}", shown(key)),
            (_, None) => format!("{} is gone", shown(key)),
            _ => format!("{} has other bytes", shown(key)),
        };
        let changes: Vec<_> = named.into_iter().take(4).map(change).collect();
        Err(self.subject.fail("nothing is changed below", changes.join(", ")))
    }
}
