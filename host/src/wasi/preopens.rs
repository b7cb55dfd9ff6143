//! The granted directories. They are opened once, when a backend is loaded, for all its instances
//! and both generations of WASI. Paths are never resolved again, so changing what a path names does
//! not change what a backend reaches.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::{Linker, Resource};
use wasmtime::error::Context as _;
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, Dir, OpenMode};
use wasmtime_wasi::{FsPerms, WasiView};

use super::HostState;
use crate::telemetry;

const P2: &str = "wasi:filesystem/preopens@0.2.12";
const P3: &str = "wasi:filesystem/preopens@0.3.0";
const GET_DIRECTORIES: &str = "get-directories";

/// All directories that one backend is granted.
#[derive(Default)]
pub(crate) struct Preopens {
    dirs: Vec<Preopen>,
    /// Whether the application has dropped the store: only calls that still run use them.
    is_leaving: AtomicBool,
}

/// One granted directory.
pub(crate) struct Preopen {
    /// Its absolute path when it was opened, links included.
    path: PathBuf,
    guest: String,
    dir: Dir,
    /// Whether it was reported that the path now names something else.
    is_told: AtomicBool,
}

impl Preopen {
    /// `path` is where `dir` was opened, and `guest` is its path in the component.
    pub(crate) fn new(path: PathBuf, guest: String, dir: File, writable: bool) -> Self {
        let (perms, mode) = match writable {
            true => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
            false => (FsPerms::ReadOnly, OpenMode::READ),
        };
        // Calls run on threads that may block.
        let dir = Dir::new(readable(dir), perms, mode, true);
        Self { path, guest, dir, is_told: AtomicBool::new(false) }
    }

    /// The directory that all instances share.
    pub(crate) fn file(&self) -> &File {
        &self.dir.dir
    }
}

/// The same directory, opened for reading if that is allowed: what was opened as a path only would
/// need one more open file for each sync, which a process that has no more would miss just when an
/// artifact is in its place.
#[cfg(unix)]
fn readable(dir: File) -> File {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(&dir, ".", flags, Mode::empty()).map_or(dir, File::from)
}

#[cfg(not(unix))]
fn readable(dir: File) -> File {
    dir
}

impl Preopens {
    pub(crate) fn new(opened: Vec<Preopen>) -> Self {
        Self { dirs: opened, is_leaving: AtomicBool::new(false) }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Preopen> {
        self.dirs.iter()
    }

    /// Only calls that have begun will still use them.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn are_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// One that was removed while it is open.
    pub(crate) fn removed(&self) -> Option<&Path> {
        let removed = self.dirs.iter().find(|preopen| is_removed(preopen.file()));
        removed.map(|preopen| &*preopen.path)
    }

    /// Reports, once for each directory, that its path names another directory or nothing: opening
    /// the path again does not find what this backend stores.
    pub(crate) fn look(&self) {
        for Preopen { path, dir, is_told, .. } in &self.dirs {
            if is_told.load(Ordering::Relaxed) {
                continue;
            }
            let Some(instead) = found_instead(path, &dir.dir) else { continue };
            if !is_told.swap(true, Ordering::Relaxed) {
                telemetry::moved(path, instead);
            }
        }
    }
}

/// What `path` names, if that is not `opened`. `None` if the path cannot be examined.
fn found_instead(path: &Path, opened: &File) -> Option<&'static str> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => Some("no directory"),
        Ok(found) => is_other(&found, opened).then_some("another directory"),
        Err(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                .then_some("no directory")
        }
    }
}

#[cfg(unix)]
fn is_other(found: &std::fs::Metadata, opened: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |about: &std::fs::Metadata| (about.dev(), about.ino());
    opened.metadata().is_ok_and(|opened| id(&opened) != id(found))
}

#[cfg(unix)]
fn is_removed(opened: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    opened.metadata().is_ok_and(|opened| opened.nlink() == 0)
}

#[cfg(not(unix))]
fn is_removed(_: &File) -> bool {
    false
}

/// On Windows an open directory can be neither renamed nor removed.
#[cfg(not(unix))]
fn is_other(_: &std::fs::Metadata, _: &File) -> bool {
    false
}

/// Replaces the directories that wasmtime would open for each instance by the open ones.
pub(crate) fn link(linker: &mut Linker<HostState>) -> Result<()> {
    for generation in [P2, P3] {
        linker.instance(generation)?.func_wrap(
            GET_DIRECTORIES,
            |mut store: StoreContextMut<'_, HostState>, (): ()| {
                Ok((directories(store.data_mut())?,))
            },
        )?;
    }
    Ok(())
}

fn directories(state: &mut HostState) -> Result<Vec<(Resource<Descriptor>, String)>> {
    let preopens = Arc::clone(&state.preopens);
    let table = state.ctx().table;
    let pushed = preopens.iter().map(|Preopen { guest, dir, .. }| {
        let descriptor = table.push(Descriptor::Dir(dir.clone()));
        let descriptor =
            descriptor.with_context(|| format!("no handle is left for the directory `{guest}`"))?;
        Ok((descriptor, guest.clone()))
    });
    pushed.collect()
}
