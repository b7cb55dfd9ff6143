//! Operations on names below a granted directory.
//!
//! All names of a path but the last lead to a directory, which is opened without leaving the
//! granted one. The system gets the last name unchanged, and does not follow it if it is a link.
//! None of these operations opens the file with the last name, so pipes and devices are not
//! touched.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timestamps, fstat, futimens, linkat, mkdirat,
    readlinkat, renameat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, Dir};

use super::Links;
use super::errno::{Called, Code, Refusal};
use super::resolve::{self, path_only};

pub(super) type Fd = Resource<Descriptor>;

/// The directory behind a handle.
pub(super) fn dir<'a>(table: &'a ResourceTable, fd: &Fd) -> Called<&'a Dir> {
    match table.get(fd)? {
        Descriptor::Dir(dir) => Ok(dir),
        Descriptor::File(_) => Err(Code::NotDirectory.into()),
    }
}

/// The same, if the grant permits changes.
fn changeable<'a>(table: &'a ResourceTable, fd: &Fd) -> Called<&'a Dir> {
    let dir = dir(table, fd)?;
    match dir.perms.write_not_permitted() {
        true => Err(Code::NotPermitted.into()),
        false => Ok(dir),
    }
}

pub(super) fn create_directory(table: &ResourceTable, fd: &Fd, path: &str) -> Called<()> {
    let dir = changeable(table, fd)?;
    let (parent, name) = parent(&dir.dir, without_slash(path))?;
    Ok(mkdirat(parent, name, Mode::from_raw_mode(0o777))?)
}

pub(super) fn remove_directory(table: &ResourceTable, fd: &Fd, path: &str) -> Called<()> {
    let dir = changeable(table, fd)?;
    let (parent, name) = parent(&dir.dir, without_slash(path))?;
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

pub(super) fn unlink_file(table: &ResourceTable, fd: &Fd, path: &str) -> Called<()> {
    let dir = changeable(table, fd)?;
    let (parent, name) = parent(&dir.dir, path)?;
    Ok(unlinkat(parent, name, AtFlags::empty())?)
}

pub(super) fn rename(
    table: &ResourceTable,
    (from, old): (&Fd, &str),
    (to, new): (&Fd, &str),
) -> Called<()> {
    let (from, to) = (changeable(table, from)?, changeable(table, to)?);
    let (old_parent, old_name) = parent(&from.dir, without_slash(old))?;
    let (new_parent, new_name) = parent(&to.dir, without_slash(new))?;
    let mut old_name = Cow::from(old_name);
    // A slash at the end of either requires a directory.
    if old.ends_with('/') || new.ends_with('/') {
        if cfg!(target_os = "linux") {
            // Here the system checks that, and follows no link.
            old_name.to_mut().push('/');
        } else {
            let found = statat(&old_parent, &*old_name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
                return Err(Code::NotDirectory.into());
            }
        }
    }
    Ok(renameat(old_parent, &*old_name, new_parent, new_name)?)
}

pub(super) fn link(
    table: &ResourceTable,
    follow: bool,
    (from, old): (&Fd, &str),
    (to, new): (&Fd, &str),
) -> Called<()> {
    let (from, to) = (changeable(table, from)?, changeable(table, to)?);
    if follow {
        return Err(Code::Invalid.into());
    }
    let (old_parent, old_name) = parent(&from.dir, old)?;
    let (new_parent, new_name) = parent(&to.dir, new)?;
    Ok(linkat(old_parent, old_name, new_parent, new_name, AtFlags::empty())?)
}

/// Creates a link to `target`, which need not exist. An absolute target, which leads out of the
/// directory from anywhere, is refused.
pub(super) fn symlink(table: &ResourceTable, fd: &Fd, target: &str, path: &str) -> Called<()> {
    let dir = changeable(table, fd)?;
    if target.starts_with('/') {
        return Err(Code::NotPermitted.into());
    }
    let (parent, name) = parent(&dir.dir, path)?;
    Ok(symlinkat(target, parent, name)?)
}

/// The target of a link; absolute ones are not disclosed.
pub(super) fn read_link(table: &ResourceTable, fd: &Fd, path: &str) -> Called<String> {
    let (parent, name) = parent(&dir(table, fd)?.dir, path)?;
    let target = readlinkat(parent, name, Vec::new())?.into_string();
    match target {
        Ok(target) if target.starts_with('/') => Err(Code::NotPermitted.into()),
        Ok(target) => Ok(target),
        Err(_) => Err(Code::IllegalByteSequence.into()),
    }
}

/// The attributes of a file.
pub(super) struct Found {
    pub(super) kind: FileType,
    pub(super) links: u64,
    pub(super) size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(super) accessed: (i64, u32),
    pub(super) modified: (i64, u32),
    pub(super) changed: (i64, u32),
}

impl From<Stat> for Found {
    // The types of the numbers differ between systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    fn from(stat: Stat) -> Self {
        let nanoseconds = |count| u32::try_from(count).unwrap_or(0);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            links: u64::try_from(stat.st_nlink).unwrap_or(0),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: (i64::from(stat.st_atime), nanoseconds(stat.st_atime_nsec)),
            modified: (i64::from(stat.st_mtime), nanoseconds(stat.st_mtime_nsec)),
            changed: (i64::from(stat.st_ctime), nanoseconds(stat.st_ctime_nsec)),
        }
    }
}

pub(super) fn stat(table: &ResourceTable, fd: &Fd, follow: bool, path: &str) -> Called<Found> {
    stat_below(&dir(table, fd)?.dir, path, follow)
}

pub(super) fn stat_below(dir: &File, path: &str, follow: bool) -> Called<Found> {
    if follow {
        return Ok(fstat(open_path(dir, path)?)?.into());
    }
    let (parent, name) = parent(dir, path)?;
    Ok(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
}

/// Opens a name without touching the file if the system supports it; else without waiting.
fn open_path(dir: &File, path: &str) -> Called<OwnedFd> {
    resolve::open(dir, path, OFlags::RDONLY | path_only(), Links::Within)
}

pub(super) fn set_times(table: &ResourceTable, fd: &Fd, times: &Timestamps) -> Called<()> {
    let (file, perms) = match table.get(fd)? {
        Descriptor::File(file) => (&file.file, file.perms),
        Descriptor::Dir(dir) => (&dir.dir, dir.perms),
    };
    if perms.write_not_permitted() {
        return Err(Code::NotPermitted.into());
    }
    match futimens(file, times) {
        // The directory was opened as a path only.
        Err(Errno::BADF) => Ok(utimensat(file, ".", times, AtFlags::empty())?),
        set => Ok(set?),
    }
}

pub(super) fn set_times_at(
    table: &ResourceTable,
    fd: &Fd,
    follow: bool,
    path: &str,
    times: &Timestamps,
) -> Called<()> {
    let dir = changeable(table, fd)?;
    if !follow {
        let (parent, name) = parent(&dir.dir, path)?;
        return Ok(utimensat(parent, name, times, AtFlags::SYMLINK_NOFOLLOW)?);
    }
    let found = open_path(&dir.dir, path)?;
    let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Err(Code::NotPermitted.into());
    }
    Ok(set_times_of(&found, times)?)
}

#[cfg(target_os = "linux")]
fn set_times_of(found: &OwnedFd, times: &Timestamps) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    match utimensat(found, "", times, AtFlags::EMPTY_PATH) {
        // A kernel before 5.8.
        Err(Errno::INVAL | Errno::NOENT) => {
            let path = format!("/proc/self/fd/{}", found.as_raw_fd());
            utimensat(rustix::fs::CWD, path, times, AtFlags::empty())
        }
        set => set,
    }
}

#[cfg(not(target_os = "linux"))]
fn set_times_of(found: &OwnedFd, times: &Timestamps) -> rustix::io::Result<()> {
    futimens(found, times)
}

/// The directory that contains the last name of a path.
enum Parent<'a> {
    Given(&'a File),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Given(dir) => dir.as_fd(),
            Self::Opened(dir) => dir.as_fd(),
        }
    }
}

/// The directory that contains the last name of `path`, and that name. A path that ends with `/`,
/// `.` or `..` leads to a directory, whose name is then `.` in itself.
fn parent<'a>(dir: &'a File, path: &'a str) -> Called<(Parent<'a>, &'a str)> {
    let (before, name) = match path.rsplit_once('/') {
        Some((before, name)) => (Some(before), name),
        None => (None, path),
    };
    let open = |path| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | path_only();
        resolve::open(dir, path, flags, Links::Within).map(Parent::Opened)
    };
    match (before, name) {
        _ if path.is_empty() => Err(Code::NoEntry.into()),
        _ if path.starts_with('/') => Err(escape()),
        (_, "" | "." | "..") => Ok((open(path)?, ".")),
        (Some(before), name) => Ok((open(before)?, name)),
        (None, name) => Ok((Parent::Given(dir), name)),
    }
}

/// The refusal of an absolute path.
fn escape() -> Refusal {
    io::Error::new(io::ErrorKind::PermissionDenied, "the path is absolute").into()
}

/// For creating, moving and removing a directory, a slash at the end of its name makes no
/// difference.
fn without_slash(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        path => path,
    }
}
