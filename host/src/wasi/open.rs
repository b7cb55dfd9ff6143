//! Opening files: a backend opens only regular files and directories. Opening a pipe waits for its
//! other end, a device can do anything, and a thread that waits in the system cannot be ended.
//!
//! Therefore files are opened without waiting, and an opened file is checked before anything is
//! done with it: if another file takes its name meanwhile, the host neither waits for it nor
//! truncates or writes it. For foreign backends the name is also checked before, since opening a
//! device may have effects.

use std::fs::File as SystemFile;

use rustix::fs::{FileType, OFlags, fstat, ftruncate};
use rustix::io::Errno;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File};

use super::Links;
use super::errno::{Called, Code, Refusal};
use super::paths::{self, Fd};
use super::resolve;

/// What is opened, and for which accesses.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    /// Whether a link at the end of the path is followed.
    pub(super) follow: bool,
    pub(super) links: Links,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) create: bool,
    /// Fails if the name exists.
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    /// Fails if it is not a directory.
    pub(super) directory: bool,
    /// A flag of WASI that this host does not support.
    pub(super) synchronous: bool,
}

/// The arguments of `open-at`, of either generation.
macro_rules! asked {
    ($path:expr, $follow:ident, $how:ident, $flags:ident, $links:ident) => {
        $crate::wasi::open::Asked {
            path: $path,
            follow: $follow.contains(PathFlags::SYMLINK_FOLLOW),
            links: $links,
            read: $flags.contains(DescriptorFlags::READ),
            write: $flags.contains(DescriptorFlags::WRITE),
            create: $how.contains(OpenFlags::CREATE),
            exclusive: $how.contains(OpenFlags::EXCLUSIVE),
            truncate: $how.contains(OpenFlags::TRUNCATE),
            directory: $how.contains(OpenFlags::DIRECTORY),
            synchronous: $flags.intersects(
                DescriptorFlags::FILE_INTEGRITY_SYNC
                    | DescriptorFlags::DATA_INTEGRITY_SYNC
                    | DescriptorFlags::REQUESTED_WRITE_SYNC,
            ),
        }
    };
}
pub(super) use asked;

impl Asked<'_> {
    fn makes_new(&self) -> bool {
        self.create && self.exclusive
    }

    fn writes(&self) -> bool {
        self.write || self.create || self.truncate
    }

    /// A file that is opened for no access can be read.
    fn mode(&self) -> OpenMode {
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::WRITE, self.writes());
        mode.set(OpenMode::READ, self.read || !self.write);
        mode
    }

    /// Without `O_TRUNC`: it is not yet known what will be opened.
    fn flags(&self) -> OFlags {
        let mode = self.mode();
        let mut flags = match (mode.contains(OpenMode::READ), mode.contains(OpenMode::WRITE)) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        flags.set(OFlags::CREATE, self.create);
        flags.set(OFlags::EXCL, self.makes_new());
        flags.set(OFlags::NOFOLLOW, !self.follow || self.links == Links::Never);
        flags.set(OFlags::DIRECTORY, self.directory);
        flags
    }
}

/// Opens a file or a directory.
pub(super) fn open_at(table: &mut ResourceTable, dir: &Fd, asked: Asked<'_>) -> Called<Fd> {
    let opened = open(paths::dir(table, dir)?, asked)?;
    match table.push(opened) {
        Ok(opened) => Ok(opened),
        Err(full) => {
            // The backend is ended, so it cannot remove a file that was created for it.
            if asked.makes_new() {
                let _ = paths::unlink_file(table, dir, asked.path);
            }
            Err(full.into())
        }
    }
}

fn open(dir: &Dir, asked: Asked<'_>) -> Called<Descriptor> {
    if asked.synchronous {
        return Err(Code::Unsupported.into());
    }
    if asked.directory && (asked.create || asked.exclusive || asked.truncate) {
        return Err(Code::Invalid.into());
    }
    if asked.writes() && dir.perms.write_not_permitted() {
        return Err(Code::NotPermitted.into());
    }
    if asked.links == Links::Within && !asked.makes_new() {
        let found = paths::stat_below(&dir.dir, asked.path, asked.follow);
        if found.is_ok_and(|found| is_special(found.kind)) {
            return Err(Code::NotPermitted.into());
        }
    }
    match resolve::open(&dir.dir, asked.path, asked.flags(), asked.links) {
        Ok(opened) => take(dir, asked, opened.into()),
        Err(Refusal::System(error)) => Err(match Errno::from_io_error(&error) {
            // A socket, a pipe that nothing reads, or a device that is not there.
            Some(Errno::NXIO | Errno::NODEV) => Code::NotPermitted.into(),
            _ => error.into(),
        }),
        Err(failure) => Err(failure),
    }
}

/// Checks what was opened, and makes it a handle of the backend.
fn take(dir: &Dir, asked: Asked<'_>, opened: SystemFile) -> Called<Descriptor> {
    let kind = match asked {
        _ if asked.makes_new() => FileType::RegularFile,
        _ if asked.directory => FileType::Directory,
        _ => FileType::from_raw_mode(fstat(&opened)?.st_mode),
    };
    match kind {
        FileType::Directory => Ok(Descriptor::Dir(Dir::new(opened, dir.perms, asked.mode(), true))),
        FileType::RegularFile => {
            if asked.truncate && !asked.makes_new() {
                ftruncate(&opened, 0)?;
            }
            Ok(Descriptor::File(File::new(opened, dir.perms, asked.mode(), true)))
        }
        _ => Err(Code::NotPermitted.into()),
    }
}

fn is_special(kind: FileType) -> bool {
    !matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink)
}

/// Like [`open_at`], for reading cached data; `None` if that cannot be decided without waiting for
/// the disk.
#[cfg(target_os = "linux")]
pub(super) fn open_cached(
    table: &mut ResourceTable,
    dir: &Fd,
    asked: Asked<'_>,
) -> Called<Option<Resource<Descriptor>>> {
    let dir = paths::dir(table, dir)?;
    if asked.links != Links::Never || asked.writes() || asked.synchronous {
        return Ok(None);
    }
    let Some(opened) = resolve::open_cached(&dir.dir, asked.path, asked.flags()) else {
        return Ok(None);
    };
    let opened = take(dir, asked, opened?.into())?;
    Ok(Some(table.push(opened)?))
}
