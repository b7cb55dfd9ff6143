//! Listing artifacts.

use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Instant, Result};

use super::{Step, Visit, Walk};
use crate::bindings::{Entry, Page};
use crate::header;
use crate::name::{self, Named};
use crate::read;
use crate::shard;
use crate::wasi::{self, Kind, may_have_changed};

/// One page of the artifacts whose keys begin with `prefix`. Damaged artifacts are left out, so
/// that the listing can continue; reading one by its key reports the damage.
pub async fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let before = last_put().await?;
    let mut replaced = may_have_changed(before, before);
    loop {
        let page = list_once(prefix, cursor, limit, replaced).await?;
        if replaced || !may_have_changed(before, last_put().await?) {
            return Ok(page);
        }
        replaced = true;
    }
}

/// When the last put was under way. Each put creates a temporary, and removes its name in the same
/// step that replaces another artifact.
async fn last_put() -> Result<Option<Instant>> {
    Ok(wasi::root()?.look(name::TEMPORARIES).await?.and_then(|stat| stat.modified))
}

async fn list_once(prefix: &str, cursor: Option<&str>, limit: u32, replaced: bool) -> Result<Page> {
    let mut walk = Walk::new(shard::all().await?, cursor, limit)?;
    walk.replaced = replaced;
    let mut entries = Vec::new();
    loop {
        let found = match walk.step(entries.len()).await {
            Step::Name => match walk.visit() {
                Some(visit) => entry(visit, prefix).await,
                None => break,
            },
            Step::Unlisted(failure) if failure.left_out() => Ok(None),
            // The entries there must not be left out silently.
            Step::Unlisted(failure) => Err(failure.into()),
            Step::End => break,
        };
        if !walk.add(&mut entries, found)? {
            break;
        }
    }
    if walk.dir.is_none() {
        shard::is_there().await?;
    }
    Ok(Page { entries, next: walk.next })
}

/// The artifact with this file name, if it is one and its key begins with `prefix`.
async fn entry(visit: Visit<'_>, prefix: &str) -> Result<Option<Entry>> {
    match name::parse(visit.dir_name, visit.file) {
        Named::Plain(key) if key.starts_with(prefix) => plain(visit, key).await,
        Named::Plain(_) | Named::Foreign => Ok(None),
        Named::Hashed => match read::open_in(visit.dir, visit.file, header::MAX_LEN).await {
            Ok(Some(found)) => {
                let place = name::place(&found.header.key);
                // A copy of an artifact under another name is not that artifact.
                let is_own = place.shard == visit.dir_name && place.file == visit.file;
                let is_asked = is_own && found.header.key.starts_with(prefix);
                let entry = Entry { size: found.header.size, key: found.header.key };
                Ok(is_asked.then_some(entry))
            }
            Ok(None) | Err(Error::Corrupt(_) | Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// The name spells out the key, and the key gives the length of the header: no need to open.
async fn plain(visit: Visit<'_>, key: String) -> Result<Option<Entry>> {
    let stat = visit.dir.look(visit.file).await?;
    let file = stat.filter(|stat| stat.kind == Kind::File);
    let size = file.and_then(|stat| stat.size.checked_sub(header::len(&key) as u64));
    Ok(size.map(|size| Entry { key, size }))
}
