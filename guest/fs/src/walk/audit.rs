//! Looking for everything in the store that is not a sound artifact.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Result};

use super::window::View;
use super::{Step, Trouble, Walk};
use crate::bindings::{Finding, FindingKind, Findings};
use crate::delete::is_deletion;
use crate::folder;
use crate::header;
use crate::name::{self, Folder, MARKS, Named, TEMPORARIES};
use crate::read;
use crate::wasi::{Dir, Kind, Stat};

/// One page of what is no sound artifact. Headers are verified, payloads are not.
pub fn audit(cursor: Option<&str>, limit: u32) -> Result<Findings> {
    folder::is_of_this_layout()?;
    let mut walk = Walk::page(View::Everything, Folder::default(), cursor, limit)?;
    let mut items = Vec::new();
    loop {
        let found = match walk.step(items.len()) {
            Ok(Step::Item(item)) => examine(&mut walk, &item.order),
            Ok(Step::Unlisted(path, trouble)) => Ok(Some(unlisted(&path, trouble))),
            Ok(Step::Empty(..) | Step::Folded(_)) => Ok(None),
            Ok(Step::End) => break,
            Err(error) => Err(error),
        };
        if !walk.add(&mut items, found)? {
            break;
        }
    }
    Ok(Findings { items, next: walk.end() })
}

/// A directory of this store of which not all can be listed.
fn unlisted(path: &str, trouble: Trouble) -> Finding {
    let (kind, detail) = match trouble {
        Trouble::Names(detail) => (FindingKind::Foreign, detail),
        Trouble::Place => {
            (FindingKind::Damaged, "stands in the place of a directory of this store".into())
        }
    };
    let name = if path.is_empty() { "." } else { path };
    Finding { kind, name: name.into(), size: None, modified: None, detail }
}

/// What is to be said about a name; nothing where it has gone meanwhile.
fn examine(walk: &mut Walk<'_>, name: &str) -> Result<Option<Finding>> {
    let Some((folder, dir)) = walk.here()? else { return Ok(None) };
    let Some(stat) = dir.look(name)? else { return Ok(None) };
    let said = match &*folder.path {
        TEMPORARIES => in_temporaries(dir, name, &stat)?,
        "" if MARKS.contains(&name) && stat.kind == Kind::File => None,
        _ => artifact(dir, folder, name, &stat)?,
    };
    Ok(said.map(|(kind, detail)| Finding {
        kind,
        name: name::join(&folder.path, name),
        size: (stat.kind == Kind::File).then_some(stat.size),
        modified: stat.modified,
        detail,
    }))
}

type Said = Option<(FindingKind, String)>;

fn in_temporaries(dir: &Dir, file: &str, stat: &Stat) -> Result<Said> {
    let what = match stat.kind {
        Kind::File if name::is_temporary(file) => "an unfinished write",
        Kind::File if name::claimed(file).is_some() => "a change that claims an artifact",
        Kind::Directory if name::is_temporary(file) && is_deletion(dir, file)? => {
            "an unfinished deletion"
        }
        _ => return Ok(foreign("no unfinished write of this store")),
    };
    Ok(Some((FindingKind::Temporary, what.into())))
}

fn artifact(dir: &Dir, folder: &Folder, file: &str, stat: &Stat) -> Result<Said> {
    let subject = match folder.parse(file) {
        Named::File(rest) => format!("the artifact `{}{rest}`", folder.key),
        Named::Hashed(_) => "an artifact with a long key".into(),
        Named::Folder(_) | Named::Foreign => {
            return Ok(foreign("no name that this store gives to anything in this directory"));
        }
    };
    let damaged = |why: &str| Some((FindingKind::Damaged, format!("{subject}: {why}")));
    if stat.kind != Kind::File {
        return Ok(damaged("it is no regular file"));
    }
    match read::open_in(dir, file, header::LIKELY_LEN) {
        Ok(Some(found)) => {
            let key = &found.header.key;
            let place = name::place(key);
            Ok(match place.file == file {
                true if place.dir == folder.path => None,
                // A copy in another directory, whose name is that of no other key.
                true if place.is_hashed() => {
                    foreign(&format!("the artifact `{key}`, whose place is `{place}`"))
                }
                // The artifact that has this name is lost.
                _ => damaged(&format!("the file says that it is `{key}`")),
            })
        }
        // A newer version's artifact is whole, as far as can be told here.
        Ok(None) | Err(Error::Unsupported(_)) => Ok(None),
        Err(Error::Corrupt(why)) => Ok(damaged(&why)),
        Err(error) => Err(error),
    }
}

fn foreign(detail: &str) -> Said {
    Some((FindingKind::Foreign, detail.into()))
}
