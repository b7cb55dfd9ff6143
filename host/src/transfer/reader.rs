use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::channel::{mpsc, oneshot};
use futures::stream::{self, Stream};
use tokio::io::{AsyncRead, ReadBuf};

use super::{CHUNKS_WAITING, buffered, download};
use crate::backend::Loaded;
use crate::error::{ErrorKind, Operation, Result};
use crate::instance::{Worker, on_worker};
use crate::{Info, ReadOptions};

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
/// let options = ReadOptions { offset: 2, length: Some(3) };
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
    backend: Arc<Loaded>,
    key: String,
    info: Info,
    chunk: Bytes,
    chunks: Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>>,
    /// Says whether the chunks were right; taken when it has been heard.
    call: Option<Worker<std::result::Result<(), ErrorKind>>>,
}

impl ArtifactReader {
    pub(crate) async fn open(
        backend: Arc<Loaded>,
        key: &str,
        options: ReadOptions,
    ) -> Result<Self> {
        backend.check_key(key, Operation::Get)?;
        let ReadOptions { offset, length } = options;
        let pool = Arc::clone(&backend.pool);
        let owned = key.to_owned();
        if !backend.pool.offers_streams() {
            let got = on_worker(async move || buffered::get(&pool, owned).await);
            let cut = got.await.flatten().and_then(|data| {
                let part = buffered::range(&data, offset, length)?;
                Ok((data.len() as u64, part))
            });
            let (size, part) = cut.map_err(|kind| backend.error(kind, Operation::Get, key))?;
            let info = Info { size, checksum: None, modified: None };
            let (key, chunks) = (key.to_owned(), Box::pin(stream::empty()));
            return Ok(Self { backend, key, info, chunk: part, chunks, call: None });
        }
        let (chunks, received) = mpsc::channel(CHUNKS_WAITING);
        let (start, started) = oneshot::channel();
        let call = on_worker(async move || {
            download::read(&pool, owned, offset, length, start, chunks).await
        });
        let mut reader = Self {
            backend,
            key: key.to_owned(),
            info: Info { size: 0, checksum: None, modified: None },
            chunk: Bytes::new(),
            chunks: Box::pin(received),
            call: Some(call),
        };
        match started.await {
            Ok(info) => reader.info = info.into(),
            // It failed before it began; the outcome says why.
            Err(_) => std::future::poll_fn(|cx| reader.poll_outcome(cx)).await?,
        }
        Ok(reader)
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
    /// [`ErrorKind::Corrupt`] where the bytes so far are not the ones that were put, and
    /// whatever stopped the backend.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await?;
        Ok(Some(std::mem::take(&mut self.chunk)).filter(|chunk| !chunk.is_empty()))
    }

    /// Makes `chunk` hold the next bytes; it is empty at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.chunk.is_empty() {
            match ready!(self.chunks.as_mut().poll_next(cx)) {
                Some(chunk) => self.chunk = chunk,
                None => return self.poll_outcome(cx),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(call) = &mut self.call else { return Poll::Ready(Ok(())) };
        let outcome = ready!(Pin::new(call).poll(cx));
        self.call = None;
        self.chunks = Box::pin(stream::empty());
        Poll::Ready(
            outcome.flatten().map_err(|kind| self.backend.error(kind, Operation::Get, &self.key)),
        )
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
