//! The host's end of `streams.read`: takes what the backend sends, counts it, cuts what was
//! not asked for, and compares a whole artifact with its checksum.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use futures::channel::{mpsc, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{FutureConsumer, Lift, Source, StreamConsumer, StreamResult};

use super::CHUNK;
use crate::ReadOptions;
use crate::backend::Call;
use crate::bindings::types;
use crate::checksum::Checksum;
use crate::error::ErrorKind;
use crate::instance::{Deadline, Failed, HostState};

/// Sends the artifact's info to `start`, then the bytes that the options name to `chunks`. Only
/// when this returns ok were all of them right; it says how many.
pub(crate) async fn read(
    call: &Call,
    ReadOptions { offset, length }: ReadOptions,
    start: oneshot::Sender<types::Info>,
    mut chunks: mpsc::Sender<Bytes>,
) -> Result<u64, ErrorKind> {
    call.run(async |accessor, exports| {
        let Some(streams) = &exports.streams else {
            return Ok(Err(super::no_streams()));
        };
        let answer = streams.call_read(accessor, call.key.clone(), offset, length).await?;
        let (info, mut stream, mut outcome) = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        let Some(available) = info.size.checked_sub(offset) else {
            return Err(Failed::Protocol("it read beyond the artifact's end".into()));
        };
        let due = length.map_or(available, |length| length.min(available));
        let is_whole = due == info.size;
        let checksum = info.checksum;
        let caller_waits = start.send(info).is_ok();
        if !caller_waits || (due == 0 && available > 0) {
            stream.close_with(accessor)?;
            outcome.close_with(accessor)?;
            return Ok(Ok(0));
        }
        let (ended, end) = oneshot::channel();
        let (reported, report) = oneshot::channel();
        let deadline = accessor.with(|mut access| {
            let deadline = Arc::clone(&access.data_mut().deadline);
            let consumer = Consumer {
                chunks: chunks.clone(),
                buffer: BytesMut::new(),
                received: Checksum::new(),
                due,
                is_cut: due < available,
                deadline: Arc::clone(&deadline),
                ended: Some(ended),
                how: End::Closed,
            };
            stream.pipe(&mut access, consumer)?;
            outcome.pipe(&mut access, Report(Some(reported)))?;
            wasmtime::error::Ok(deadline)
        })?;
        let Ok((how, rest, received)) = end.await else {
            return Err(Failed::Protocol("its stream ended without an end".into()));
        };
        match how {
            End::Abandoned => return Ok(Ok(received.size())),
            End::TooMany => {
                let text =
                    format!("the artifact is longer than the {} bytes it states", due + offset);
                return Ok(Err(ErrorKind::Corrupt(text)));
            }
            End::Closed | End::Cut => {}
        }
        deadline.pause();
        if !rest.is_empty() && chunks.send(rest).await.is_err() {
            return Ok(Ok(received.size()));
        }
        deadline.restart();
        // After a cut the backend's outcome says nothing about the bytes that were due.
        if !matches!(how, End::Cut) {
            match report.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Ok(Err(error.into())),
                Err(_) => return Err(Failed::Protocol("it did not say how a read ended".into())),
            }
        }
        if received.size() != due {
            let text = format!("{} bytes came of the {due} that are due", received.size());
            return Ok(Err(ErrorKind::Corrupt(text)));
        }
        if is_whole && checksum.is_some_and(|checksum| checksum != received.value()) {
            let text = "the bytes do not match the artifact's checksum";
            return Ok(Err(ErrorKind::Corrupt(text.into())));
        }
        Ok(Ok(due))
    })
    .await
}

/// How the stream ended.
enum End {
    /// The backend ended it.
    Closed,
    /// The host ended it, having all that was asked for.
    Cut,
    /// The host ended it: more came than the artifact has.
    TooMany,
    /// The caller is gone.
    Abandoned,
}

/// Gathers what the backend sends into chunks for the caller.
struct Consumer {
    chunks: mpsc::Sender<Bytes>,
    buffer: BytesMut,
    received: Checksum,
    /// Bytes that have yet to come.
    due: u64,
    /// Whether the artifact goes on after them.
    is_cut: bool,
    deadline: Arc<Deadline>,
    ended: Option<oneshot::Sender<(End, Bytes, Checksum)>>,
    how: End,
}

impl Consumer {
    fn end(&mut self, how: End) -> Poll<wasmtime::Result<StreamResult>> {
        self.how = how;
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl StreamConsumer<HostState> for Consumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<HostState>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let me = &mut *self;
        if me.buffer.len() >= CHUNK {
            match me.chunks.poll_ready(cx) {
                Poll::Ready(Ok(())) => {
                    let chunk = me.buffer.split().freeze();
                    if me.chunks.start_send(chunk).is_err() {
                        return me.end(End::Abandoned);
                    }
                }
                Poll::Ready(Err(_)) => return me.end(End::Abandoned),
                Poll::Pending if finish => {
                    me.deadline.resume();
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                Poll::Pending => {
                    me.deadline.pause();
                    return Poll::Pending;
                }
            }
        }
        me.deadline.resume();
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let due = usize::try_from(me.due).unwrap_or(usize::MAX);
        let room = CHUNK - me.buffer.len();
        let taken = bytes.len().min(due).min(room);
        if taken < bytes.len() && taken == due && !me.is_cut {
            return me.end(End::TooMany);
        }
        me.received.update(&bytes[..taken]);
        me.buffer.extend_from_slice(&bytes[..taken]);
        source.mark_read(taken);
        me.due -= taken as u64;
        if taken > 0 {
            me.deadline.restart();
        }
        match me.due {
            0 if me.is_cut => me.end(End::Cut),
            _ => Poll::Ready(Ok(StreamResult::Completed)),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let how = std::mem::replace(&mut self.how, End::Closed);
            let received = std::mem::replace(&mut self.received, Checksum::new());
            // Nobody listens where the whole call is being dropped.
            let _ = ended.send((how, self.buffer.split().freeze(), received));
        }
    }
}

/// Takes the value of a future that the backend completes.
struct Report<T>(Option<oneshot::Sender<T>>);

impl<T: Lift + Send + Sync + Unpin + 'static> FutureConsumer<HostState> for Report<T> {
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
