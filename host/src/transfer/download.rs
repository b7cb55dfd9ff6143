//! The host's end of `streams.read`: it takes what the backend sends, counts it, cuts what was not
//! asked for, and compares a whole artifact with its checksum.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::channel::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, FutureConsumer, FutureReader, Lift, Source, StreamConsumer, StreamReader,
    StreamResult,
};

use super::below::{Lower, take_lower};
use super::decrypt;
use super::opening::{Opened, close, open};
use super::sink::{Gone, Sink};
use crate::bindings::streams::Contents;
use crate::bindings::types;
use crate::budget::{Deadline, Patience};
use crate::checksum::Checksum;
use crate::error::ErrorKind;
use crate::info::{Info, ReadOptions};
use crate::instance::{Failed, Outcome};
use crate::interface::Interface;
use crate::serving::Running;
use crate::telemetry;
use crate::wasi::{FileBytes, HostState, take};

/// Sends the bytes that the options select to `sink`, and returns it with their number. All bytes
/// are known to be right only when this returns.
pub(crate) async fn read<S: Sink>(
    running: &Running,
    options: ReadOptions,
    sink: S,
) -> Result<(S, u64), ErrorKind> {
    let call = &running.call;
    if let Some(encryption) = &call.backend.encryption {
        return decrypt::read(running, encryption, options, sink).await;
    }
    let read = running.run(async |accessor, exports| {
        let Some(streams) = &exports.streams else {
            return Ok(Err(ErrorKind::not_exported(Interface::Streams)));
        };
        match open(accessor, streams, &call.key, options).await? {
            Ok(opened) => receive(accessor, opened, options.length, sink).await,
            Err(kind) => Ok(Err(kind)),
        }
    });
    let read = read.await?;
    // If the caller seems to have gone, the host has given it up.
    call.verdict().map_or(Ok(read), Err)
}

/// Sends at most `length` bytes of what was opened to `sink`.
pub(super) async fn receive<S: Sink>(
    accessor: &Accessor<HostState>,
    opened: Opened,
    length: Option<u64>,
    mut sink: S,
) -> Outcome<(S, u64)> {
    let Opened { info, offset, contents } = opened;
    let available = info.size - offset;
    let due = length.map_or(available, |length| length.min(available));
    let checksum = info.checksum.filter(|_| due == info.size);
    let started = sink.start(info, due);
    if !matches!(started, Ok(Ok(()))) || (due == 0 && available > 0) {
        close(accessor, contents)?;
        return Ok(started.map(|_| (sink, 0)));
    }
    let clock = accessor.with(|mut access| Arc::clone(&access.data_mut().deadline));
    clock.expect(due);
    let (received, is_cut) = (Checksum::new(), due < available);
    let patience = Patience::default();
    let mut incoming = Incoming { sink, received, due, is_cut, clock, patience, size: due + offset, checksum };
    match contents {
        Contents::Bytes(bytes) => {
            let how = incoming.take_chunk(&bytes).await.unwrap_or(End::Closed);
            incoming.conclude(how, None).await
        }
        Contents::Streamed((stream, outcome)) => {
            take_stream(accessor, stream, outcome, incoming).await
        }
    }
}

/// Takes the bytes that are due from `stream`.
async fn take_stream<S: Sink>(
    accessor: &Accessor<HostState>,
    stream: StreamReader<u8>,
    outcome: FutureReader<Result<(), types::Error>>,
    incoming: Incoming<S>,
) -> Outcome<(S, u64)> {
    let (reported, report) = oneshot::channel();
    accessor.with(|mut access| outcome.pipe(&mut access, Forward(Some(reported))))?;
    let (how, incoming) = match take(stream, accessor) {
        Ok(file) => {
            telemetry::spliced();
            incoming.take_from(file).await
        }
        Err(stream) => match take_lower(stream, accessor) {
            Ok(lower) if lower.brings(incoming.due, incoming.checksum) => {
                telemetry::spliced();
                return incoming.hand_down(lower, report).await;
            }
            Ok(lower) => incoming.take_chunks(lower).await,
            Err(stream) => {
                let (ended, end) = oneshot::channel();
                let consumer = Consumer { incoming: Some(incoming), ended: Some(ended) };
                accessor.with(|mut access| stream.pipe(&mut access, consumer))?;
                let broken = |_| Failed::Protocol("its stream was dropped before its end".into());
                end.await.map_err(broken)?
            }
        },
    };
    incoming.conclude(how, Some(report)).await
}

/// What the backend says of the end of its stream.
async fn end_of(report: Report) -> Outcome<()> {
    match report.await {
        Ok(outcome) => Ok(outcome.map_err(ErrorKind::from)),
        Err(_) => Err(Failed::Protocol("it did not report how a read ended".into())),
    }
}

type Report = oneshot::Receiver<Result<(), types::Error>>;

/// How the stream ended.
enum End {
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
struct Incoming<S> {
    sink: S,
    received: Checksum,
    /// Bytes that are still due.
    due: u64,
    /// Whether the artifact goes on after them.
    is_cut: bool,
    clock: Arc<Deadline>,
    patience: Patience,
    /// The artifact's size, if it is read to its end.
    size: u64,
    /// The checksum of the bytes that are due, if it is known.
    checksum: Option<u64>,
}

impl<S: Sink> Incoming<S> {
    /// Compares what has come with what was due, with the checksum, and with what the backend says of
    /// the end of its stream, if there was one.
    async fn conclude(mut self, how: End, report: Option<Report>) -> Outcome<(S, u64)> {
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
    async fn take_from(mut self, mut file: FileBytes) -> (End, Self) {
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
    async fn take_chunks(mut self, mut lower: Lower) -> (End, Self) {
        while let Some(chunk) = poll_fn(|cx| lower.poll_chunk(cx)).await {
            if let Some(end) = self.take_chunk(&chunk).await {
                return (end, self);
            }
        }
        (End::Closed, self)
    }

    /// Takes all of `chunk`, unless that is the end.
    async fn take_chunk(&mut self, mut chunk: &[u8]) -> Option<End> {
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

    /// Lets the store below send what a layer handed on unread. That store verifies the bytes.
    async fn hand_down(self, lower: Lower, report: Report) -> Outcome<(S, u64)> {
        let (due, is_cut) = (self.due, self.is_cut);
        let (back, mut returned) = oneshot::channel();
        let (incoming, back, nothing) = (Some(self), Some(back), Vec::new());
        let lent = Lent { incoming, seen: 0, is_gone: false, back, nothing };
        let sent = lower.send(lent).await;
        let Ok(Some((incoming, is_gone))) = returned.try_recv() else {
            return Ok(Err(ErrorKind::Unavailable("the call below was lost".into())));
        };
        if is_gone {
            return incoming.so_far();
        }
        if is_cut && sent.is_ok() {
            return Ok(Ok((incoming.sink, due)));
        }
        if let Err(kind) = end_of(report).await? {
            return Ok(Err(kind));
        }
        match sent {
            Ok(()) => Ok(Ok((incoming.sink, due))),
            Err(why) => {
                let text = format!("it reported a read as complete that failed below: {why}");
                Err(Failed::Protocol(text))
            }
        }
    }

    fn so_far(self) -> Outcome<(S, u64)> {
        Ok(Ok((self.sink, self.received.size())))
    }

    /// Takes as many bytes as there is room for. `None` once it has the end.
    fn take(&mut self, bytes: &[u8]) -> (usize, Option<End>) {
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
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if let Poll::Ready(flushed) = self.sink.poll_flush(cx) {
            return Poll::Ready(flushed);
        }
        self.patience.poll_over(&self.clock, cx).map(|()| Err(Gone))
    }

    /// Waits for the turn, if another call got it while the backend waited for the caller.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.patience.poll_turn(&self.clock, cx).map_err(|_| Gone)
    }

    /// Waits until there is room for more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if self.sink.buffer().1 == 0 {
            ready!(self.poll_flush(cx))?;
        }
        self.poll_turn(cx)
    }
}

/// What a layer's caller takes, lent to the store below.
struct Lent<S: Sink> {
    /// `None` once it has been sent back.
    incoming: Option<Incoming<S>>,
    /// How many bytes of the buffer were counted.
    seen: usize,
    is_gone: bool,
    back: Option<oneshot::Sender<(Incoming<S>, bool)>>,
    nothing: Vec<u8>,
}

impl<S: Sink> Lent<S> {
    /// Counts the bytes that have come since this was last called.
    fn count(&mut self) {
        if let Some(incoming) = &mut self.incoming {
            let filled = incoming.sink.buffer().0.len();
            incoming.clock.delivered(filled.saturating_sub(self.seen) as u64);
            self.seen = filled;
        }
    }
}

impl<S: Sink> Sink for Lent<S> {
    /// Its own caller has been told.
    fn start(&mut self, _: Info, _: u64) -> Result<Result<(), Gone>, ErrorKind> {
        Ok(Ok(()))
    }

    fn buffer(&mut self) -> (&mut Vec<u8>, usize) {
        self.count();
        match &mut self.incoming {
            Some(incoming) => incoming.sink.buffer(),
            None => (&mut self.nothing, 0),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.count();
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(Err(Gone)) };
        let flushed = ready!(incoming.poll_flush(cx));
        let flushed = match flushed {
            Ok(()) => ready!(incoming.poll_turn(cx)),
            gone => gone,
        };
        self.is_gone |= flushed.is_err();
        self.seen = incoming.sink.buffer().0.len();
        Poll::Ready(flushed)
    }
}

impl<S: Sink> Drop for Lent<S> {
    fn drop(&mut self) {
        if let (Some(incoming), Some(back)) = (self.incoming.take(), self.back.take()) {
            let _ = back.send((incoming, self.is_gone));
        }
    }
}

/// Takes what the backend itself, or another host function, writes to the stream.
struct Consumer<S: Sink> {
    /// `None` once it has been sent back.
    incoming: Option<Incoming<S>>,
    ended: Option<oneshot::Sender<(End, Incoming<S>)>>,
}

impl<S: Sink> Consumer<S> {
    fn end(&mut self, how: End) -> Poll<wasmtime::Result<StreamResult>> {
        if let (Some(ended), Some(incoming)) = (self.ended.take(), self.incoming.take()) {
            // If the whole call is being dropped, the receiver is gone.
            let _ = ended.send((how, incoming));
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<S: Sink> StreamConsumer<HostState> for Consumer<S> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<HostState>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        match incoming.poll_room(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Gone)) => return self.end(End::Abandoned),
            Poll::Pending if finish => {
                incoming.clock.resume();
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            Poll::Pending => return Poll::Pending,
        }
        let mut source = source.as_direct(store);
        let (taken, end) = incoming.take(source.remaining());
        source.mark_read(taken);
        match end {
            Some(end) => self.end(end),
            None => Poll::Ready(Ok(StreamResult::Completed)),
        }
    }
}

/// The backend ended the stream.
impl<S: Sink> Drop for Consumer<S> {
    fn drop(&mut self) {
        if let Some(incoming) = &self.incoming {
            incoming.clock.resume();
        }
        let _ = self.end(End::Closed);
    }
}

/// Takes the value of a future that the backend completes.
pub(crate) struct Forward<T>(pub(crate) Option<oneshot::Sender<T>>);

impl<T: Lift + Send + Sync + Unpin + 'static> FutureConsumer<HostState> for Forward<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<HostState>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(value), Some(reported)) = (value, self.0.take()) {
            let _ = reported.send(value);
        }
        Poll::Ready(Ok(()))
    }
}
