//! Listing: shard after shard, and within each by name, so that a cursor is a place.

use wit_bindgen::StreamResult;

use crate::component::{Entry, Error, Page};
use crate::header;
use crate::name::{self, Named};
use crate::read;
use crate::wasi::{self, Descriptor, DescriptorType, ErrorCode, Result};

/// Entries of a page where the caller names no number, and the most of any page.
const PAGE: usize = 1000;

/// One page of the artifacts whose keys begin with `prefix`. The cursor is the file name
/// after which it goes on, `shard/file`; the file itself may be gone.
pub async fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let limit = match usize::try_from(limit) {
        Ok(limit @ 1..PAGE) => limit,
        _ => PAGE,
    };
    let (from_shard, mut after) = match cursor {
        Some(cursor) => match cursor.split_once('/') {
            Some((shard, file)) if name::is_shard(shard) => (shard, file),
            _ => return Err(Error::Other(format!("`{cursor}` is no cursor of a listing"))),
        },
        None => ("", ""),
    };
    let mut entries = Vec::new();
    for shard in names(wasi::root()?, "/").await? {
        if !name::is_shard(&shard) || shard.as_str() < from_shard {
            continue;
        }
        if shard != from_shard {
            after = "";
        }
        let Some(dir) = open(&shard).await? else { continue };
        for file in names(&dir, &shard).await? {
            if file.as_str() <= after {
                continue;
            }
            let Some(entry) = entry(&dir, &file, prefix).await? else { continue };
            entries.push(entry);
            if entries.len() == limit {
                return Ok(Page { entries, next: Some(format!("{shard}/{file}")) });
            }
        }
    }
    Ok(Page { entries, next: None })
}

/// A shard that is no directory of ours holds no artifacts.
async fn open(shard: &str) -> Result<Option<Descriptor>> {
    match wasi::open_dir(wasi::root()?, shard).await {
        Ok(dir) => Ok(Some(dir)),
        Err(ErrorCode::NoEntry | ErrorCode::NotDirectory | ErrorCode::Loop) => Ok(None),
        Err(error) => Err(wasi::explain("open", shard, error)),
    }
}

/// The artifact in `file`, if it is one and its key begins with `prefix`. What is damaged is
/// left out, so that the listing goes on; reading it by its key says what is wrong.
async fn entry(dir: &Descriptor, file: &str, prefix: &str) -> Result<Option<Entry>> {
    match name::parse(file) {
        Named::Foreign => Ok(None),
        Named::Plain(key) if !key.starts_with(prefix) => Ok(None),
        Named::Plain(key) => {
            // The name spells out the key, and the key says how long the header is.
            let stat = wasi::look(dir, file).await?;
            let file = stat.filter(|stat| matches!(stat.type_, DescriptorType::RegularFile));
            let size = file.and_then(|stat| stat.size.checked_sub(header::len(&key) as u64));
            Ok(size.map(|size| Entry { key, size }))
        }
        Named::Hashed => match read::open_in(dir, file, header::MAX_LEN).await {
            Ok(Some(found)) if found.header.key.starts_with(prefix) => {
                Ok(Some(Entry { key: found.header.key, size: found.header.size }))
            }
            Ok(_) | Err(Error::Corrupt(_) | Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// All names in a directory, sorted.
async fn names(dir: &Descriptor, what: &str) -> Result<Vec<String>> {
    let (mut stream, outcome) = dir.read_directory();
    let mut names = Vec::new();
    loop {
        let (how, batch) = stream.read(Vec::with_capacity(256)).await;
        names.extend(batch.into_iter().map(|entry| entry.name));
        if let StreamResult::Dropped | StreamResult::Cancelled = how {
            break;
        }
    }
    outcome.await.map_err(|e| wasi::explain("list", what, e))?;
    names.sort_unstable();
    Ok(names)
}
