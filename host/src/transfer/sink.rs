//! Where the bytes of a read go: to a caller that takes them as they come, or into memory.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};

use crate::chunk::{self, CHUNK};
use crate::error::ErrorKind;
use crate::info::Info;

/// The caller has gone, and takes no more bytes.
pub(crate) struct Gone;

pub(crate) trait Sink: Send + Unpin + 'static {
    /// Called first, with the info of the artifact and the number of bytes that are due.
    fn start(&mut self, info: Info, due: u64) -> Result<Result<(), Gone>, ErrorKind>;

    /// The buffer to which the next bytes are appended, and how many fit.
    fn buffer(&mut self) -> (&mut Vec<u8>, usize);

    /// Passes on what has come so far, to make room.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>>;
}

/// A caller that takes chunks. Its channel holds those that it has not taken.
pub(crate) struct Chunks {
    start: Option<oneshot::Sender<Info>>,
    chunks: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
    /// Bytes that are not yet passed on, plus one, which shows that there are no more.
    rest: u64,
}

impl Chunks {
    pub(crate) fn new(start: oneshot::Sender<Info>, chunks: mpsc::Sender<Bytes>) -> Self {
        Self { start: Some(start), chunks, buffer: Vec::new(), rest: 0 }
    }

    /// The same for a caller that knows the info already.
    pub(crate) fn started(chunks: mpsc::Sender<Bytes>, due: u64) -> Self {
        let mut sink =
            Self { start: None, chunks, buffer: Vec::new(), rest: due.saturating_add(1) };
        sink.renew();
        sink
    }
}

impl Chunks {
    /// Allocates the memory of the next chunk.
    fn renew(&mut self) {
        let size = usize::try_from(self.rest).unwrap_or(CHUNK);
        self.buffer = chunk::empty(size.min(CHUNK));
    }
}

impl Sink for Chunks {
    fn start(&mut self, info: Info, due: u64) -> Result<Result<(), Gone>, ErrorKind> {
        self.rest = due.saturating_add(1);
        self.renew();
        Ok(match self.start.take() {
            Some(start) => start.send(info).map_err(|_| Gone),
            None => Err(Gone),
        })
    }

    fn buffer(&mut self) -> (&mut Vec<u8>, usize) {
        let room = CHUNK.saturating_sub(self.buffer.len());
        (&mut self.buffer, room)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if !self.buffer.is_empty() {
            ready!(self.chunks.poll_ready(cx)).map_err(|_| Gone)?;
            self.rest = self.rest.saturating_sub(self.buffer.len() as u64);
            let chunk = std::mem::take(&mut self.buffer);
            self.chunks.start_send(chunk::share(chunk)).map_err(|_| Gone)?;
        }
        // After the last chunk there is nothing to wait for. Before it, waiting lets the next bytes
        // reuse the memory that the caller has just read, which is in the processor's cache.
        if self.rest > 1 {
            ready!(self.chunks.poll_ready(cx)).map_err(|_| Gone)?;
            self.renew();
        }
        Poll::Ready(Ok(()))
    }
}

/// How many bytes are appended to a whole artifact at once: as many as a processor's second-level
/// cache still holds when their checksum is computed.
const PIECE: usize = 2 * CHUNK;

/// Memory for all bytes that are due, up to a limit.
pub(crate) struct Whole {
    limit: u64,
    info: Info,
    data: Vec<u8>,
}

impl Whole {
    /// For at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, info: Info::of_size(0), data: Vec::new() }
    }

    pub(crate) fn into_parts(self) -> (Info, Bytes) {
        (self.info, self.data.into())
    }
}

impl Sink for Whole {
    fn start(&mut self, info: Info, due: u64) -> Result<Result<(), Gone>, ErrorKind> {
        self.info = info;
        let too_large = ErrorKind::TooLarge { limit: self.limit };
        if due > self.limit {
            return Err(too_large);
        }
        let Ok(size) = usize::try_from(due) else { return Err(too_large) };
        // One byte more, which shows at the end that there are no more.
        let reserved = self.data.try_reserve_exact(size.saturating_add(1));
        reserved
            .map_err(|_| ErrorKind::Unavailable(format!("there is no memory for {size} bytes")))?;
        Ok(Ok(()))
    }

    /// No more than what is due is appended.
    fn buffer(&mut self) -> (&mut Vec<u8>, usize) {
        (&mut self.data, PIECE)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Poll::Ready(Ok(()))
    }
}
