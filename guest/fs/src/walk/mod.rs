//! Going through the store page by page: directory after directory, and within each by name,
//! so that a cursor is a place, and stays one when what lay there is gone.

mod audit;
mod list;
mod sweep;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

pub use audit::audit;
pub use list::list;
pub use sweep::sweep;

use crate::component::Error;
use crate::name::Folder;
use crate::shard;
use crate::wasi::{Access, Dir, Failure, Names, Result};

/// Items of a page where the caller names no number, and the most of any page.
const PAGE: usize = 1000;

/// After how many names a call ends its page at the next directory. Who looks for a rare
/// prefix among millions must not run into the caller's deadline.
const NAMES: usize = 20_000;

/// What one call found, and where the next one goes on.
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// A name that is being visited.
struct Visit<'a> {
    dir: &'a Dir,
    folder: Folder,
    dir_name: &'a str,
    file: &'a str,
}

/// One page of what `look` finds in the names of `folders`, sorted. The cursor is `directory/name`,
/// and what follows that name comes next. What it means where not all names of a directory can be
/// listed, `unlisted` says.
async fn page<T>(
    folders: Vec<Folder>,
    cursor: Option<&str>,
    limit: u32,
    look: impl AsyncFn(Visit<'_>) -> Result<Option<T>>,
    unlisted: impl Fn(&str, Failure) -> Result<Option<T>>,
) -> Result<Page<T>> {
    let limit = match usize::try_from(limit) {
        Ok(limit @ 1..PAGE) => limit,
        _ => PAGE,
    };
    let (from, last) = match cursor {
        Some(cursor) => position(cursor).ok_or_else(|| Error::Other("no such cursor".into()))?,
        None => (Folder::Root, ""),
    };
    let mut items = Vec::new();
    let seen = Cell::new(0);
    for folder in folders.into_iter().filter(|folder| *folder >= from) {
        let dir_name = &*folder.name();
        if seen.get() >= NAMES || items.len() == limit {
            return Ok(Page { items, next: Some(format!("{dir_name}/")) });
        }
        let after = if folder == from { last } else { "" };
        let dir = match shard::open(dir_name, Access::Read).await {
            Ok(Some(dir)) => dir,
            // What stands in the place of a directory holds no artifacts; an audit reports it.
            Ok(None) | Err(Error::Corrupt(_)) => continue,
            Err(error) => return Err(error),
        };
        let is_next = |name: &str| {
            seen.set(seen.get() + 1);
            name > after
        };
        let Names { sorted, ended } = dir.names(is_next).await;
        for file in sorted {
            let visit = Visit { dir: &dir, folder, dir_name, file: &file };
            items.extend(look(visit).await?);
            if items.len() == limit {
                return Ok(Page { items, next: Some(format!("{dir_name}/{file}")) });
            }
        }
        if let Err(failure) = ended {
            items.extend(unlisted(dir_name, failure)?);
        }
    }
    Ok(Page { items, next: None })
}

/// The directory and the name of a cursor.
fn position(cursor: &str) -> Option<(Folder, &str)> {
    let (dir, file) = cursor.split_once('/')?;
    (!file.contains('/')).then_some((Folder::parse(dir)?, file))
}
