//! Bodies that are whole only if all of their bytes were right.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use artifact_store::{ArtifactReader, Error, Result};
use bytes::Bytes;
use futures::Stream;

/// Holds the last chunk back until the reader has reached its end without an error. A client that
/// counts bytes therefore never takes a damaged artifact for a whole one.
pub(crate) struct Verdict {
    reader: ArtifactReader,
    held: Option<Bytes>,
}

impl Verdict {
    /// Begins to read `length` bytes. If they all come at once, they are known to be right when
    /// this returns.
    pub(crate) async fn begin(mut reader: ArtifactReader, length: u64) -> Result<Self> {
        let held = reader.next_chunk().await?;
        if held.as_ref().is_some_and(|chunk| chunk.len() as u64 == length) {
            reader.next_chunk().await?;
        }
        Ok(Self { reader, held })
    }
}

impl Stream for Verdict {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.reader).poll_next(cx)) {
                Some(Ok(chunk)) => {
                    if let Some(before) = self.held.replace(chunk) {
                        return Poll::Ready(Some(Ok(before)));
                    }
                }
                Some(Err(error)) => {
                    self.held = None;
                    tracing::debug!(error = &error as &dyn std::error::Error, "a body was cut");
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(self.held.take().map(Ok)),
            }
        }
    }
}
