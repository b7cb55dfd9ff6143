//! Reading a directory, for one system call per batch of names rather than one per name.
//!
//! WASI tells each entry's name and type. wasmtime looks at every file to learn the type, which a
//! store of 4096 directories pays for on each page of a listing; the directory itself says it, on
//! nearly all filesystems.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags, SeekFrom, openat, seek, statat};
use rustix::io::fcntl_dupfd_cloexec;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Access, Destination, FutureReader, LinkerInstance, Resource, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorType, DirectoryEntry, ErrorCode, HostDescriptorWithStore,
};

use super::HostState;
use super::read::Ended;

/// The most entries that are handed on at once.
const BATCH: usize = 1024;

/// What reading a directory is in WASI: its entries, and how reading them ended.
type Reading = (StreamReader<DirectoryEntry>, FutureReader<Result<(), ErrorCode>>);

/// Replaces wasmtime's way to read a directory in `types`, which is `wasi:filesystem/types`.
pub(super) fn link(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    types.func_wrap("[method]descriptor.read-directory", read_directory)
}

fn read_directory(
    mut store: StoreContextMut<'_, HostState>,
    (descriptor,): (Resource<Descriptor>,),
) -> wasmtime::Result<(Reading,)> {
    let (is_idle, dir) = match store.data_mut().ctx().table.get(&descriptor)? {
        Descriptor::Dir(dir) => (Arc::strong_count(&dir.dir) == 1, Arc::clone(&dir.dir)),
        Descriptor::File(_) => {
            let access = Access::<_, WasiFilesystem>::new(store, HostState::filesystem);
            return Ok((WasiFilesystem::read_directory(access, descriptor)?,));
        }
    };
    let (ended, end) = Ended::new();
    let mut entries = Entries { dir: None, ended, _in_use: Arc::clone(&dir) };
    match reader(&dir, is_idle) {
        Ok(dir) => entries.dir = Some(dir),
        Err(error) => entries.ended.tell(Err(io::Error::from(error).into())),
    }
    let entries = StreamReader::new(&mut store, entries)?;
    Ok(((entries, FutureReader::new(&mut store, end)?),))
}

/// Reads `dir` from its beginning. Two readers of one directory must not share a place in it: where
/// somebody else may be at work it is opened anew, which takes as long as to read it.
fn reader(dir: &File, is_idle: bool) -> rustix::io::Result<Dir> {
    if is_idle && seek(dir, SeekFrom::Start(0)).is_ok() {
        return Dir::new(fcntl_dupfd_cloexec(dir, 0)?);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Dir::new(openat(dir, ".", flags, Mode::empty())?)
}

/// The entries of a directory that are still to be read.
struct Entries {
    /// None where it could not be opened.
    dir: Option<Dir>,
    ended: Ended,
    /// Shows the next reader that this one is at work.
    _in_use: Arc<File>,
}

impl Entries {
    fn next(&mut self) -> Option<Result<DirectoryEntry, ErrorCode>> {
        let dir = self.dir.as_mut()?;
        loop {
            let entry = match dir.read()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(io::Error::from(error).into())),
            };
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Some(describe(dir, &entry));
            }
        }
    }
}

fn describe(dir: &Dir, entry: &DirEntry) -> Result<DirectoryEntry, ErrorCode> {
    let name = entry.file_name();
    let kind = match entry.file_type() {
        // A filesystem that does not say.
        FileType::Unknown => {
            let stat = dir.fd().and_then(|dir| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW));
            FileType::from_raw_mode(stat.map_err(io::Error::from)?.st_mode)
        }
        kind => kind,
    };
    let type_ = match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        _ => DescriptorType::Other(None),
    };
    let name = name.to_str().map_err(|_| ErrorCode::IllegalByteSequence)?.to_owned();
    Ok(DirectoryEntry { type_, name })
}

impl StreamProducer<HostState> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let room = destination.remaining(&mut store).unwrap_or(BATCH).min(BATCH);
        // A reader of no entries asks whether some are there; it finds out by reading.
        if room == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut batch = Vec::new();
        let result = loop {
            match self.next() {
                Some(Ok(entry)) => batch.push(entry),
                Some(Err(error)) => {
                    self.ended.tell(Err(error));
                    break StreamResult::Dropped;
                }
                None => {
                    self.ended.tell(Ok(()));
                    break StreamResult::Dropped;
                }
            }
            if batch.len() == room {
                break StreamResult::Completed;
            }
        };
        destination.set_buffer(batch.into());
        Poll::Ready(Ok(result))
    }
}
