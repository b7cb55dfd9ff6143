mod traits;

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

use super::upload::End;
use super::{CHUNKS_WAITING, buffered, upload};
use crate::bindings::streams::Seal;
use crate::budget::{Timer, after};
use crate::checksum::Checksum;
use crate::chunk::{self, CHUNK};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::info::{Info, WriteOptions};
use crate::interface::Interface;
use crate::serving::{Call, Loaded, Pending, RunBy, Running};
use crate::telemetry;

/// How long a backend that takes no more bytes has to answer why, before it is told that more bytes
/// were to come.
const PATIENCE: Duration = Duration::from_millis(100);

/// A chunk of at most so many bytes is copied to others: to pass it on by itself would take longer.
const SMALL: usize = CHUNK / 8;

/// **Only [`commit`](Self::commit) stores the artifact.** A writer takes its bytes as they come, in
/// bounded memory. Made by [`ArtifactStore::writer`](crate::ArtifactStore::writer).
///
/// Before the commit nothing is visible. If the writer is dropped, or its task ends early, nothing
/// is stored, and an existing artifact stays. Neither the shutdown of `AsyncWrite` nor the close of
/// `Sink` is a commit. After a shutdown the writer takes no more bytes, and if it is then dropped
/// without a commit, that is logged as a warning.
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
    /// What came in small pieces and was not sent yet.
    buffer: Vec<u8>,
    /// The rest of a chunk that came after it.
    chunk: Bytes,
    written: Checksum,
    /// How many bytes the caller announced, if they are no more than a chunk.
    small: Option<usize>,
    way: Way,
    /// Whether the caller shut it down: no more bytes may come.
    is_shut: bool,
    /// Whether the caller said how the write ends.
    is_over: bool,
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
        work: Pending<Info>,
    },
    /// For a backend without streams: all bytes are kept until the commit.
    Buffered {
        size: Option<u64>,
    },
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
        // Before anybody writes what cannot be stored.
        if let Err(why) = options.attributes.check() {
            return call.end(0, Err(ErrorKind::InvalidAttribute(why)));
        }
        let small = options.size.and_then(|size| usize::try_from(size).ok());
        let small = small.filter(|size| *size <= CHUNK);
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
        } else if !options.are_plain() {
            return call.end(0, Err(buffered::only_plain()));
        } else {
            Way::Buffered { size: options.size }
        };
        let (buffer, chunk, written) = (Vec::new(), Bytes::new(), Checksum::new());
        let (is_shut, is_over) = (false, false);
        Ok(Self { call, buffer, chunk, written, small, way, is_shut, is_over, patience: None })
    }

    /// Writes a chunk without copying it (unless it is small), and waits until the backend has
    /// taken all but its last part.
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit): the write has failed.
    ///
    /// ```
    /// use artifact_store::ArtifactStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = ArtifactStore::open_dir(dir.path()).await?;
    /// let mut writer = store.writer("log", Default::default())?;
    /// writer.write_chunk("all of it").await?;
    /// assert_eq!(writer.commit().await?.size, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn write_chunk(&mut self, chunk: impl Into<Bytes>) -> Result<()> {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        Pin::new(&mut *self).start_send(chunk.into())?;
        // Its memory is not kept while the caller does something else.
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await
    }

    /// Stores what was written as one artifact under the key. When this returns `Ok`, the artifact
    /// is durable and visible to every call.
    ///
    /// # Errors
    ///
    /// Those of [`ArtifactStore::put`](crate::ArtifactStore::put); nothing was stored then, except
    /// that after [`ErrorKind::Timeout`] it may have been.
    pub async fn commit(mut self) -> Result<Info> {
        self.is_over = true;
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
        poll_fn(|cx| self.poll_outcome(cx)).await
    }

    /// The CRC-64/NVME of the bytes written so far, which a commit would store. It lets the caller
    /// verify the bytes before they are stored.
    pub fn checksum(&self) -> u64 {
        self.written.value()
    }

    /// Discards the write: nothing is stored, and the backend has removed what it had when this
    /// returns. Dropping the writer does the same in the background.
    pub async fn abort(mut self) {
        self.is_over = true;
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

    /// Sends all that was written.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !(self.buffer.is_empty() && self.chunk.is_empty()) {
            let mut is_refused = false;
            if let Way::Streamed { chunks, .. } = &mut self.way {
                match chunks.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        let next = match self.buffer.is_empty() {
                            true => self.chunk.split_to(self.chunk.len().min(CHUNK)),
                            false => chunk::share(std::mem::take(&mut self.buffer)),
                        };
                        if chunks.start_send(next).is_ok() {
                            continue;
                        }
                    }
                    Poll::Ready(Err(_)) => is_refused = true,
                    // If the backend no longer answers, no room comes.
                    Poll::Pending => {}
                }
            }
            return self.poll_refusal(is_refused, cx).map(Err);
        }
        Poll::Ready(Ok(()))
    }

    /// Why the backend takes no more bytes. Pending if it may take some later.
    fn poll_refusal(&mut self, is_refused: bool, cx: &mut Context<'_>) -> Poll<Error> {
        // The backend ended the call before it had all bytes; its answer says why.
        let mut answer = self.poll_outcome(cx);
        if is_refused && answer.is_pending() {
            // The answer is on its way, unless the backend waits for an end: after a moment it gets
            // one, which does not cover all bytes.
            ready!(self.patience.get_or_insert_with(|| after(PATIENCE)).as_mut().poll(cx));
            self.end(Err("the backend did not take all bytes".into()));
            answer = self.poll_outcome(cx);
        }
        Poll::Ready(match ready!(answer) {
            Ok(_) => self.error(ErrorKind::Protocol("it did not take all bytes".into())),
            Err(error) => error,
        })
    }

    /// Passes all that was written to the backend. It commits nothing.
    fn poll_pass(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Way::Buffered { .. } = self.way {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        // No other thread would do the work, and the caller may pause for long.
        if let Way::Streamed { work, .. } = &mut self.way {
            work.advance(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// The same before the end of a writer that takes no more bytes.
    fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_pass(cx))?;
        self.is_shut = true;
        Poll::Ready(Ok(()))
    }

    fn check_open(&self) -> Result<()> {
        if self.is_shut {
            let text = "the writer was shut down, and takes no more bytes";
            let error = io::Error::new(io::ErrorKind::BrokenPipe, text);
            return Err(self.error(ErrorKind::Io(error)));
        }
        Ok(())
    }

    /// Keeps bytes to send them later.
    fn keep(&mut self, bytes: &[u8]) {
        let size = self.buffer.len() + bytes.len();
        if self.buffer.capacity() < size && size <= CHUNK {
            // A thousand slow callers send a small artifact each. Of a large one all chunks but the
            // first are large at once.
            let may_be_all = self.written.size() < (CHUNK / 2) as u64;
            if let Some(small) = self.small.filter(|small| size <= *small) {
                // Memory that grows with each piece leaves gaps behind.
                self.buffer.reserve_exact(small - self.buffer.len());
            } else if may_be_all && !self.buffer.is_empty() {
                self.buffer.reserve_exact(bytes.len() + size / 4);
            } else {
                let size = if self.buffer.is_empty() { size } else { CHUNK };
                let small = std::mem::replace(&mut self.buffer, chunk::empty(size));
                self.buffer.extend_from_slice(&small);
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// For a backend without streams: whether all that was written, and `more`, fits in memory.
    fn check_room(&self, more: usize) -> Result<()> {
        let size = (self.buffer.len() + more) as u64;
        buffered::check_size(self.call.limits(), size).map_err(|kind| self.error(kind))
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Info>> {
        let Way::Streamed { work, .. } = &mut self.way else {
            let kind = ErrorKind::Unavailable("the write has already failed".into());
            return Poll::Ready(Err(self.error(kind)));
        };
        let outcome = ready!(Pin::new(work).poll(cx));
        self.way = Way::Failed;
        Poll::Ready(outcome)
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        if self.is_shut && !self.is_over {
            telemetry::not_committed(&self.call.backend.seen(), &self.call.key);
        }
        self.give_up();
    }
}
