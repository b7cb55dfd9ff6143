//! From the bytes of a caller to those of a backend that keeps them encrypted.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::Stream;
use futures::channel::oneshot;

use super::upload::End;
use crate::bindings::streams::Seal;
use crate::checksum::Checksum;
use crate::chunk::{self, CHUNK};
use crate::encryption::{Encryption, PIECE, SEALED_PIECE, Sealed, Sealer, sealed_size};
use crate::error::ErrorKind;

/// The encrypted bytes of an artifact, as a stream of chunks.
pub(super) struct Encrypting<S> {
    chunks: S,
    sealer: Sealer,
    /// What came and is not yet in the buffer.
    plain: Bytes,
    /// Encrypted pieces, and behind them the beginning of the next.
    buffer: Vec<u8>,
    /// Where the next piece begins in the buffer.
    piece: usize,
    received: Checksum,
    sent: Checksum,
    /// Takes the seals of what came and of what was sent. `None` after the last piece.
    done: Option<oneshot::Sender<[Seal; 2]>>,
}

/// Encrypts what `chunks` yields, of which `size` bytes are expected. The end of the encrypted
/// stream is known once the caller has sealed what it sent, and this is what came.
pub(super) fn encrypting<S>(
    encryption: &Encryption,
    key: &str,
    size: Option<u64>,
    chunks: S,
    end: impl Future<Output = End> + Send + 'static,
) -> Result<(Encrypting<S>, impl Future<Output = End> + Send + 'static), ErrorKind> {
    let Sealed { head, sealer } = encryption.begin(key)?;
    let expected = size.and_then(sealed_size).and_then(|size| usize::try_from(size).ok());
    let mut buffer = chunk::empty(expected.unwrap_or(CHUNK).clamp(head.len(), CHUNK));
    buffer.extend_from_slice(&head);
    let (piece, plain) = (buffer.len(), Bytes::new());
    let (received, sent) = (Checksum::new(), Checksum::new());
    let (done, is_done) = oneshot::channel::<[Seal; 2]>();
    let done = Some(done);
    let end = async move {
        let promised = end.await?;
        let [received, sent] =
            is_done.await.map_err(|_| "the backend did not take all bytes".to_owned())?;
        let is_same = (received.size, received.checksum) == (promised.size, promised.checksum);
        if is_same { Ok(sent) } else { Err("the bytes are not those that were sealed".into()) }
    };
    Ok((Encrypting { chunks, sealer, plain, buffer, piece, received, sent, done }, end))
}

impl<S> Encrypting<S> {
    /// Encrypts the piece that is in the buffer.
    fn seal(&mut self, is_last: bool) -> Result<(), ErrorKind> {
        self.sealer.seal(&mut self.buffer, self.piece, is_last)?;
        self.piece = self.buffer.len();
        Ok(())
    }

    /// Fills the buffer with encrypted pieces; whether there is no room for another one.
    fn fill(&mut self) -> Result<bool, ErrorKind> {
        while !self.plain.is_empty() {
            let room = PIECE - (self.buffer.len() - self.piece);
            if room == 0 {
                // More bytes follow it, so it is not the last one.
                self.seal(false)?;
                if self.buffer.len() + SEALED_PIECE > CHUNK {
                    return Ok(true);
                }
                continue;
            }
            let taken = room.min(self.plain.len());
            self.received.update(&self.plain[..taken]);
            self.buffer.extend_from_slice(&self.plain[..taken]);
            self.plain.advance(taken);
        }
        Ok(false)
    }

    /// What is encrypted so far.
    fn take(&mut self, is_last: bool) -> Bytes {
        let next = if is_last { Vec::new() } else { chunk::empty(CHUNK) };
        self.piece = 0;
        let chunk = chunk::share(std::mem::replace(&mut self.buffer, next));
        self.sent.update(&chunk);
        chunk
    }
}

impl<S: Stream<Item = Bytes> + Unpin> Stream for Encrypting<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let me = &mut *self;
        while me.done.is_some() {
            match me.fill() {
                Ok(true) => return Poll::Ready(Some(me.take(false))),
                Ok(false) => {}
                // The end then says that the artifact is not complete.
                Err(_) => {
                    me.done = None;
                    break;
                }
            }
            if let Some(chunk) = ready!(Pin::new(&mut me.chunks).poll_next(cx)) {
                me.plain = chunk;
            } else if me.seal(true).is_ok()
                && let Some(done) = me.done.take()
            {
                let last = me.take(true);
                let seal = |sum: &Checksum| Seal { size: sum.size(), checksum: sum.value() };
                // If nobody waits for it, the call is over.
                let _ = done.send([seal(&me.received), seal(&me.sent)]);
                return Poll::Ready(Some(last));
            } else {
                me.done = None;
            }
        }
        Poll::Ready(None)
    }
}

/// The same for an artifact that is in memory.
pub(super) fn encrypt(encryption: &Encryption, key: &str, data: &[u8]) -> Result<Bytes, ErrorKind> {
    let Sealed { head: mut sealed, mut sealer } = encryption.begin(key)?;
    let size = sealed_size(data.len() as u64).and_then(|size| usize::try_from(size).ok());
    sealed.reserve_exact(size.unwrap_or(data.len()).saturating_sub(sealed.len()));
    let mut pieces = data.chunks(PIECE).peekable();
    loop {
        let (start, piece) = (sealed.len(), pieces.next().unwrap_or_default());
        sealed.extend_from_slice(piece);
        let is_last = pieces.peek().is_none();
        sealer.seal(&mut sealed, start, is_last)?;
        if is_last {
            return Ok(sealed.into());
        }
    }
}
