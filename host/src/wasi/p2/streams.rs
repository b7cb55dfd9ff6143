//! Writing to files in WASI 0.2, and what their streams failed with.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::super::HostState;
use super::super::errno::{Called, Code};
use super::super::paths::Fd;
use super::super::trouble::Trouble;
use super::super::write::{Place, writable, write, write_all};
use super::answer;

/// How much a backend may hand over at once.
const AT_ONCE: usize = 64 << 10;

pub(super) fn link(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
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
            let stream = open(state, &file, Place::At(offset));
            Ok((answer(state, stream)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, HostState>, (file,): (Fd,)| {
            let state = store.data_mut();
            let stream = open(state, &file, Place::End);
            Ok((answer(state, stream)?,))
        },
    )?;
    types.func_wrap("filesystem-error-code", error_code)
}

fn write_at(state: &mut HostState, file: &Fd, bytes: &[u8], offset: u64) -> Called<u64> {
    let written = write(writable(state.table(), file)?, &mut Place::At(offset), bytes)?;
    Ok(written as u64)
}

fn open(state: &mut HostState, file: &Fd, place: Place) -> Called<Resource<DynOutputStream>> {
    let file = Arc::clone(writable(state.table(), file)?);
    let trouble = state.trouble.clone();
    let stream: DynOutputStream = Box::new(Stream { file, place, trouble, is_closed: false });
    Ok(state.table().push(stream)?)
}

/// What the error of a stream is called, if it is one of the filesystem.
fn error_code(
    mut store: StoreContextMut<'_, HostState>,
    (error,): (Resource<wasmtime::Error>,),
) -> wasmtime::Result<(Option<ErrorCode>,)> {
    let state = store.data_mut();
    let error = state.table().get(&error)?.downcast_ref::<io::Error>();
    Ok((error.map(|error| Code::of(error).into()),))
}

/// Takes bytes into a file at once. Calls run on threads that may wait for the disk; bytes that
/// wait for a thread of their own would be held in the host's memory, by as many streams as a
/// backend opens.
struct Stream {
    file: Arc<File>,
    place: Place,
    trouble: Trouble,
    /// After a failure.
    is_closed: bool,
}

impl OutputStream for Stream {
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
impl Pollable for Stream {
    async fn ready(&mut self) {}
}
