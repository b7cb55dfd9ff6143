//! Listing artifacts.

use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Info, Instant, Result};

use super::window::View;
use super::{Step, Walk};
use crate::bindings::{Entry, Page};
use crate::commit::has_attributes;
use crate::folder;
use crate::header;
use crate::name::{self, Folder};
use crate::read;
use crate::wasi::{self, Dir, Kind, may_have_changed};

/// One page of the artifacts whose keys begin with `prefix`, in the order of their keys. What is
/// damaged is left out, so that the listing goes on; reading it by its key says what is wrong.
pub fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let page = steady(|replaced, opens| list_once(prefix, cursor, limit, replaced, opens))?;
    if page.entries.is_empty() && page.next.is_none() {
        folder::is_a_store()?;
    }
    Ok(page)
}

/// The page that `once` makes, made again where what happened meanwhile makes it a wrong one. It is
/// told whether artifacts are being replaced and whether each has to be opened, and says whether it
/// has read directories.
pub fn steady<T>(once: impl Fn(bool, bool) -> Result<(T, bool)>) -> Result<T> {
    let before = last_put()?;
    let mut replaced = may_have_changed(before, before);
    let mut opens = has_attributes()?;
    loop {
        let (page, has_read) = once(replaced, opens)?;
        if !opens && has_attributes()? {
            // One of them may have come while this page was made.
            opens = true;
            continue;
        }
        if replaced || !has_read || !may_have_changed(before, last_put()?) {
            return Ok(page);
        }
        replaced = true;
    }
}

/// When a put was last under way. Each makes a temporary, and takes its name away in the very step
/// that replaces another one.
fn last_put() -> Result<Option<Instant>> {
    Ok(wasi::root()?.look(name::TEMPORARIES)?.and_then(|stat| stat.modified))
}

/// A page, and whether directories were read for it.
fn list_once(
    prefix: &str,
    cursor: Option<&str>,
    limit: u32,
    replaced: bool,
    opens: bool,
) -> Result<(Page, bool)> {
    let mut walk = Walk::page(View::Keys(prefix), Folder::of(prefix), cursor, limit)?;
    walk.replaced = replaced;
    let mut entries = Vec::new();
    loop {
        let found = match walk.step(entries.len()) {
            Ok(Step::Item(item)) => entry(&mut walk, &item.order, opens),
            Ok(Step::End) => break,
            Ok(Step::Empty(..) | Step::Folded(_) | Step::Unlisted(..)) => Ok(None),
            Err(error) => Err(error),
        };
        if !walk.add(&mut entries, found)? {
            break;
        }
    }
    let has_read = walk.names > 0;
    Ok((Page { entries, next: walk.end() }, has_read))
}

/// The artifact whose key has `rest` behind that of its directory, if it is one.
pub fn entry(walk: &mut Walk<'_>, rest: &str, opens: bool) -> Result<Option<Entry>> {
    match walk.here()? {
        Some((folder, dir)) => entry_in(folder, dir, rest, opens),
        None => Ok(None),
    }
}

/// As [`entry`], in this directory.
pub fn entry_in(folder: &Folder, dir: &Dir, rest: &str, opens: bool) -> Result<Option<Entry>> {
    let key = [&*folder.key, rest].concat();
    let file = folder.file(rest);
    if opens || name::is_hashed(&file) {
        in_header(dir, &file, key)
    } else {
        of_file(dir, &file, key)
    }
}

/// The name spells out the key, and the key says how long the header is: no need to open.
fn of_file(dir: &Dir, file: &str, key: String) -> Result<Option<Entry>> {
    let Some(stat) = dir.look(file)? else { return Ok(None) };
    let size = stat.size.checked_sub(header::len(&key) as u64);
    let size = size.filter(|_| stat.kind == Kind::File);
    Ok(size.map(|size| Entry { key, size, modified: stat.modified, version: None }))
}

fn in_header(dir: &Dir, file: &str, key: String) -> Result<Option<Entry>> {
    match read::open_in(dir, file, header::len(&key)) {
        Ok(found) => {
            let found = found.filter(|found| found.header.key == key);
            Ok(found.map(|found| {
                let Info { size, modified, version, .. } = found.info;
                Entry { key, size, modified, version }
            }))
        }
        Err(Error::Corrupt(_) | Error::Unsupported(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
