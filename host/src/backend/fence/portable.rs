//! Directories identified by their paths without links, which works on every system. On Linux this
//! is only tested.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::place::{At, Id, Place};
use super::way::{self, Found, System, Way};

/// Opens a directory, in the way in which wasmtime opens granted ones, and returns the way that led
/// there.
pub(super) fn open_dir(path: &Path) -> io::Result<(File, Way)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        /// Needed for opening a directory.
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        /// Others may read and write the directory, but neither rename nor remove it.
        const FILE_SHARE_READ_AND_WRITE: u32 = 1 | 2;
        options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS).share_mode(FILE_SHARE_READ_AND_WRITE);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::DIRECTORY.bits() as i32);
    }
    let opened = options.open(path)?;
    if !opened.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let way = follow(path)?;
    #[cfg(unix)]
    if way.place.id() != Some(id(&opened.metadata()?)) {
        return Err(io::Error::other("its path led elsewhere after it was opened"));
    }
    Ok((opened, way))
}

pub(super) fn follow(path: &Path) -> io::Result<Way> {
    way::follow::<Portable>(&std::path::absolute(path)?)
}

/// Not known on these systems.
pub(super) fn at(_: &File) -> Option<At> {
    None
}

struct Portable;

impl System for Portable {
    type Item = PathBuf;

    fn here() -> io::Result<(PathBuf, PathBuf)> {
        let here = std::env::current_dir()?.canonicalize()?;
        Ok((here.clone(), here))
    }

    fn root(path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn up(dir: &PathBuf) -> io::Result<PathBuf> {
        Ok(dir.parent().unwrap_or(dir).to_owned())
    }

    fn find(dir: &PathBuf, name: &OsStr) -> io::Result<Found<PathBuf>> {
        let path = dir.join(name);
        let about = path.symlink_metadata()?;
        Ok(if about.is_symlink() {
            Found::Link(path.read_link()?)
        } else if about.is_dir() {
            Found::Directory(path)
        } else {
            Found::File(path)
        })
    }

    fn place(dir: &PathBuf, file: Option<&PathBuf>) -> io::Result<Place> {
        // In the spelling of the system, if several are accepted.
        let path = file.unwrap_or(dir).canonicalize()?;
        let ids = path.ancestors().map(id_of).collect::<io::Result<_>>()?;
        Ok(Place { ids, at: None, device: None })
    }
}

#[cfg(unix)]
fn id_of(path: &Path) -> io::Result<Id> {
    Ok(id(&path.metadata()?))
}

#[cfg(unix)]
fn id(about: &std::fs::Metadata) -> Id {
    use std::os::unix::fs::MetadataExt;
    Id(about.dev(), about.ino())
}

#[cfg(not(unix))]
fn id_of(path: &Path) -> io::Result<Id> {
    Ok(Id(path.to_owned()))
}

/// A part of a mounted filesystem, which is not known on these systems.
#[derive(Clone, Debug)]
pub(super) enum Region {}

impl Region {
    pub(super) fn is_of(&self, device: &Device) -> bool {
        match *device {}
    }

    pub(super) fn is_written(&self) -> bool {
        match *self {}
    }

    pub(super) fn is(&self, _: &Self) -> bool {
        match *self {}
    }

    pub(super) fn holds(&self, _: &Self) -> bool {
        match *self {}
    }
}

/// The number of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Device {}

/// The mounts, which are not known on these systems.
#[derive(Default)]
pub(super) struct Mounts;

impl Mounts {
    pub(super) fn of(&self, _: &At) -> Vec<Region> {
        Vec::new()
    }

    pub(super) fn below(&self, _: &At) -> Vec<Region> {
        Vec::new()
    }

    pub(super) fn unknown(&self, _: &At) -> Vec<Device> {
        Vec::new()
    }

    pub(super) fn processes(&self, _: &At) -> Option<PathBuf> {
        None
    }

    pub(super) fn is_told(&self, _: &At) -> bool {
        true
    }
}
