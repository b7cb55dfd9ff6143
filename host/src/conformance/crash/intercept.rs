//! The parts of the recorder that both generations of `wasi:filesystem` share.

use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;

use std::fs::File;
use std::sync::Arc;

use super::recorder::Recorder;
use super::tree::{Inode, inode};
use super::{intercept_p2, intercept_p3};
use crate::wasi::HostState;

pub(super) type Fd = Resource<Descriptor>;

/// Puts the recorder between a backend and its directories.
pub(super) fn add_to_linker(
    linker: &mut Linker<HostState>,
    recorder: &Arc<Recorder>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    intercept_p2::add_to_linker(linker, recorder)?;
    intercept_p3::add_to_linker(linker, recorder)
}

/// The result of a successful call.
pub(super) trait Answer: Sized {
    /// The descriptor that it opened.
    fn opened(&self) -> Option<&Fd> {
        None
    }

    /// The result of a sync that is left out.
    fn of_nothing() -> Option<Self> {
        None
    }
}

impl Answer for () {
    fn of_nothing() -> Option<Self> {
        Some(())
    }
}

impl Answer for Fd {
    fn opened(&self) -> Option<&Fd> {
        Some(self)
    }
}

/// The results of a generation's types, of a call and in place of one.
macro_rules! answers {
    () => {
        impl Answer for DescriptorStat {}
        impl Answer for DescriptorType {}
        impl Answer for DescriptorFlags {}
        impl Answer for MetadataHashValue {}

        /// The result of a call that the host does not make.
        fn refused(refusal: Refusal) -> wasmtime::Result<ErrorCode> {
            let Refusal::Fault(fault) = refusal else { return Err(killed()) };
            Ok(match fault {
                Fault::NoSpace => ErrorCode::InsufficientSpace,
                Fault::Quota => ErrorCode::Quota,
                Fault::ReadOnly => ErrorCode::ReadOnly,
                Fault::UnsupportedSync => ErrorCode::Unsupported,
                Fault::Permission => ErrorCode::Access,
                Fault::TooManyOpenFiles | Fault::Io | Fault::ShortTransfer => ErrorCode::Io,
            })
        }
    };
}
pub(super) use answers;

/// Puts the recorder before each function that both generations have, through the generation's
/// `$shadow`.
macro_rules! shadow_all {
    ($shadow:ident, $linker:ident, $recorder:ident) => {
        $shadow!($linker, $recorder, "stat", stat(fd) -> DescriptorStat, |_id| Intent::Look);
        $shadow!($linker, $recorder, "get-type", get_type(fd) -> DescriptorType,
            |_id| Intent::Look);
        $shadow!($linker, $recorder, "get-flags", get_flags(fd) -> DescriptorFlags,
            |_id| Intent::Look);
        $shadow!($linker, $recorder, "metadata-hash", metadata_hash(fd) -> MetadataHashValue,
            |_id| Intent::Look);
        $shadow!($linker, $recorder, "metadata-hash-at",
            metadata_hash_at(fd, follow: PathFlags, path: String) -> MetadataHashValue,
            |_id| Intent::Look);
        $shadow!($linker, $recorder, "stat-at",
            stat_at(fd, follow: PathFlags, path: String) -> DescriptorStat, |_id| Intent::Look);
        $shadow!($linker, $recorder, "open-at",
            open_at(fd, follow: PathFlags, path: String, how: OpenFlags, flags: DescriptorFlags)
                -> Fd,
            |id| Intent::Open {
                dir: id(&fd)?.0,
                path: path.clone(),
                create: how.contains(OpenFlags::CREATE),
                truncate: how.contains(OpenFlags::TRUNCATE),
            });
        $shadow!($linker, $recorder, "set-size", set_size(fd, size: u64) -> (),
            |id| Intent::SetSize { file: id(&fd)?.0, size });
        $shadow!($linker, $recorder, "sync", sync(fd) -> (), |id| {
            let (what, is_dir) = id(&fd)?;
            Intent::Sync { what, is_dir }
        });
        $shadow!($linker, $recorder, "sync-data", sync_data(fd) -> (), |id| {
            let (what, is_dir) = id(&fd)?;
            Intent::Sync { what, is_dir }
        });
        $shadow!($linker, $recorder, "create-directory-at",
            create_directory_at(fd, path: String) -> (),
            |id| Intent::MakeDir { dir: id(&fd)?.0, path: path.clone() });
        $shadow!($linker, $recorder, "rename-at",
            rename_at(fd, path: String, to: Fd, new_path: String) -> (),
            |id| Intent::Rename {
                dir: id(&fd)?.0, path: path.clone(), to: id(&to)?.0, new_path: new_path.clone()
            });
        $shadow!($linker, $recorder, "link-at",
            link_at(fd, follow: PathFlags, path: String, to: Fd, new_path: String) -> (),
            |id| Intent::Link {
                dir: id(&fd)?.0, path: path.clone(), to: id(&to)?.0, new_path: new_path.clone()
            });
        $shadow!($linker, $recorder, "unlink-file-at", unlink_file_at(fd, path: String) -> (),
            |id| Intent::Unlink { dir: id(&fd)?.0, path: path.clone() });
        $shadow!($linker, $recorder, "remove-directory-at",
            remove_directory_at(fd, path: String) -> (),
            |id| Intent::Unlink { dir: id(&fd)?.0, path: path.clone() });
        $shadow!($linker, $recorder, "symlink-at", symlink_at(fd, old: String, new: String) -> (),
            |_id| Intent::Unknown);
    };
}
pub(super) use shadow_all;

/// The file or directory of `fd`, and whether it is a directory. Not called while nothing is
/// recorded.
pub(super) fn identity(
    recorder: &Recorder,
    table: &ResourceTable,
    fd: &Fd,
) -> wasmtime::Result<(Inode, bool)> {
    if !recorder.is_on() {
        return Ok(((0, 0), false));
    }
    Ok(match table.get(fd)? {
        Descriptor::File(file) => (inode(&file.file)?, false),
        Descriptor::Dir(dir) => (inode(&dir.dir)?, true),
    })
}

/// The file to write to; `None` if it is a directory or may not be written to.
pub(super) fn writable(table: &ResourceTable, fd: &Fd) -> wasmtime::Result<Option<Arc<File>>> {
    Ok(match table.get(fd)? {
        Descriptor::File(file) if !file.perms.write_not_permitted() => Some(Arc::clone(&file.file)),
        _ => None,
    })
}

/// The error that ends a backend's process in the middle of a call.
pub(super) fn killed() -> wasmtime::Error {
    wasmtime::format_err!("the process was killed, as asked")
}
