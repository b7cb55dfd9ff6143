//! The behaviours: which backend misbehaves, by way of which call, how, and what may come of it.

mod answers;
mod bare;
mod machine;
mod time;
mod wasi;
mod web;

pub use bare::code as bare_code;

use crate::judge;

/// The call that brings a behaviour about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Opens the store, and gets something where that is possible.
    Open,
    /// Puts 1 MiB.
    Put,
    /// The same, where there is nothing yet.
    Create,
    /// Writes 3 MiB by a stream.
    Write,
    /// Begins to, and gives up.
    WriteSome,
    Get,
    /// Reads from an offset, as many bytes as are named, or all.
    Read(u64, Option<u64>),
    /// Begins to read, and gives up.
    ReadSome,
    Delete,
    Stat,
    List,
    Audit,
    Sweep,
}

/// The name of the backend in `guests/examples` or in `bare`, the call, its key or prefix (which for
/// an audit or sweep is in the file `/behaviour`), and the right outcomes.
type Row = (&'static str, Verb, &'static str, &'static str);

/// A row, that so many calls bring about at once.
#[derive(Clone, Copy)]
pub struct Behaviour {
    pub guest: &'static str,
    pub verb: Verb,
    pub key: &'static str,
    pub allowed: &'static str,
    pub at_once: usize,
}

impl Behaviour {
    pub fn name(&self) -> String {
        let Self { guest, verb, key, at_once, .. } = self;
        let times = if *at_once > 1 { format!(", {at_once} at once") } else { String::new() };
        format!("{guest} {verb:?} `{key}`{times}")
    }

    pub fn allows(&self, outcome: &str) -> bool {
        judge::allows(self.allowed, outcome)
    }
}

pub fn all() -> Vec<Behaviour> {
    let one = |row: &Row| {
        let (guest, verb, key, allowed) = *row;
        Behaviour { guest, verb, key, allowed, at_once: 1 }
    };
    let groups = [
        answers::ROWS,
        answers::PAGES,
        machine::ROWS,
        time::ROWS,
        wasi::FILES,
        wasi::ROWS,
        web::ROWS,
    ];
    let mut all: Vec<_> = groups.into_iter().flatten().map(one).collect();
    all.extend(bare::rows().iter().map(one));
    all.extend(
        time::AT_ONCE.iter().map(|(row, at_once)| Behaviour { at_once: *at_once, ..one(row) }),
    );
    all
}
