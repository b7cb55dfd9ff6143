//! The directories of the store: opening them without a trap, creating them durably.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use artifact_store_backend::{Error, Result};

use crate::name::{Folder, SHARDS};
use crate::wasi::{Access, Called, Dir, ErrorCode, Failure, Kind, root};

/// How often a step is retried if its directory is removed meanwhile.
pub const ATTEMPTS: usize = 8;

/// What this instance knows about directories: one bit for each shard, and one for `tmp`. A bit
/// stays true until the directory is removed, which this store never does. Losing a bit only costs
/// a call.
struct Known([AtomicU64; SHARDS as usize / 64 + 1]);

impl Known {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; SHARDS as usize / 64 + 1])
    }

    fn has(&self, name: &str) -> bool {
        bit(name).is_some_and(|(at, bit)| self.0[at].load(Ordering::Relaxed) & bit != 0)
    }

    fn add(&self, name: &str) {
        if let Some((at, bit)) = bit(name) {
            self.0[at].fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn remove(&self, name: &str) {
        if let Some((at, bit)) = bit(name) {
            self.0[at].fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|bits| bits.load(Ordering::Relaxed).count_ones()).sum()
    }
}

fn bit(name: &str) -> Option<(usize, u64)> {
    let number = match Folder::parse(name)? {
        Folder::Shard(number) => number,
        Folder::Temporaries => SHARDS,
        Folder::Root => return None,
    };
    Some((usize::from(number / 64), 1 << (number % 64)))
}

/// The entries that were directories when last seen.
static DIRECTORIES: Known = Known::new();

/// The shards, in order; some may be absent.
pub async fn all() -> Result<Vec<Folder>> {
    // Trying each is faster than reading the root again for every page of a listing.
    if DIRECTORIES.count() > u32::from(SHARDS / 2) {
        return Ok(Folder::shards().collect());
    }
    // Every entry with the name of a shard is kept: one that is not a directory must be reported.
    let keep = |name: &str, kind| {
        let is_shard = matches!(Folder::parse(name), Some(Folder::Shard(_)));
        if is_shard && kind == Kind::Directory {
            DIRECTORIES.add(name);
        }
        is_shard
    };
    match root()?.names(false, &keep).await.whole() {
        // A foreign name in the root hides no shard: all names of shards are known.
        Err(failure) if failure.is_not_unicode() => Ok(Folder::shards().collect()),
        names => Ok(names?.iter().filter_map(|name| Folder::parse(name)).collect()),
    }
}

/// Opens a directory of the store with the root `root`; `None` if it was not created yet.
pub async fn open(root: &Dir, name: &str, access: Access) -> Called<Option<Dir>> {
    // WASI would open any entry with this name, and opening a pipe can take for ever.
    if !DIRECTORIES.has(name) && !is_directory(root, name).await? {
        return Ok(None);
    }
    match root.open_dir(name, access).await {
        Ok(dir) => {
            DIRECTORIES.add(name);
            Ok(Some(dir))
        }
        Err(failure) if failure.is_absent() => Ok(None),
        Err(failure) => {
            is_directory(root, name).await?;
            Err(failure)
        }
    }
}

/// Whether `name` is a directory; a failure if it is something else.
async fn is_directory(root: &Dir, name: &str) -> Called<bool> {
    match root.look(name).await? {
        None => Ok(false),
        Some(stat) if stat.kind == Kind::Directory => Ok(true),
        Some(_) => Err(Failure { doing: "open", path: name.into(), code: ErrorCode::NotDirectory }),
    }
}

/// Opens a directory of the store, and creates it if it is absent.
pub async fn make(name: &str) -> Result<Dir> {
    let root = root()?;
    for _ in 0..ATTEMPTS {
        if let Some(dir) = open(root, name, Access::Change).await? {
            return Ok(dir);
        }
        match root.create_dir(name).await {
            Err(failure) if failure.is_absent() => return Err(removed()),
            Err(failure) if !failure.is_taken() => return Err(failure.into()),
            // If another process has created it, it is as good, and as new.
            _ => DURABLE.remove(name),
        }
    }
    Err(Failure { doing: "open", path: name.into(), code: ErrorCode::NoEntry }.into())
}

/// An error if the directory of the store was removed, which would look empty.
pub async fn is_there() -> Result<()> {
    match root()?.stat().await?.links {
        0 => Err(removed()),
        _ => Ok(()),
    }
}

fn removed() -> Error {
    Error::Other("the directory of the store was removed".into())
}

/// Shards whose entry in the root is durable.
static DURABLE: Known = Known::new();

/// Makes sure that the existing shard `name` survives a crash. Its creator may not have done this,
/// so each instance does it once.
pub async fn settle(name: &str) -> Result<()> {
    if !DURABLE.has(name) {
        root()?.sync().await?;
        DURABLE.add(name);
    }
    Ok(())
}
