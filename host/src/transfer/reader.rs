use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use futures::stream::{self, Stream};
use tokio::io::{AsyncRead, ReadBuf};

use super::sink::{Chunks, Sink};
use super::{CHUNKS_WAITING, buffered, download};
use crate::error::{Operation, Result};
use crate::info::{Info, ReadOptions};
use crate::interface::Interface;
use crate::serving::{Call, Loaded, Pending, RunBy, Running};

/// Yields the bytes of an artifact as they come, in bounded memory: by
/// [`next_chunk`](Self::next_chunk), as a [`Stream`] of chunks, or as an [`AsyncRead`]. Made by
/// [`ArtifactStore::read`](crate::ArtifactStore::read).
///
/// The bytes are known to be right only when the reader has reached its end without an error: then
/// a whole artifact has been compared with its checksum. Of an encrypted artifact each chunk is
/// authenticated before it comes. A truncated artifact is an error, never a short read.
///
/// ```
/// use artifact_store::{ArtifactStore, ReadOptions};
/// use tokio::io::AsyncReadExt;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path()).await?;
/// store.put("digits", "0123456789").await?;
/// let options = ReadOptions::default().offset(2).length(3);
/// let mut reader = store.read("digits", options).await?;
/// assert_eq!(reader.info().size, 10);
/// let mut text = String::new();
/// reader.read_to_string(&mut text).await?;
/// assert_eq!(text, "234");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ArtifactReader {
    call: Arc<Call>,
    info: Info,
    chunk: Bytes,
    chunks: Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>>,
    /// The outcome of the read; taken once it is known.
    work: Option<Pending<()>>,
}

impl fmt::Debug for ArtifactReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.call.key;
        f.debug_struct("ArtifactReader").field("key", key).field("info", &self.info).finish()
    }
}

impl ArtifactReader {
    pub(crate) async fn open(
        backend: Arc<Loaded>,
        key: &str,
        options: ReadOptions,
        by: RunBy,
    ) -> Result<Self> {
        if !backend.pool.offers(Interface::Streams) {
            return Self::buffered(backend.call(Operation::Get, key), options).await;
        }
        let waiting = match by {
            // Reading ahead would only evict from the cache the bytes that the caller takes next.
            RunBy::Caller => 0,
            _ => CHUNKS_WAITING,
        };
        let (chunks, received) = mpsc::channel(waiting);
        let (start, started) = oneshot::channel();
        let sink = move || Chunks::new(start, chunks);
        Self::begin(backend, key, options, by, sink, started, received).await
    }

    /// Reads into `sink`, which passes the bytes on to `received` after it has `started`.
    pub(super) async fn begin<S: Sink>(
        backend: Arc<Loaded>,
        key: &str,
        options: ReadOptions,
        by: RunBy,
        sink: impl FnOnce() -> S + Send + Sync + 'static,
        started: oneshot::Receiver<Info>,
        received: mpsc::Receiver<Bytes>,
    ) -> Result<Self> {
        let call = backend.transfer(Operation::Get, key);
        call.check_key()?;
        let read = move |running: Running| async move {
            let outcome = download::read(&running, options, sink()).await;
            let bytes = outcome.as_ref().map_or(0, |(_, bytes)| *bytes);
            running.call.end(bytes, outcome).map(drop)
        };
        let work = Arc::clone(&call).start(by, read);
        let mut reader = Self {
            call,
            info: Info::of_size(0),
            chunk: Bytes::new(),
            chunks: Box::pin(received),
            work: Some(work),
        };
        let ended = std::future::poll_fn(|cx| reader.poll_outcome(cx));
        match select(started, ended).await {
            Either::Left((Ok(info), _)) => reader.info = info,
            // It failed before it began; the outcome says why.
            Either::Left((Err(_), ended)) => ended.await?,
            // It is already over, or no longer answers. What was wrong after it began is the end of
            // the reader.
            Either::Right((outcome, mut started)) => match started.try_recv() {
                Ok(Some(info)) => {
                    reader.info = info;
                    let call = Arc::clone(&reader.call);
                    reader.work = outcome.err().map(|error| Pending::ended(call, Err(error)));
                }
                _ => outcome?,
            },
        }
        // A small artifact is read completely here: nothing then waits for the reader.
        std::future::poll_fn(|cx| Poll::Ready(reader.work.as_mut().map(|work| work.advance(cx))))
            .await;
        reader.pause();
        Ok(reader)
    }

    /// The same for a backend without streams: the whole artifact is in memory.
    async fn buffered(call: Arc<Call>, options: ReadOptions) -> Result<Self> {
        call.check_key()?;
        let read = async move |running: Running| buffered::get(&running, options).await;
        let (info, chunk) = Arc::clone(&call).start(RunBy::Worker, read).await?;
        Ok(Self { call, info, chunk, chunks: Box::pin(stream::empty()), work: None })
    }

    /// A caller that does the work of this reader turns to something else.
    pub(crate) fn pause(&self) {
        self.work.as_ref().inspect(|work| work.pause());
    }

    /// The info of the whole artifact, also if only a range is read.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Whether the end of a whole artifact shows that its bytes are those that were put: they are
    /// compared with its checksum, or are authenticated because it is [encrypted](crate::Layer).
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.info.checksum.is_some() || self.call.backend.encryption.is_some()
    }

    /// The next bytes, at least one; `None` at the end, when all of them were right.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the bytes so far are not those that
    /// were put, and any error that stopped the backend.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        ready!(self.poll_fill(cx))?;
        Poll::Ready(Ok(Some(std::mem::take(&mut self.chunk)).filter(|chunk| !chunk.is_empty())))
    }

    /// Fills `chunk` with the next bytes; it is empty at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.work.is_some() {
            self.call.clock().touch();
        }
        while self.chunk.is_empty() {
            // If the work is done here, a chunk can be ready after it only.
            let mut next = self.chunks.as_mut().poll_next(cx);
            if next.is_pending() {
                match self.poll_outcome(cx) {
                    Poll::Ready(Ok(())) => continue,
                    // If the backend no longer answers, no chunk comes.
                    Poll::Ready(failed) => return Poll::Ready(failed),
                    Poll::Pending => next = self.chunks.as_mut().poll_next(cx),
                }
            }
            match ready!(next) {
                Some(chunk) => self.chunk = chunk,
                None => return self.poll_outcome(cx),
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(work) = &mut self.work else { return Poll::Ready(Ok(())) };
        let outcome = ready!(Pin::new(work).poll(cx));
        self.work = None;
        if outcome.is_err() {
            // After an error the bytes on their way are not trusted.
            self.chunks = Box::pin(stream::empty());
        }
        Poll::Ready(outcome)
    }
}

/// The chunks and the errors of [`next_chunk`](ArtifactReader::next_chunk); an error is the last
/// item.
impl Stream for ArtifactReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx).map(Result::transpose)
    }
}

impl AsyncRead for ArtifactReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_fill(cx))?;
        let taken = self.chunk.len().min(into.remaining());
        into.put_slice(&self.chunk[..taken]);
        self.chunk.advance(taken);
        Poll::Ready(Ok(()))
    }
}
