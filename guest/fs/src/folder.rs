//! The directories of the store: opening them without a trap, making them durably.

use alloc::format;
use alloc::string::String;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use artifact_store_backend::name::is_hex;
use artifact_store_backend::{Error, Result};

use crate::durable;
use crate::name::TEMPORARIES;
use crate::settings;
use crate::wasi::{Access, Called, Dir, ErrorCode, Failure, Kind, root};

/// How often a step is tried again whose directory somebody takes away meanwhile.
pub const ATTEMPTS: usize = 64;

/// An open directory: the root, which is always open, or another one.
pub enum Opened {
    Root(&'static Dir),
    Below(Dir),
}

impl Deref for Opened {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Self::Root(dir) => dir,
            Self::Below(dir) => dir,
        }
    }
}

/// Opens the directory at `path`, or the root where that is empty; none where there is none.
pub fn open(path: &str, access: Access) -> Result<Option<Opened>> {
    let root = root()?;
    if path.is_empty() {
        return Ok(Some(Opened::Root(root)));
    }
    if !settings::looks()? {
        match root.open_dir(path, access) {
            Ok(dir) => return Ok(Some(Opened::Below(dir))),
            Err(failure) if failure.is_absent() => return Ok(None),
            // Name by name it shows what is wrong where.
            Err(_) => {}
        }
    }
    let mut dir = Opened::Root(root);
    for name in path.split('/') {
        match open_in(&dir, name, access)? {
            Some(child) => dir = Opened::Below(child),
            None => return Ok(None),
        }
    }
    Ok(Some(dir))
}

/// Opens the directory `name`; none where there is none.
fn open_in(dir: &Dir, name: &str, access: Access) -> Result<Option<Dir>> {
    // WASI asks the system to open whatever has the name, and to open a pipe takes for ever.
    if settings::looks()? && !is_directory(dir, name)? {
        return Ok(None);
    }
    match dir.open_dir(name, access) {
        Ok(dir) => Ok(Some(dir)),
        Err(failure) if failure.is_absent() => Ok(None),
        Err(failure) => {
            is_directory(dir, name)?;
            Err(failure.into())
        }
    }
}

/// Whether there is a directory `name`; a failure where there is something else.
fn is_directory(dir: &Dir, name: &str) -> Called<bool> {
    match dir.look(name)? {
        None => Ok(false),
        Some(stat) if stat.kind == Kind::Directory => Ok(true),
        Some(_) => {
            Err(Failure { doing: "open", path: dir.join(name), code: ErrorCode::NotDirectory })
        }
    }
}

/// Opens the directory of unfinished writes, and makes it where it is absent. It need not be
/// durable: nothing in it is to outlive a crash.
pub fn temporaries() -> Result<Opened> {
    make(TEMPORARIES, false)
}

/// Opens a directory of the store, and makes it where it is absent. If it is to be durable, it is
/// there after a crash, with all directories that it is in.
pub fn make(path: &str, durable: bool) -> Result<Opened> {
    for _ in 0..ATTEMPTS {
        let opened = match durable && !path.is_empty() && !durable::is_known(path) {
            true => make_all(path, durable)?,
            false => match open(path, Access::Change)? {
                Some(dir) => Some(dir),
                None => make_all(path, durable)?,
            },
        };
        // What was known may have been removed since, and made by another one that did not live
        // to make it durable.
        if let Some(dir) = opened
            && (!durable || path.is_empty() || durable::is_still_known(path)?)
        {
            return Ok(dir);
        }
    }
    Err(Failure { doing: "open", path: path.into(), code: ErrorCode::NoEntry }.into())
}

/// Opens a directory below the root, name by name, and makes what is absent; none where somebody
/// removes one meanwhile.
fn make_all(path: &str, durable: bool) -> Result<Option<Opened>> {
    if durable {
        durable::begin()?;
    }
    let mut dir = Opened::Root(root()?);
    let mut end = 0;
    for name in path.split('/') {
        end += name.len();
        let place = path.get(..end).unwrap_or_default();
        let mut child = open_in(&dir, name, Access::Change)?;
        if child.is_none() {
            match dir.create_dir(name) {
                Err(failure) if failure.is_absent() => {
                    return match dir {
                        Opened::Root(_) => Err(removed()),
                        Opened::Below(_) => Ok(None),
                    };
                }
                Err(failure) if !failure.is_taken() => return Err(failure.into()),
                // Where somebody else was faster, theirs is as good, and as new.
                _ => durable::forget(place),
            }
            child = open_in(&dir, name, Access::Change)?;
        }
        let Some(child) = child else { return Ok(None) };
        // Whoever made it may not have come to this point, so each instance sees to it once.
        if durable && !durable::is_known(place) {
            dir.sync()?;
            durable::add(place);
        }
        dir = Opened::Below(child);
        end += 1;
    }
    Ok(Some(dir))
}

/// The directory at `path`, or where there is none the deepest of those that it would be in.
pub fn open_deepest(mut path: &str) -> Result<Opened> {
    while !path.is_empty() {
        if let Some(dir) = open(path, Access::Change)? {
            return Ok(dir);
        }
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    Ok(Opened::Root(root()?))
}

/// An error where the directory looks empty and is no empty store: it was removed, or is of another
/// layout.
pub fn is_a_store() -> Result<()> {
    is_of_this_layout()?;
    is_there()
}

/// An error where the directory of the store was removed, which then looks empty.
fn is_there() -> Result<()> {
    match root()?.stat()?.links {
        0 => Err(removed()),
        _ => Ok(()),
    }
}

fn removed() -> Error {
    Error::Other("the directory of the store was removed".into())
}

/// An error where the directory holds a store as versions before the first release made it: what is
/// in it must not look absent. To be asked where something is not found, and before a change.
pub fn is_of_this_layout() -> Result<()> {
    static IS_KNOWN: AtomicBool = AtomicBool::new(false);
    if IS_KNOWN.load(Ordering::Relaxed) {
        return Ok(());
    }
    let is_old = |name: &String| name.len() == 3 && is_hex(name);
    let is_ours = |name: &String| name.starts_with(['_', ',']);
    let names = root()?.some_names();
    let dirs = || names.iter().filter(|(_, kind)| *kind == Kind::Directory).map(|(name, _)| name);
    if let Some(old) = dirs().find(|name| is_old(name))
        && !names.iter().any(|(name, _)| is_ours(name))
        && let Some(dir) = open(old, Access::Read)?
        && dir.some_names().iter().any(|(name, _)| name.starts_with(['_', '@']))
    {
        return Err(Error::Unsupported(format!(
            "the directory holds a store in the layout of versions before 0.1, with directories \
             such as `{old}`: copy it with such a version"
        )));
    }
    IS_KNOWN.store(true, Ordering::Relaxed);
    Ok(())
}
