//! The splice: the bytes of an artifact go from the file to the caller without passing through the
//! backend, which still decides everything else.
//!
//! A backend answers a read with a `stream<u8>`. A backend that keeps artifacts in files gets that
//! stream from `wasi:filesystem` and passes it on, unread; then both of its ends belong to this
//! host. The host creates the stream itself: [`link`] replaces wasmtime's `read-via-stream` by one
//! whose producer, [`FileBytes`], is a file and an offset. When a backend returns a stream,
//! [`take`] asks wasmtime whether its producer is still this one, with no reader that has yet to be
//! served. If so, the host takes the file and the offset out of it and reads at full speed.
//!
//! The meaning does not change. If the backend reads the stream itself, builds another one from it,
//! or drops it, [`FileBytes`] behaves like wasmtime's own producer. Bytes that the backend has read
//! are gone from the stream, so a stream that is returned half-read continues after them. The
//! backend's future learns how the reading ended, whoever did it.
//!
//! Writes do not need this: wasmtime itself joins the stream that the host creates for a write with
//! the file, and moves whole chunks.

use std::any::{Any, TypeId};
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Access, Accessor, Destination, FutureReader, LinkerInstance, Resource, StreamProducer,
    StreamReader, StreamResult,
};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types::{ErrorCode, HostDescriptorWithStore};

use super::Ended;
use crate::budget::Inline;
use crate::chunk::CHUNK;
use crate::wasi::errno::Code;
use crate::wasi::trouble::Trouble;
use crate::wasi::{HostState, pread};

/// The result of reading a file in WASI: its bytes, and how reading them ended.
type Reading = (StreamReader<u8>, FutureReader<Result<(), ErrorCode>>);

/// Replaces wasmtime's way to read a file in `types`, which is `wasi:filesystem/types`.
pub(super) fn link(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    types.func_wrap("[method]descriptor.read-via-stream", read_via_stream)
}

fn read_via_stream(
    mut store: StoreContextMut<'_, HostState>,
    (descriptor, offset): (Resource<Descriptor>, u64),
) -> wasmtime::Result<(Reading,)> {
    let file = match store.data_mut().ctx().table.get(&descriptor)? {
        Descriptor::File(file) => Arc::clone(&file.file),
        Descriptor::Dir(_) => {
            let access = Access::<_, WasiFilesystem>::new(store, HostState::filesystem);
            return Ok((WasiFilesystem::read_via_stream(access, descriptor, offset)?,));
        }
    };
    let (ended, end) = Ended::new();
    let (inline, trouble) = (store.data().inline.clone(), store.data().trouble.clone());
    let bytes = FileBytes { file, offset, ahead: Bytes::new(), ended, inline, trouble };
    let bytes = StreamReader::new(&mut store, bytes)?;
    Ok(((bytes, FutureReader::new(&mut store, end)?),))
}

/// The file behind a stream that a backend returned, or the stream itself if it is another one.
pub(crate) fn take(
    stream: StreamReader<u8>,
    accessor: &Accessor<HostState>,
) -> Result<FileBytes, StreamReader<u8>> {
    accessor.with(|access| stream.try_into::<FileBytes>(access))
}

/// The bytes of a file from an offset on. They are read at the offset, without a cursor that
/// another reader of the same file could move.
pub(crate) struct FileBytes {
    file: Arc<File>,
    offset: u64,
    /// The whole rest of the file after the offset, if it is short and was read along.
    ahead: Bytes,
    ended: Ended,
    inline: Option<Arc<Inline>>,
    trouble: Trouble,
}

impl FileBytes {
    /// Appends the next bytes to `buffer`, at most `limit`. It appends none at the end of the file,
    /// and if the file cannot be read, of which the backend is told.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Poll<usize> {
        if let Some(ahead) = self.take_ahead(limit) {
            buffer.extend_from_slice(&ahead);
            return Poll::Ready(self.advance(Ok(ahead.len())));
        }
        if self.may_read(limit)
            && let Some(read) = pread::append_cached(&self.file, self.offset, buffer, limit)
        {
            return Poll::Ready(self.advance(Ok(read)));
        }
        ready!(self.poll_thread(cx));
        let read = pread::append(&self.file, self.offset, buffer, limit);
        Poll::Ready(self.advance(read))
    }

    /// At most `limit` of the bytes that were read along, if there are any.
    fn take_ahead(&mut self, limit: usize) -> Option<Bytes> {
        let most = limit.min(self.ahead.len());
        (most > 0).then(|| self.ahead.split_to(most))
    }

    /// Reads into the memory of a backend, and keeps what was read along.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(ahead) = self.take_ahead(buffer.len()) {
            buffer[..ahead.len()].copy_from_slice(&ahead);
            return Poll::Ready(Ok(ahead.len()));
        }
        if self.may_read(buffer.len())
            && let Some((read, ahead)) = pread::read_ahead_cached(&self.file, self.offset, buffer)
        {
            self.ahead = ahead;
            return Poll::Ready(Ok(read));
        }
        ready!(self.poll_thread(cx));
        let (read, ahead) = pread::read_ahead(&self.file, self.offset, buffer)?;
        self.ahead = ahead;
        Poll::Ready(Ok(read))
    }

    /// Ready on a thread that may block.
    fn poll_thread(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inline.as_ref().map_or(Poll::Ready(()), |inline| inline.poll_thread(cx))
    }

    /// Whether this many bytes may be read on the caller's task.
    fn may_read(&self, bytes: usize) -> bool {
        self.inline.as_ref().is_some_and(|inline| inline.may_read(bytes))
    }

    /// Records the result of a read.
    fn advance(&mut self, read: io::Result<usize>) -> usize {
        let outcome = match read {
            Ok(0) => Ok(()),
            Ok(read) => match self.offset.checked_add(read as u64) {
                Some(offset) => {
                    self.offset = offset;
                    return read;
                }
                None => Err(ErrorCode::Overflow),
            },
            Err(error) => {
                self.trouble.note(&error);
                Err(Code::of(&error).into())
            }
        };
        self.ended.tell(outcome);
        0
    }
}

impl StreamProducer<HostState> for FileBytes {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, HostState>,
        destination: Destination<'a, u8, Bytes>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // From a file to another stream of the host, nothing else checks the deadline.
        store.data().check_deadline()?;
        // Reads directly into the reader's memory: no bytes are left over that a splice would lose.
        let mut destination = destination.as_direct(store, CHUNK);
        let buffer = destination.remaining();
        // A read of zero bytes asks whether bytes are there; a real read will find out.
        if buffer.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let read = ready!(self.poll_fill(cx, buffer));
        match self.advance(read) {
            0 => Poll::Ready(Ok(StreamResult::Dropped)),
            read => {
                destination.mark_written(read);
                Poll::Ready(Ok(StreamResult::Completed))
            }
        }
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        if ty != TypeId::of::<Self>() {
            return Err(me);
        }
        let bytes: Box<Self> = Pin::into_inner(me);
        Ok(bytes)
    }
}
