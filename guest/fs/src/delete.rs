//! How an artifact goes: by its name, or where versions are used by a [claim](crate::claim).

use alloc::format;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Result};

use crate::claim::{At, Current, current};
use crate::commit::{CONTENDED, Temporary, busy, holder, open, settle};
use crate::folder;
use crate::header::Header;
use crate::name::{self, Holder, Place};
use crate::settings;
use crate::versions;
use crate::wasi::{self, Access, Called, Dir, Kind, by_anybody};

/// The file in the directory of a deletion.
pub const REMOVED: &str = "x";

/// Removes the artifact `key`, durably.
pub fn delete(key: &str, place: &Place) -> Result<()> {
    let durable = settings::is_durable()?;
    folder::is_of_this_layout()?;
    let respects = versions::are_used()?;
    let dir = match folder::open(&place.dir, Access::Change)? {
        Some(dir) => {
            if !respects || !remove_current(key, place, &dir, None)? {
                unlink(key, place, &dir)?;
            }
            dir
        }
        // A sweep may have removed the directory, which is not durable yet.
        None => folder::open_deepest(&place.dir)?,
    };
    // Where there is none, a deletion before this one may not be durable yet.
    settle(&dir, durable)?;
    if !respects && versions::are_used().map_err(open)? {
        // A change that replaces what was removed here may not have seen that it was.
        return Err(Error::Unavailable(format!(
            "`{place}` was removed while the first change of one version only was made"
        )));
    }
    Ok(())
}

/// Removes the artifact `key` in this version only, durably.
pub fn delete_if(key: &str, place: &Place, version: &str) -> Result<()> {
    let durable = settings::is_durable()?;
    folder::is_of_this_layout()?;
    let dir = match folder::open(&place.dir, Access::Change)? {
        Some(dir) => {
            remove_current(key, place, &dir, Some(version))?;
            dir
        }
        None => folder::open_deepest(&place.dir)?,
    };
    // Where there is none, a deletion before this one may not be durable yet.
    settle(&dir, durable)
}

/// Removes what lies at a place, unless that belongs to another key.
fn unlink(key: &str, place: &Place, dir: &Dir) -> Result<()> {
    if holder(dir, place, key)? != Holder::Twin {
        by_anybody(dir.unlink(&place.file))?;
    }
    Ok(())
}

/// Removes an artifact by a claim, if there is one, and only in the version `expected` if that is
/// given; false where something else is there, which has no generation.
fn remove_current(key: &str, place: &Place, dir: &Dir, expected: Option<&str>) -> Result<bool> {
    for _ in 0..CONTENDED {
        let version = match (current(key, place)?, expected) {
            (Current::Absent, _) => return Ok(true),
            (Current::Unreadable, None) => return Ok(false),
            (Current::Is(version), None) => version,
            (Current::Is(version), Some(expected)) if version == expected => {
                versions::begin()?;
                version
            }
            (_, Some(_)) => return Err(Error::ConditionFailed),
        };
        if remove(key, place, dir, &version)? {
            return Ok(true);
        }
    }
    Err(busy(place))
}

/// Removes the generation `version` of an artifact; whether it was that one which was there.
fn remove(key: &str, place: &Place, dir: &Dir, version: &str) -> Result<bool> {
    let temporary = Temporary::create()?;
    let generation = wasi::random();
    let header = Header { generation, ..temporary.header(key.into(), Vec::new()) };
    let at = At { key, place, dir, temporaries: &temporary.dir };
    let removed = temporary.bury(&at, version, &header);
    // Whoever takes this step first, it ends what is left of the claim.
    let _ = temporary.dir.remove_dir(&name::temporary(generation));
    temporary.discard();
    removed
}

impl Temporary {
    /// Moves the artifact into a directory that is named after the generation in `header`.
    fn bury(&self, at: &At<'_>, version: &str, header: &Header) -> Result<bool> {
        self.seal(header)?;
        let grave = name::temporary(header.generation);
        at.temporaries.create_dir(&grave)?;
        let grave = at.temporaries.open_dir(&grave, Access::Change)?;
        let Some(number) = at.claim(version, &self.name)? else { return Ok(false) };
        if at.is_current(version)? {
            match at.dir.take(&at.place.file, &grave, REMOVED) {
                Ok(()) => {}
                // Somebody has removed the directory.
                Err(failure) if failure.is_absent() => return Ok(false),
                Err(failure) => return Err(failure.into()),
            }
            grave.discard(REMOVED);
            at.clear(version, number);
            return Ok(true);
        }
        at.clear(version, number);
        Ok(false)
    }
}

/// Whether the directory `name` may be that of a deletion, by what is in it.
pub fn is_deletion(temporaries: &Dir, name: &str) -> Called<bool> {
    let names = temporaries.open_dir(name, Access::Read)?.some_names();
    Ok(names.iter().all(|(name, kind)| name == REMOVED && *kind != Kind::Directory))
}
