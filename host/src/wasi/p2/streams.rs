//! Reading and writing files in WASI 0.2, and the errors of their streams.
//!
//! Calls run on threads that may wait for the disk, so every operation is done at once. Bytes that
//! wait for another thread, or for a reader, would be held in the host's memory, for as many
//! streams as a backend opens.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::answer;
use crate::wasi::errno::{Called, Code};
use crate::wasi::paths::Fd;
use crate::wasi::trouble::Trouble;
use crate::wasi::write::{Position, writable, write, write_all};
use crate::wasi::{HostState, pread};

/// How many bytes move at once.
const AT_ONCE: usize = 64 << 10;

pub(super) fn link(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.read",
        |mut store: StoreContextMut<'_, HostState>, (file, most, offset): (Fd, u64, u64)| {
            let state = store.data_mut();
            let read = read_at(state, &file, most, offset);
            Ok((answer(state, read)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file, offset): (Fd, u64)| {
            let state = store.data_mut();
            let stream = open_reader(state, &file, offset);
            Ok((answer(state, stream)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write",
        |mut store: StoreContextMut<'_, HostState>, (file, bytes, offset): (Fd, Vec<u8>, u64)| {
            let state = store.data_mut();
            let written = write_at(state, &file, &bytes, offset);
            Ok((answer(state, written)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file, offset): (Fd, u64)| {
            let state = store.data_mut();
            let stream = open_writer(state, &file, Position::At(offset));
            Ok((answer(state, stream)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file,): (Fd,)| {
            let state = store.data_mut();
            let stream = open_writer(state, &file, Position::End);
            Ok((answer(state, stream)?,))
        },
    )?;
    types.func_wrap("filesystem-error-code", error_code)
}

fn write_at(state: &mut HostState, file: &Fd, bytes: &[u8], offset: u64) -> Called<u64> {
    let written = write(writable(state.table(), file)?, &mut Position::At(offset), bytes)?;
    Ok(written as u64)
}

/// The file of a handle; for a directory the error is `instead`.
fn readable(state: &mut HostState, fd: &Fd, instead: Code) -> Called<Arc<File>> {
    match state.table().get(fd)? {
        Descriptor::File(file) => Ok(Arc::clone(&file.file)),
        Descriptor::Dir(_) => Err(instead.into()),
    }
}

/// The bytes, and whether the file has ended.
fn read_at(state: &mut HostState, file: &Fd, most: u64, offset: u64) -> Called<(Vec<u8>, bool)> {
    let file = readable(state, file, Code::BadDescriptor)?;
    let mut bytes = Vec::new();
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(AT_ONCE);
    pread::append(&file, offset, &mut bytes, most)?;
    let is_over = bytes.is_empty();
    Ok((bytes, is_over))
}

fn open_reader(state: &mut HostState, file: &Fd, offset: u64) -> Called<Resource<DynInputStream>> {
    let file = readable(state, file, Code::IsDirectory)?;
    let trouble = state.trouble.clone();
    let stream: DynInputStream = Box::new(Reader { file, offset, trouble, is_closed: false });
    Ok(state.table().push(stream)?)
}

fn open_writer(
    state: &mut HostState,
    file: &Fd,
    place: Position,
) -> Called<Resource<DynOutputStream>> {
    let file = Arc::clone(writable(state.table(), file)?);
    let trouble = state.trouble.clone();
    let stream: DynOutputStream = Box::new(Writer { file, place, trouble, is_closed: false });
    Ok(state.table().push(stream)?)
}

/// The code of a stream's error, if it is one of the filesystem.
fn error_code(
    mut store: StoreContextMut<'_, HostState>,
    (error,): (Resource<wasmtime::Error>,),
) -> wasmtime::Result<(Option<ErrorCode>,)> {
    let state = store.data_mut();
    let error = state.table().get(&error)?.downcast_ref::<io::Error>();
    Ok((error.map(|error| Code::of(error).into()),))
}

struct Reader {
    file: Arc<File>,
    offset: u64,
    trouble: Trouble,
    /// At the end of the file, and after a failure.
    is_closed: bool,
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.is_closed {
            return Err(StreamError::Closed);
        }
        let (mut bytes, size) = (Vec::new(), size.min(AT_ONCE));
        let read = pread::append(&self.file, self.offset, &mut bytes, size).map_err(|error| {
            self.is_closed = true;
            self.trouble.note(&error);
            StreamError::LastOperationFailed(error.into())
        })?;
        self.offset = self.offset.saturating_add(read as u64);
        if read == 0 && size > 0 {
            self.is_closed = true;
            return Err(StreamError::Closed);
        }
        Ok(bytes.into())
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

struct Writer {
    file: Arc<File>,
    place: Position,
    trouble: Trouble,
    /// After a failure.
    is_closed: bool,
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.check_write()? {
            return Err(StreamError::trap("more was written than `check-write` permits"));
        }
        write_all(&self.file, &mut self.place, &bytes).map_err(|error| {
            self.is_closed = true;
            self.trouble.note(&error);
            StreamError::LastOperationFailed(error.into())
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.is_closed { Err(StreamError::Closed) } else { Ok(AT_ONCE) }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}
