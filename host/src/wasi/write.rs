//! Writing to files: at an offset or at the end, changing the size, and making changes durable.
//! Bytes are written to the system at once; the host buffers nothing.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, openat};
use rustix::io::{Errno, pwrite, retry_on_intr};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::Descriptor;

use super::errno::{Called, Code};
use super::paths::Fd;

/// Where the next byte is written.
#[derive(Clone, Copy)]
pub(super) enum Position {
    At(u64),
    End,
}

/// The file of a handle, if the grant permits writing.
pub(super) fn writable<'a>(table: &'a ResourceTable, fd: &Fd) -> Called<&'a Arc<File>> {
    match table.get(fd)? {
        Descriptor::File(file) if file.perms.write_not_permitted() => {
            Err(Code::NotPermitted.into())
        }
        Descriptor::File(file) => Ok(&file.file),
        Descriptor::Dir(_) => Err(Code::BadDescriptor.into()),
    }
}

/// Writes as many of `bytes` as it can, and advances the position.
pub(super) fn write(file: &File, place: &mut Position, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let written = match place {
        Position::At(offset) => retry_on_intr(|| pwrite(file, bytes, *offset))?,
        Position::End => append(file, bytes)?,
    };
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    if let Position::At(offset) = place {
        *offset = offset.checked_add(written as u64).ok_or(Errno::OVERFLOW)?;
    }
    Ok(written)
}

/// The same until all bytes are written.
pub(super) fn write_all(file: &File, place: &mut Position, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write(file, place, bytes)?;
        bytes = &bytes[written..];
    }
    Ok(())
}

fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::{ReadWriteFlags, pwritev2};
        let parts = [io::IoSlice::new(bytes)];
        match retry_on_intr(|| pwritev2(file, &parts, 0, ReadWriteFlags::APPEND)) {
            // The answers of a kernel or a filter without that call.
            Err(Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => {}
            written => return Ok(written?),
        }
    }
    // Only this backend has the handle.
    let before = fcntl_getfl(file)?;
    fcntl_setfl(file, before | OFlags::APPEND)?;
    let written = (&*file).write(bytes);
    fcntl_setfl(file, before)?;
    written
}

pub(super) fn set_size(table: &ResourceTable, fd: &Fd, size: u64) -> Called<()> {
    Ok(writable(table, fd)?.set_len(size)?)
}

/// Makes a file, or the names in a directory, durable. Without `whole` the metadata of a file may
/// be left out.
pub(super) fn sync(table: &ResourceTable, fd: &Fd, whole: bool) -> Called<()> {
    let sync = |file: &File| if whole { file.sync_all() } else { file.sync_data() };
    match table.get(fd)? {
        Descriptor::File(file) => Ok(sync(&file.file)?),
        Descriptor::Dir(dir) => match sync(&dir.dir) {
            // It was opened as a path only.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BADF) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(sync(&openat(&dir.dir, ".", flags, Mode::empty())?.into())?)
            }
            synced => Ok(synced?),
        },
    }
}
