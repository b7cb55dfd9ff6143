//! Directories identified by handles of Linux, which a rename does not change.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, fstatfs, openat, readlinkat};
use rustix::io::Errno;

use super::place::{At, Id, Place};
use super::way::{self, Found, System, Way};

pub(super) use super::mounts::{Device, Mounts, Region};

/// The longest chain of parents that is followed. Chains end at the root long before.
const DEPTH: usize = 4096;

/// How often a path is followed again if others change it meanwhile.
const TRIES: usize = 16;

/// `/proc`, whose links need not lead where their text says.
const PROC: u64 = 0x9fa0;

/// A handle for a file or directory that neither reads it nor acts on it.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const FILE: OFlags = HANDLE.union(OFlags::NOFOLLOW);
const DIRECTORY: OFlags = FILE.union(OFlags::DIRECTORY);

/// Opens a directory, in the way in which wasmtime opens granted ones, and returns the way that led
/// there.
pub(super) fn open_dir(path: &Path) -> io::Result<(File, Way)> {
    let mut why = io::Error::other("its path keeps leading elsewhere");
    for _ in 0..TRIES {
        // The system decides in the end: its refusals are final.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags((OFlags::PATH | OFlags::DIRECTORY).bits() as i32);
        let opened = options.open(path)?;
        match follow(path) {
            Ok(way) if way.place.id() == Some(id(opened.as_fd())?) => return Ok((opened, way)),
            // The path was changed meanwhile.
            Ok(_) => {}
            Err(error) => why = error,
        }
    }
    Err(why)
}

pub(super) fn follow(path: &Path) -> io::Result<Way> {
    way::follow::<Linux>(path)
}

/// The present place of an open directory. Finding it does not access the filesystem, which may not
/// answer.
pub(super) fn at(dir: &File) -> Option<At> {
    at_of(dir.as_fd())
}

struct Linux;

impl System for Linux {
    type Item = OwnedFd;

    fn here() -> io::Result<(OwnedFd, PathBuf)> {
        let here = openat(CWD, ".", DIRECTORY, Mode::empty())?;
        Ok((here, std::env::current_dir().unwrap_or_default()))
    }

    fn root(path: &Path) -> io::Result<OwnedFd> {
        Ok(openat(CWD, path, DIRECTORY, Mode::empty())?)
    }

    fn up(dir: &OwnedFd) -> io::Result<OwnedFd> {
        Ok(openat(dir, "..", DIRECTORY, Mode::empty())?)
    }

    fn find(dir: &OwnedFd, name: &OsStr) -> io::Result<Found<OwnedFd>> {
        match openat(dir, name, DIRECTORY, Mode::empty()) {
            Ok(dir) => return Ok(Found::Directory(dir)),
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error.into()),
        }
        let target = match readlinkat(dir, name, Vec::new()) {
            Ok(target) => target,
            // Neither a link nor a directory.
            Err(Errno::INVAL) => {
                return Ok(Found::File(openat(dir, name, FILE, Mode::empty())?));
            }
            Err(error) => return Err(error.into()),
        };
        if fstatfs(dir)?.f_type as u64 == PROC {
            return jump(openat(dir, name, HANDLE, Mode::empty())?);
        }
        Ok(Found::Link(PathBuf::from(OsStr::from_bytes(target.as_bytes()))))
    }

    fn place(dir: &OwnedFd, file: Option<&OwnedFd>) -> io::Result<Place> {
        let mut ids = chain(dir.as_fd())?;
        if let Some(file) = file {
            ids.insert(0, id(file.as_fd())?);
        }
        let device = ids.first().map(|Id(device, _)| number_of(*device));
        Ok(Place { ids, at: at_of(file.unwrap_or(dir).as_fd()), device })
    }
}

/// The target of a link of `/proc`, whose text need not name it.
fn jump(found: OwnedFd) -> io::Result<Found<OwnedFd>> {
    let path = at_of(found.as_fd()).map(|at| at.path).unwrap_or_default();
    let found = match openat(&found, ".", DIRECTORY, Mode::empty()) {
        Ok(dir) => Found::Directory(dir),
        Err(Errno::NOTDIR) => Found::File(found),
        Err(error) => return Err(error.into()),
    };
    Ok(Found::Jump(Box::new(found), path))
}

/// A directory and its parents. If a parent cannot be entered, the chain ends there.
fn chain(dir: BorrowedFd<'_>) -> io::Result<Vec<Id>> {
    let mut ids = vec![id(dir)?];
    let root = id(Linux::root(Path::new("/"))?.as_fd())?;
    let mut above = openat(dir, "..", DIRECTORY, Mode::empty());
    while let Ok(dir) = above
        && ids.last() != Some(&root)
        && ids.len() < DEPTH
    {
        ids.push(id(dir.as_fd())?);
        above = openat(&dir, "..", DIRECTORY, Mode::empty());
    }
    Ok(ids)
}

/// The number of a filesystem, in the format of `/proc/self/mountinfo`.
fn number_of(device: u64) -> Device {
    format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device)).into_bytes()
}

fn id(file: BorrowedFd<'_>) -> io::Result<Id> {
    let about = fstat(file)?;
    Ok(Id(about.st_dev, about.st_ino))
}

/// The place according to `/proc`; `None` if there is no `/proc`.
fn at_of(file: BorrowedFd<'_>) -> Option<At> {
    // Of this thread: the first thread of the process may have ended.
    let (proc, file) = (Path::new("/proc/thread-self"), file.as_raw_fd().to_string());
    let about = std::fs::read_to_string(proc.join("fdinfo").join(&file)).ok()?;
    let mount = about.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()?;
    let path = std::fs::read_link(proc.join("fd").join(&file)).ok()?;
    Some(At { mount, path })
}
