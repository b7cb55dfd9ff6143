//! The bodies of requests and of responses.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use s3s::StdError;
use tokio::time::{Instant, Sleep, sleep};

use crate::log::Entry;
use crate::rechunk::Rechunk;

/// The most bytes of a body that are skipped for the next request of its connection.
const SKIPPED: u64 = 64 << 10;

/// What a client has to send, in bytes for each second that the server waits for it: twice what Apache's
/// `RequestReadTimeout` asks for.
const LEAST_RATE: u32 = 1000;

/// The client stopped in the middle of its body, or sends it too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the client sent nothing or too little for too long in the middle of its request")]
pub(crate) struct Stalled;

/// How much of a body a request announces.
pub(crate) struct Announced {
    bytes: u64,
    /// Whether the client sends none of it before it is told to.
    is_held_back: bool,
}

impl Announced {
    pub(crate) fn by(headers: &HeaderMap) -> Self {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
        let unknown = if headers.contains_key(header::TRANSFER_ENCODING) { u64::MAX } else { 0 };
        let bytes = length.unwrap_or(unknown);
        Self { bytes, is_held_back: headers.contains_key(header::EXPECT) }
    }

    /// Whether the connection ends with an answer that comes after so many bytes. What is left of a
    /// small body is skipped; but a client that was not told to send it may do so or not.
    pub(crate) fn ends_connection(&self, received: u64) -> bool {
        let left = self.bytes.saturating_sub(received);
        left > SKIPPED || (left > 0 && self.is_held_back && received == 0)
    }
}

/// The body of a request, of which the next bytes come in time or never.
pub(crate) struct Received {
    body: Incoming,
    patience: Duration,
    /// How long the client may let the server wait from now on: what it sends earns some of it back.
    credit: Duration,
    /// Runs while the client lets the server wait, with when that began.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    entry: Arc<Entry>,
    /// For a body in chunks.
    rechunk: Option<Rechunk>,
}

impl Received {
    pub(crate) fn new(
        body: Incoming,
        patience: Duration,
        entry: Arc<Entry>,
        rechunk: Option<Rechunk>,
    ) -> Self {
        Self { body, patience, credit: patience, timer: None, entry, rechunk }
    }

    /// What comes next from the client.
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some((since, _)) = self.timer.take() {
                    self.credit = self.credit.saturating_sub(since.elapsed());
                }
                if let Some(Ok(frame)) = &frame {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.entry.received(bytes);
                    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                    let earned = Duration::from_secs(1) / LEAST_RATE * bytes;
                    self.credit = self.credit.saturating_add(earned).min(self.patience);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let credit = self.credit;
                let begin = || (Instant::now(), Box::pin(sleep(credit)));
                let timer = self.timer.get_or_insert_with(begin);
                ready!(timer.1.as_mut().poll(cx));
                Poll::Ready(Some(Err(Stalled.into())))
            }
        }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        loop {
            if let Some(chunk) = self.rechunk.as_mut().and_then(Rechunk::pop) {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            let frame = ready!(self.poll_received(cx));
            let Some(rechunk) = &mut self.rechunk else { return Poll::Ready(frame) };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => rechunk.push(data)?,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rechunk.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rechunk {
            // More of them take more bytes.
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}

/// The body of a response.
pub(crate) struct Sent {
    body: s3s::Body,
    entry: Arc<Entry>,
    /// Whether an XML document may already have begun.
    is_continued: bool,
}

impl Sent {
    pub(crate) fn new(body: s3s::Body, entry: Arc<Entry>) -> Self {
        Self { body, entry, is_continued: false }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let frame = frame.map(|frame| {
            let frame = frame?;
            let is_continued = std::mem::replace(&mut self.is_continued, true);
            let Some(data) = frame.data_ref() else { return Ok(frame) };
            self.entry.sent(data.len());
            Ok(match is_continued && self.entry.is_kept_alive() {
                true => Frame::data(without_declaration(data.clone())),
                false => frame,
            })
        });
        if let Some(Err(_)) = &frame {
            self.entry.fail();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A document of XML has one declaration, the first thing in it. `s3s` writes another one in front
/// of an error that follows the white space which kept a connection alive.
fn without_declaration(data: Bytes) -> Bytes {
    match data.starts_with(b"<?xml").then(|| data.windows(2).position(|end| end == b"?>")) {
        Some(Some(end)) => data.slice(end + 2..),
        _ => data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_declaration_is_left_out() {
        for (data, kept) in [
            ("<?xml version=\"1.0\"?><Error/>", "<Error/>"),
            ("<Error/>", "<Error/>"),
            (" ", " "),
            ("<?xml", "<?xml"),
        ] {
            assert_eq!(without_declaration(data.into()), kept);
        }
    }
}
