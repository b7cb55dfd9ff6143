use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Sink;
use futures::channel::{mpsc, oneshot};
use tokio::io::AsyncWrite;

use super::upload::End;
use super::{CHUNKS_WAITING, buffered, upload};
use crate::bindings::streams::Seal;
use crate::bindings::types;
use crate::budget::{Timer, after};
use crate::checksum::Checksum;
use crate::chunk::{self, CHUNK};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::info::{Info, WriteOptions};
use crate::interface::Interface;
use crate::serving::{Call, Loaded, Pending, RunBy, Running};

/// How long a backend that takes no more bytes has to answer why, before it is told that more bytes
/// were to come.
const PATIENCE: Duration = Duration::from_millis(100);

/// Takes the bytes of an artifact as they come, in bounded memory, and stores them at
/// [`commit`](Self::commit). Made by [`ArtifactStore::writer`](crate::ArtifactStore::writer).
///
/// Before the commit nothing is visible. If the writer is dropped, or its task ends early, nothing
/// is stored, and an existing artifact stays.
///
/// ```
/// use artifact_store::{ArtifactStore, WriteOptions};
/// use tokio::io::AsyncWriteExt;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path()).await?;
/// let mut writer = store.writer("log", WriteOptions::default())?;
/// writer.write_all(b"first line\n").await?;
/// writer.write_all(b"second line\n").await?;
/// let info = writer.commit().await?;
/// assert_eq!(info.size, 23);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an artifact is stored by `commit`"]
pub struct ArtifactWriter {
    call: Arc<Call>,
    buffer: Vec<u8>,
    written: Checksum,
    way: Way,
    /// Ends when a backend that did not take all bytes has had its time to answer why.
    patience: Option<Timer>,
}

impl fmt::Debug for ArtifactWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, written) = (&self.call.key, self.written.size());
        f.debug_struct("ArtifactWriter").field("key", key).field("written", &written).finish()
    }
}

enum Way {
    Streamed {
        chunks: mpsc::Sender<Bytes>,
        end: Option<oneshot::Sender<End>>,
        work: Pending<types::Info>,
    },
    /// For a backend without streams: all bytes are kept until the commit.
    Buffered { size: Option<u64> },
    /// The backend ended the call before the caller did.
    Failed,
}

impl ArtifactWriter {
    pub(crate) fn new(
        backend: Arc<Loaded>,
        key: &str,
        options: WriteOptions,
        by: RunBy,
    ) -> Result<Self> {
        let call = backend.transfer(Operation::Put, key);
        call.check_key()?;
        let way = if backend.pool.offers(Interface::Streams) {
            let (chunks, received) = mpsc::channel(CHUNKS_WAITING);
            let (end, ended) = oneshot::channel();
            let write = move |running: Running| async move {
                let outcome = upload::write(&running, options, received, ended).await;
                let bytes = outcome.as_ref().map_or(0, |info| info.size);
                running.call.end(bytes, outcome)
            };
            let work = Arc::clone(&call).start(by, write);
            Way::Streamed { chunks, end: Some(end), work }
        } else if options.create {
            return call.end(0, Err(buffered::cannot_create()));
        } else {
            Way::Buffered { size: options.size }
        };
        let (buffer, written) = (Vec::new(), Checksum::new());
        Ok(Self { call, buffer, written, way, patience: None })
    }

    /// Stores what was written as one artifact under the key. When this returns `Ok`, the artifact
    /// is durable and visible to every call.
    ///
    /// # Errors
    ///
    /// Those of [`ArtifactStore::put`](crate::ArtifactStore::put); nothing was stored then, except
    /// that after [`ErrorKind::Timeout`] it may have been.
    pub async fn commit(mut self) -> Result<Info> {
        if let Way::Buffered { size } = self.way {
            if let Some(size) = size.filter(|size| *size != self.written.size()) {
                let text = format!(
                    "{} bytes were written, but {size} were announced",
                    self.written.size()
                );
                return Err(self.error(ErrorKind::Other(text)));
            }
            let data = Bytes::from(std::mem::take(&mut self.buffer));
            let call = self.call.backend.call(Operation::Put, &self.call.key);
            let write = move |running: Running| async move { buffered::put(&running, data).await };
            return call.start(RunBy::Worker, write).await;
        }
        poll_fn(|cx| self.poll_send(cx)).await?;
        let seal = Seal { size: self.written.size(), checksum: self.written.value() };
        self.end(Ok(seal));
        Ok(poll_fn(|cx| self.poll_outcome(cx)).await?.into())
    }

    /// The CRC-64/NVME of the bytes written so far, which a commit would store. It lets the caller
    /// verify the bytes before they are stored.
    pub fn checksum(&self) -> u64 {
        self.written.value()
    }

    /// Discards the write: nothing is stored, and the backend has removed what it had when this
    /// returns. Dropping the writer does the same in the background.
    pub async fn abort(mut self) {
        self.give_up();
        if let Way::Streamed { work, .. } = &mut self.way {
            let _ = work.await;
        }
    }

    fn give_up(&mut self) {
        self.end(Err("the caller aborted the write".into()));
    }

    /// Tells the backend how the write ends. Only the first call counts.
    fn end(&mut self, how: End) {
        if let Way::Streamed { chunks, end, .. } = &mut self.way {
            if let Some(end) = end.take() {
                // If the receiver is gone, the call has ended and says how.
                let _ = end.send(how);
            }
            chunks.close_channel();
        }
    }

    /// A caller that does the work of this writer turns to something else.
    pub(crate) fn pause(&self) {
        if let Way::Streamed { work, .. } = &self.way {
            work.pause();
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        self.call.backend.error(kind, Operation::Put, &self.call.key)
    }

    /// The error of this writer that an I/O error carries.
    pub(crate) fn io_error(&self, error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => self.error(ErrorKind::Io(error)),
        }
    }

    /// Sends the buffer, if it is not empty.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut is_refused = false;
        if let Way::Streamed { chunks, .. } = &mut self.way {
            let mut chunks = Pin::new(chunks);
            match chunks.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {
                    if chunks.start_send(chunk::share(std::mem::take(&mut self.buffer))).is_ok() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(_)) => is_refused = true,
                // If the backend no longer answers, no room comes.
                Poll::Pending => {}
            }
        }
        // The backend ended the call before it had all bytes; its answer says why.
        let mut answer = self.poll_outcome(cx);
        if is_refused && answer.is_pending() {
            // The answer is on its way, unless the backend waits for an end: after a moment it gets
            // one, which does not cover all bytes.
            ready!(self.patience.get_or_insert_with(|| after(PATIENCE)).as_mut().poll(cx));
            self.end(Err("the backend did not take all bytes".into()));
            answer = self.poll_outcome(cx);
        }
        let error = match ready!(answer) {
            Ok(_) => self.error(ErrorKind::Protocol("it did not take all bytes".into())),
            Err(error) => error,
        };
        Poll::Ready(Err(error))
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<types::Info>> {
        let Way::Streamed { work, .. } = &mut self.way else {
            let kind = ErrorKind::Unavailable("the write has already failed".into());
            return Poll::Ready(Err(self.error(kind)));
        };
        let outcome = ready!(Pin::new(work).poll(cx));
        self.way = Way::Failed;
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for ArtifactWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        me.call.clock().touch();
        let room = match me.way {
            Way::Buffered { .. } => {
                let size = (me.buffer.len() + bytes.len()) as u64;
                buffered::check_size(me.call.limits(), size).map_err(|kind| me.error(kind))?;
                bytes.len()
            }
            _ => {
                if me.buffer.len() >= CHUNK {
                    ready!(me.poll_send(cx))?;
                }
                let taken = bytes.len().min(CHUNK - me.buffer.len());
                if me.buffer.capacity() - me.buffer.len() < taken {
                    let size = if me.buffer.is_empty() { taken } else { CHUNK };
                    let small = std::mem::replace(&mut me.buffer, chunk::empty(size));
                    me.buffer.extend_from_slice(&small);
                }
                taken
            }
        };
        let taken = bytes.len().min(room);
        me.written.update(&bytes[..taken]);
        me.buffer.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Passes the buffered bytes to the backend. It commits nothing.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.way {
            Way::Buffered { .. } => Poll::Ready(Ok(())),
            _ => {
                ready!(self.poll_send(cx))?;
                // No other thread would do the work, and the caller may pause for long.
                if let Way::Streamed { work, .. } = &mut self.way {
                    work.advance(cx);
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// The same as a flush: only [`commit`](ArtifactWriter::commit) stores the artifact.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        self.give_up();
    }
}
