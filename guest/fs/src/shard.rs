//! The directories of the store: opening them without a trap, making them durably.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use artifact_store_backend::{Error, Result};

use crate::name::{Folder, SHARDS};
use crate::wasi::{Access, Called, Dir, ErrorCode, Failure, Kind, root};

/// How often a step is tried again whose directory somebody takes away meanwhile.
pub const ATTEMPTS: usize = 8;

/// Directories that this instance knows something about, which stays true until somebody removes
/// them, as this store never does: one bit for each shard, and one for `tmp`. Forgetting costs a
/// call, no more.
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

/// What was a directory when it was seen last.
static DIRECTORIES: Known = Known::new();

/// The shards, in their order; some may not be there.
pub async fn all() -> Result<Vec<Folder>> {
    // To try each is faster than to read them all again for every page of a listing.
    if DIRECTORIES.count() > u32::from(SHARDS / 2) {
        return Ok(Folder::shards().collect());
    }
    // Whatever has the name of a shard: what is no directory has to be told, not left out.
    let keep = |name: &str, kind| {
        let is_shard = matches!(Folder::parse(name), Some(Folder::Shard(_)));
        if is_shard && kind == Kind::Directory {
            DIRECTORIES.add(name);
        }
        is_shard
    };
    match root()?.names(false, &keep).await.whole() {
        // A foreign name in the root hides no shard: all are known by name.
        Err(failure) if failure.is_not_unicode() => Ok(Folder::shards().collect()),
        names => Ok(names?.iter().filter_map(|name| Folder::parse(name)).collect()),
    }
}

/// Opens a directory of the store, whose `root` this is; none where it was not made yet.
pub async fn open(root: &Dir, name: &str, access: Access) -> Called<Option<Dir>> {
    // WASI asks the system to open whatever has the name, and to open a pipe takes for ever.
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

/// Whether there is a directory `name`; a failure where there is something else.
async fn is_directory(root: &Dir, name: &str) -> Called<bool> {
    match root.look(name).await? {
        None => Ok(false),
        Some(stat) if stat.kind == Kind::Directory => Ok(true),
        Some(_) => Err(Failure { doing: "open", path: name.into(), code: ErrorCode::NotDirectory }),
    }
}

/// Opens a directory of the store and makes it where it is absent.
pub async fn make(name: &str) -> Result<Dir> {
    let root = root()?;
    for _ in 0..ATTEMPTS {
        if let Some(dir) = open(root, name, Access::Change).await? {
            return Ok(dir);
        }
        match root.create_dir(name).await {
            Err(failure) if failure.is_absent() => return Err(removed()),
            Err(failure) if !failure.is_taken() => return Err(failure.into()),
            // Where somebody else was faster, theirs is as good, and as new.
            _ => DURABLE.remove(name),
        }
    }
    Err(Failure { doing: "open", path: name.into(), code: ErrorCode::NoEntry }.into())
}

/// An error where the directory of the store was removed, which then looks empty.
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

/// Makes sure that the shard `name`, which exists, is there after a crash. Whoever made it may
/// not have come to this point, so each instance sees to it once.
pub async fn settle(name: &str) -> Result<()> {
    if !DURABLE.has(name) {
        root()?.sync().await?;
        DURABLE.add(name);
    }
    Ok(())
}
