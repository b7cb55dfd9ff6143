//! A writer as others know it: `AsyncWrite` of bytes, `Sink` of chunks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Sink;
use tokio::io::AsyncWrite;

use super::{ArtifactWriter, SMALL, Way};
use crate::chunk::CHUNK;
use crate::error::{Error, Result};

impl AsyncWrite for ArtifactWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        me.check_open()?;
        me.call.clock().touch();
        let taken = match me.way {
            Way::Buffered { .. } => {
                me.check_room(bytes.len())?;
                bytes
            }
            _ => {
                if me.buffer.len() >= CHUNK || !me.chunk.is_empty() {
                    ready!(me.poll_send(cx))?;
                }
                &bytes[..bytes.len().min(CHUNK - me.buffer.len())]
            }
        };
        me.written.update(taken);
        me.keep(taken);
        Poll::Ready(Ok(taken.len()))
    }

    /// Passes the buffered bytes to the backend. It commits nothing.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_pass(cx).map_err(io::Error::from)
    }

    /// A flush, after which the writer takes no more bytes: only
    /// [`commit`](ArtifactWriter::commit) stores the artifact.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shut(cx).map_err(io::Error::from)
    }
}

/// The chunks of an artifact, as [`write_chunk`](ArtifactWriter::write_chunk) takes them. To close
/// the sink is the same as a flush: only [`commit`](ArtifactWriter::commit) stores the artifact.
impl Sink<Bytes> for ArtifactWriter {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let is_full = self.buffer.len() > CHUNK - SMALL || !self.chunk.is_empty();
        match self.way {
            Way::Buffered { .. } => Poll::Ready(Ok(())),
            _ if is_full => self.poll_send(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, chunk: Bytes) -> Result<()> {
        self.check_open()?;
        self.call.clock().touch();
        let is_buffered = matches!(self.way, Way::Buffered { .. });
        if is_buffered {
            self.check_room(chunk.len())?;
        }
        self.written.update(&chunk);
        match is_buffered || chunk.len() <= SMALL {
            true => self.keep(&chunk),
            false => self.chunk = chunk,
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_pass(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_pass(cx)
    }
}
