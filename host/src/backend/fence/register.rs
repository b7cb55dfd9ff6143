//! The grants of the backends that are open in this process.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::party::{Item, Kind, Party, What};
use super::system::{self, Mounts};
use crate::wasi::Preopens;

static REGISTER: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    party: Party,
    /// Dropped with the backend and all its instances.
    preopens: Weak<Preopens>,
}

/// Held while a backend is compared with the open ones and is added to them.
pub(super) struct Register(MutexGuard<'static, Vec<Entry>>);

pub(super) fn lock() -> Register {
    Register(REGISTER.lock().unwrap_or_else(|e| e.into_inner()))
}

impl Register {
    /// The open backends, with the present places of their directories: first those of stores, then
    /// those of stores that were dropped, which stay until their calls have ended.
    pub(super) fn parties(&mut self, mounts: &Mounts) -> (Vec<Party>, Vec<Party>) {
        self.0.retain(|entry| entry.preopens.strong_count() > 0);
        let (mut staying, mut leaving) = (Vec::new(), Vec::new());
        for Entry { party, preopens } in self.0.iter() {
            let Some(preopens) = preopens.upgrade() else { continue };
            let mut party = Party { kind: Kind::Open, ..party.clone() };
            let is_directory = |item: &&mut Item| matches!(item.what, What::Directory { .. });
            let directories = party.items.iter_mut().filter(is_directory);
            for (item, preopen) in directories.zip(preopens.iter()) {
                if let Some(at) = system::at(preopen.file()) {
                    // If the present place is known, the parents at the time of opening do not
                    // count.
                    if !mounts.of(&at).is_empty() {
                        item.way.place.ids.truncate(1);
                    }
                    item.way.place.at = Some(at);
                }
            }
            if preopens.are_leaving() { leaving.push(party) } else { staying.push(party) }
        }
        (staying, leaving)
    }

    pub(super) fn add(&mut self, party: Party, preopens: &Arc<Preopens>) {
        if !party.items.is_empty() {
            self.0.push(Entry { party, preopens: Arc::downgrade(preopens) });
        }
    }
}
