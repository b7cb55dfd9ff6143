//! Listing artifacts.

use alloc::string::String;

use super::{Page, Visit, page};
use crate::component::{self, Entry, Error};
use crate::header;
use crate::name::{self, Named};
use crate::read;
use crate::shard;
use crate::wasi::{Failure, Kind, Result};

/// One page of the artifacts whose keys begin with `prefix`. What is damaged is left out, so
/// that the listing goes on; reading it by its key says what is wrong.
pub async fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<component::Page> {
    let shards = shard::all().await?;
    let entry = async |visit: Visit<'_>| entry(visit, prefix).await;
    // What lies behind a name that cannot be read must not be left out in silence.
    let unlisted = |_: &str, failure: Failure| match failure.left_out() {
        true => Ok(None),
        false => Err(failure.into()),
    };
    let Page { items, next } = page(shards, cursor, limit, entry, unlisted).await?;
    Ok(component::Page { entries: items, next })
}

/// The artifact under a name, if it is one and its key begins with `prefix`.
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

/// The name spells out the key, and the key says how long the header is: no need to open.
async fn plain(visit: Visit<'_>, key: String) -> Result<Option<Entry>> {
    let stat = visit.dir.look(visit.file).await?;
    let file = stat.filter(|stat| stat.kind == Kind::File);
    let size = file.and_then(|stat| stat.size.checked_sub(header::len(&key) as u64));
    Ok(size.map(|size| Entry { key, size }))
}
