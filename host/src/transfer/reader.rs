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

use super::sink::Chunks;
use super::{CHUNKS_WAITING, buffered, download};
use crate::error::{Operation, Result};
use crate::info::{Info, ReadOptions};
use crate::interface::Interface;
use crate::serving::{Call, Loaded, Pending, RunBy, Running};

/// Yields an artifact's bytes as they come, in bounded memory. Made by
/// [`ArtifactStore::read`](crate::ArtifactStore::read).
///
/// The bytes are right only when the reader has reached its end without an error: a whole
/// artifact is then compared with its checksum, and a cut one is an error, never a short read.
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
    /// Says whether the chunks were right; taken when it has been heard.
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
        let call = backend.transfer(Operation::Get, key);
        call.check_key()?;
        let waiting = match by {
            // To read ahead would only push out of the cache what is about to be taken.
            RunBy::Caller => 0,
            _ => CHUNKS_WAITING,
        };
        let (chunks, received) = mpsc::channel(waiting);
        let (start, started) = oneshot::channel();
        let read = move |running: Running| async move {
            let outcome = download::read(&running, options, Chunks::new(start, chunks)).await;
            let bytes = outcome.as_ref().map_or(0, |(_, bytes)| *bytes);
            running.call.end(bytes, outcome).map(drop)
        };
        let work = Arc::clone(&call).start(by, read);
        let mut reader = Self {
            call,
            info: Info { size: 0, checksum: None, modified: None },
            chunk: Bytes::new(),
            chunks: Box::pin(received),
            work: Some(work),
        };
        let ended = std::future::poll_fn(|cx| reader.poll_outcome(cx));
        match select(started, ended).await {
            Either::Left((Ok(info), _)) => reader.info = info.into(),
            // It failed before it began; the outcome says why.
            Either::Left((Err(_), ended)) => ended.await?,
            // It is over already, or does not answer any more.
            Either::Right((outcome, mut started)) => {
                outcome?;
                if let Ok(Some(info)) = started.try_recv() {
                    reader.info = info.into();
                }
            }
        }
        // A small artifact is then done with: nothing waits for its reader.
        std::future::poll_fn(|cx| Poll::Ready(reader.work.as_mut().map(|work| work.advance(cx))))
            .await;
        reader.pause();
        Ok(reader)
    }

    /// The same of a backend that offers no streams: all of it is in memory.
    async fn buffered(call: Arc<Call>, options: ReadOptions) -> Result<Self> {
        call.check_key()?;
        let read = async move |running: Running| buffered::get(&running).await;
        let data = Arc::clone(&call).start(RunBy::Worker, read).await?;
        let part = buffered::range(&data, options)
            .map_err(|kind| call.backend.error(kind, Operation::Get, &call.key))?;
        let info = Info { size: data.len() as u64, checksum: None, modified: None };
        Ok(Self { call, info, chunk: part, chunks: Box::pin(stream::empty()), work: None })
    }

    /// A caller who does the work of this reader turns to something else.
    pub(crate) fn pause(&self) {
        self.work.as_ref().inspect(|work| work.pause());
    }

    /// The whole artifact's info, whatever range is read.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The next bytes, at least one; none at the end, when all of them were right.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where the bytes so far are not the ones
    /// that were put, and whatever stopped the backend.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await?;
        Ok(Some(std::mem::take(&mut self.chunk)).filter(|chunk| !chunk.is_empty()))
    }

    /// Makes `chunk` hold the next bytes; it is empty at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.work.is_some() {
            self.call.clock().touch();
        }
        while self.chunk.is_empty() {
            // Who does the work in here may have a chunk only after it.
            let mut next = self.chunks.as_mut().poll_next(cx);
            if next.is_pending() {
                match self.poll_outcome(cx) {
                    Poll::Ready(Ok(())) => continue,
                    // Where the backend does not answer any more, no chunk comes.
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

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(work) = &mut self.work else { return Poll::Ready(Ok(())) };
        let outcome = ready!(Pin::new(work).poll(cx));
        self.work = None;
        if outcome.is_err() {
            // What is still on its way is not to be believed.
            self.chunks = Box::pin(stream::empty());
        }
        Poll::Ready(outcome)
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
