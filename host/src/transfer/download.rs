//! The host's end of `streams.read`: where the bytes come from, and which of them bypass the backend.

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
use super::incoming::{End, Incoming, Report, end_of};
use super::opening::{Opened, close, open};
use super::sink::{Gone, Sink};
use crate::bindings::streams::Contents;
use crate::bindings::types;
use crate::budget::Patience;
use crate::checksum::Checksum;
use crate::error::ErrorKind;
use crate::info::{Info, ReadOptions};
use crate::instance::{Failed, Outcome};
use crate::interface::Interface;
use crate::serving::Running;
use crate::telemetry;
use crate::wasi::{HostState, take};

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
    let mut incoming =
        Incoming { sink, received, due, is_cut, clock, patience, size: due + offset, checksum };
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

impl<S: Sink> Incoming<S> {
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
