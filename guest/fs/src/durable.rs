//! Which directories are known to be there after a crash: those whose names were synced, one by one
//! from the root, since they were made.
//!
//! A sweep removes directories, and who makes one again may be killed before it is durable. So each
//! sweep replaces a file, the mark, before it removes the first one; what was known before that is
//! forgotten. Where there is no mark, no sweep has removed anything yet. Where versions are used it
//! does the same before the first temporary, for whoever has lost sight of one.

use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::{Error, Result};

use crate::mark;
use crate::name::SWEPT;
use crate::runtime::Slot;
use crate::wasi::{Dir, File, Kind, root};

/// How many directories are known at most. Forgetting one costs a call, no more.
const MOST: usize = 1024;

static KNOWN: Slot<Known> = Slot::new();

struct Known {
    /// By a hash of each.
    paths: Vec<String>,
    /// As it was before any of them was opened.
    sweeps: Sweeps,
}

/// The mark, as it was once.
pub struct Sweeps(Option<File>);

impl Sweeps {
    /// The mark as it is.
    pub fn now() -> Result<Self> {
        let root = root()?;
        Ok(Self(match root.look(SWEPT)? {
            Some(stat) if stat.kind == Kind::File => Some(root.open_file(SWEPT)?),
            _ => None,
        }))
    }

    /// Whether no sweep has begun to remove something since.
    pub fn is_current(&self) -> Result<bool> {
        Ok(match &self.0 {
            // The file that was replaced has no name.
            Some(mark) => mark.stat()?.links > 0,
            None => root()?.look(SWEPT)?.is_none(),
        })
    }
}

fn slot(path: &str) -> usize {
    usize::try_from(checksum(path.as_bytes()) % MOST as u64).unwrap_or_default()
}

pub fn is_known(path: &str) -> bool {
    KNOWN.with(|known| known.as_ref().is_some_and(|known| known.paths[slot(path)] == path))
}

/// Whether the directory at `path`, which was opened before, is still durable.
pub fn is_still_known(path: &str) -> Result<bool> {
    let Some(known) = KNOWN.take() else { return Ok(false) };
    if known.sweeps.is_current()? {
        KNOWN.put(known);
        return Ok(is_known(path));
    }
    Ok(false)
}

/// To be called before the directories are opened that will be [`add`]ed.
pub fn begin() -> Result<()> {
    if let Some(known) = KNOWN.take()
        && known.sweeps.is_current()?
    {
        KNOWN.put(known);
        return Ok(());
    }
    let sweeps = Sweeps::now()?;
    let mut paths = Vec::new();
    paths.resize(MOST, String::new());
    KNOWN.put(Known { paths, sweeps });
    Ok(())
}

/// The directory at `path` has become durable.
pub fn add(path: &str) {
    set(path, path.into());
}

/// The directory at `path` is new.
pub fn forget(path: &str) {
    if is_known(path) {
        set(path, String::new());
    }
}

fn set(path: &str, entry: String) {
    KNOWN.with(|known| {
        if let Some(known) = known {
            known.paths[slot(path)] = entry;
        }
    });
}

/// Tells everybody that something is about to be removed: what is known is forgotten.
pub fn announce(temporaries: &Dir) -> Result<()> {
    match mark::make(temporaries, SWEPT) {
        // Where there is no room for a new one, that the old one goes tells the same.
        Err(Error::NoSpace(why)) => match root()?.unlink(SWEPT) {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::NoSpace(why)),
        },
        marked => marked,
    }
}
