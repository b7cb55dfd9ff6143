//! Finding everything in the store that is not a sound artifact.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Result};

use super::{Step, Visit, Walk};
use crate::bindings::{Finding, FindingKind, Findings};
use crate::header;
use crate::name::{self, Folder, Named};
use crate::read;
use crate::shard;
use crate::wasi::{ErrorCode, Failure, Kind, Stat};

/// One page of the findings. Headers are verified, payloads are not.
pub async fn audit(cursor: Option<&str>, limit: u32) -> Result<Findings> {
    let mut folders = vec![Folder::Root];
    folders.extend(shard::all().await?);
    folders.push(Folder::Temporaries);
    let mut walk = Walk::new(folders, cursor, limit)?;
    let mut items = Vec::new();
    loop {
        let found = match walk.step(items.len()).await {
            Step::Name => match walk.visit() {
                Some(visit) => examine(visit).await,
                None => break,
            },
            Step::Unlisted(failure) => unlisted(&walk.folder_name, failure).map(Some),
            Step::End => break,
        };
        if !walk.add(&mut items, found)? {
            break;
        }
    }
    Ok(Findings { items, next: walk.next })
}

/// The finding for a directory of this store that cannot be listed completely: it has a name that
/// is not UTF-8, which the host reports or stops at, or it is not a directory.
fn unlisted(dir: &str, failure: Failure) -> Result<Finding> {
    let (kind, detail) = match failure.code {
        ErrorCode::Other(Some(left_out)) => (FindingKind::Foreign, left_out),
        ErrorCode::IllegalByteSequence => {
            (FindingKind::Foreign, "holds a name that is not UTF-8 and is not listed".into())
        }
        ErrorCode::NotDirectory | ErrorCode::Loop => {
            (FindingKind::Damaged, "stands in the place of a directory of this store".into())
        }
        _ => return Err(failure.into()),
    };
    Ok(Finding { kind, name: dir.into(), size: None, modified: None, detail })
}

/// The finding for a name; `None` if it is gone, or if it is sound.
async fn examine(visit: Visit<'_>) -> Result<Option<Finding>> {
    let Some(stat) = visit.dir.look(visit.file).await? else { return Ok(None) };
    let said = match visit.folder {
        // An entry with the name of a directory of this store is visited or reported elsewhere.
        Folder::Root if Folder::parse(visit.file).is_some() => None,
        Folder::Root => foreign("not a file or directory of this store"),
        Folder::Temporaries => in_temporaries(visit.file, &stat),
        Folder::Shard(_) => in_shard(&visit, &stat).await?,
    };
    Ok(said.map(|(kind, detail)| Finding {
        kind,
        name: match visit.folder {
            Folder::Root => visit.file.into(),
            _ => format!("{}/{}", visit.dir_name, visit.file),
        },
        size: (stat.kind == Kind::File).then_some(stat.size),
        modified: stat.modified,
        detail,
    }))
}

type Said = Option<(FindingKind, String)>;

fn in_temporaries(file: &str, stat: &Stat) -> Said {
    if name::is_temporary(file) && stat.kind == Kind::File {
        Some((FindingKind::Temporary, "an unfinished write".into()))
    } else {
        foreign("not an unfinished write of this store")
    }
}

async fn in_shard(visit: &Visit<'_>, stat: &Stat) -> Result<Said> {
    let named = name::parse(visit.dir_name, visit.file);
    if named == Named::Foreign {
        return Ok(foreign("not a name that this store gives to a file in this directory"));
    }
    let damaged = |why: &str| match &named {
        Named::Plain(key) => Some((FindingKind::Damaged, format!("the artifact `{key}`: {why}"))),
        _ => Some((FindingKind::Damaged, format!("an artifact with a long key: {why}"))),
    };
    if stat.kind != Kind::File {
        return Ok(damaged("it is not a regular file"));
    }
    match read::open_in(visit.dir, visit.file, header::MAX_LEN).await {
        Ok(Some(found)) => {
            let key = &found.header.key;
            let place = name::place(key);
            let is_own = place.shard == visit.dir_name && place.file == visit.file;
            Ok(match &named {
                _ if is_own => None,
                // A copy, in the wrong directory.
                _ if place.file == visit.file => {
                    foreign(&format!("the artifact `{key}`, which belongs in `{place}`"))
                }
                // The artifact with this name is lost.
                _ => damaged(&format!("the file states the key `{key}`")),
            })
        }
        // An artifact of a newer version counts as sound.
        Ok(None) | Err(Error::Unsupported(_)) => Ok(None),
        Err(Error::Corrupt(why)) => Ok(damaged(&why)),
        Err(error) => Err(error),
    }
}

fn foreign(detail: &str) -> Said {
    Some((FindingKind::Foreign, detail.into()))
}
