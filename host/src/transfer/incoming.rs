//! The bytes of a read as they come, whatever brings them: they are counted, cut, handed to the sink,
//! and in the end compared with what the artifact states.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::channel::oneshot;

use super::below::Lower;
use super::sink::{Gone, Sink};
use crate::bindings::types;
use crate::budget::{Deadline, Patience};
use crate::checksum::Checksum;
use crate::error::ErrorKind;
use crate::instance::{Failed, Outcome};
use crate::wasi::FileBytes;

/// What the backend says of the end of its stream.
pub(super) async fn end_of(report: Report) -> Outcome<()> {
    match report.await {
        Ok(outcome) => Ok(outcome.map_err(ErrorKind::from)),
        Err(_) => Err(Failed::Protocol("it did not report how a read ended".into())),
    }
}

pub(super) type Report = oneshot::Receiver<Result<(), types::Error>>;

/// How the stream ended.
pub(super) enum End {
    /// The backend ended it.
    Closed,
    /// The host ended it after all bytes that were asked for.
    Cut,
    /// The host ended it: more bytes came than the artifact has.
    TooMany,
    /// The caller is gone.
    Abandoned,
}

/// The bytes that have come, and the number of those that are due.
pub(super) struct Incoming<S> {
    pub(super) sink: S,
    pub(super) received: Checksum,
    /// Bytes that are still due.
    pub(super) due: u64,
    /// Whether the artifact goes on after them.
    pub(super) is_cut: bool,
    pub(super) clock: Arc<Deadline>,
    pub(super) patience: Patience,
    /// The artifact's size, if it is read to its end.
    pub(super) size: u64,
    /// The checksum of the bytes that are due, if it is known.
    pub(super) checksum: Option<u64>,
}

impl<S: Sink> Incoming<S> {
    /// Compares what has come with what was due, with the checksum, and with what the backend says of
    /// the end of its stream, if there was one.
    pub(super) async fn conclude(mut self, how: End, report: Option<Report>) -> Outcome<(S, u64)> {
        let due = self.received.size() + self.due;
        match how {
            End::Abandoned => return self.so_far(),
            End::TooMany => {
                let size = self.size;
                let text = format!("the artifact has more than the {size} bytes that it states");
                return Ok(Err(ErrorKind::Corrupt(text)));
            }
            End::Closed | End::Cut => {}
        }
        if self.flush().await.is_err() {
            return self.so_far();
        }
        // After a cut, the backend's outcome says nothing about the bytes that were due.
        if let Some(report) = report.filter(|_| !matches!(how, End::Cut))
            && let Err(kind) = end_of(report).await?
        {
            return Ok(Err(kind));
        }
        let received = &self.received;
        if received.size() != due {
            let text = format!("{} of the expected {due} bytes arrived", received.size());
            return Ok(Err(ErrorKind::Corrupt(text)));
        }
        if self.checksum.is_some_and(|checksum| checksum != received.value()) {
            let text = "the bytes do not match the artifact's checksum";
            return Ok(Err(ErrorKind::Corrupt(text.into())));
        }
        self.so_far()
    }

    /// Reads a file that the backend passed on. The checksum is computed while the bytes are still
    /// in the processor's cache.
    pub(super) async fn take_from(mut self, mut file: FileBytes) -> (End, Self) {
        loop {
            if self.sink.buffer().1 == 0 && self.flush().await.is_err() {
                return (End::Abandoned, self);
            }
            let (buffer, room) = self.sink.buffer();
            let before = buffer.len();
            // One byte more than is due shows whether there are more.
            let wanted = usize::try_from(self.due).unwrap_or(usize::MAX);
            let wanted = if self.is_cut { wanted } else { wanted.saturating_add(1) };
            let limit = wanted.min(room);
            let read = poll_fn(|cx| file.poll_read(cx, buffer, limit)).await;
            if read as u64 > self.due {
                return (End::TooMany, self);
            }
            self.received.update(&buffer[before..]);
            self.due -= read as u64;
            match self.due {
                0 if self.is_cut => return (End::Cut, self),
                // One byte more than is due was asked for.
                0 if read < limit => return (End::Closed, self),
                _ if read == 0 => return (End::Closed, self),
                _ => self.clock.delivered(read as u64),
            }
        }
    }

    /// Takes what a layer handed on unread, of which the layer has stated something else than the
    /// store below.
    pub(super) async fn take_chunks(mut self, mut lower: Lower) -> (End, Self) {
        while let Some(chunk) = poll_fn(|cx| lower.poll_chunk(cx)).await {
            if let Some(end) = self.take_chunk(&chunk).await {
                return (end, self);
            }
        }
        (End::Closed, self)
    }

    /// Takes all of `chunk`, unless that is the end.
    pub(super) async fn take_chunk(&mut self, mut chunk: &[u8]) -> Option<End> {
        while !chunk.is_empty() {
            if poll_fn(|cx| self.poll_room(cx)).await.is_err() {
                return Some(End::Abandoned);
            }
            let (taken, end) = self.take(chunk);
            if end.is_some() {
                return end;
            }
            chunk = &chunk[taken..];
        }
        None
    }

    pub(super) fn so_far(self) -> Outcome<(S, u64)> {
        Ok(Ok((self.sink, self.received.size())))
    }

    /// Takes as many bytes as there is room for. `None` once it has the end.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Option<End>) {
        let due = usize::try_from(self.due).unwrap_or(usize::MAX);
        let (buffer, room) = self.sink.buffer();
        let taken = bytes.len().min(due).min(room);
        if taken < bytes.len() && taken == due && !self.is_cut {
            return (0, Some(End::TooMany));
        }
        self.received.update(&bytes[..taken]);
        buffer.extend_from_slice(&bytes[..taken]);
        self.due -= taken as u64;
        self.clock.delivered(taken as u64);
        (taken, (self.due == 0 && self.is_cut).then_some(End::Cut))
    }

    /// Passes on what has come.
    async fn flush(&mut self) -> Result<(), Gone> {
        poll_fn(|cx| {
            ready!(self.poll_flush(cx))?;
            self.poll_turn(cx)
        })
        .await
    }

    /// Waits for the caller to take what has come. This is not the backend's time.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if let Poll::Ready(flushed) = self.sink.poll_flush(cx) {
            return Poll::Ready(flushed);
        }
        self.patience.poll_over(&self.clock, cx).map(|()| Err(Gone))
    }

    /// Waits for the turn, if another call got it while the backend waited for the caller.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.patience.poll_turn(&self.clock, cx).map_err(|_| Gone)
    }

    /// Waits until there is room for more.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if self.sink.buffer().1 == 0 {
            ready!(self.poll_flush(cx))?;
        }
        self.poll_turn(cx)
    }
}
