//! The ends of a layer, which is the caller of the store below it. If it hands a stream on unread, the
//! bytes move between its own caller and that store, and never enter the layer.

use std::any::{Any, TypeId};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use futures::channel::{mpsc, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
};

use super::opening::AT_ONCE;
use super::reader::ArtifactReader;
use super::sink::{Chunks, Gone, Sink};
use super::upload::Handed;
use crate::chunk::{self, CHUNK};
use crate::error::{Error, ErrorKind, Result};
use crate::info::{Info, ReadOptions};
use crate::serving::{Loaded, RunBy};
use crate::wasi::HostState;

/// A read of the store below. Where its bytes go is open until somebody wants the first of them.
pub(crate) struct Lower {
    reader: ArtifactReader,
    /// The number of bytes that it brings.
    due: u64,
    open: Option<Open>,
    /// Tells the layer how it ended.
    ended: Option<oneshot::Sender<Result<()>>>,
}

/// Takes the sink, and the sender for one whose bytes are taken chunk by chunk.
type Open = (oneshot::Sender<Box<dyn Sink>>, mpsc::Sender<Bytes>);

/// What a layer gets of the store below.
pub(crate) enum Opened {
    /// All bytes, which are known to be right.
    AtOnce(Info, Vec<u8>),
    /// A stream, and what becomes known of its end.
    Streamed(Box<Lower>, oneshot::Receiver<Result<()>>),
}

impl Lower {
    /// Begins to read, and reads all of what is no more than one answer.
    pub(crate) async fn open(
        backend: Arc<Loaded>,
        key: &str,
        options: ReadOptions,
    ) -> Result<Opened> {
        let (chosen, choice) = oneshot::channel();
        let (start, started) = oneshot::channel();
        let (chunks, received) = mpsc::channel(0);
        let few = chunks.clone();
        let late = move || Late {
            start: Some(start),
            few: Some(few),
            choice,
            sink: None,
            nothing: Vec::new(),
        };
        let by = RunBy::Layer;
        let mut reader =
            ArtifactReader::begin(backend, key, options, by, late, started, received).await?;
        let available = reader.info().size.saturating_sub(options.offset);
        let due = options.length.map_or(available, |length| length.min(available));
        if due <= AT_ONCE as u64 {
            drop(chunks);
            let mut bytes = reader.next_chunk().await?.map(Vec::from).unwrap_or_default();
            while let Some(chunk) = reader.next_chunk().await? {
                bytes.extend_from_slice(&chunk);
            }
            return Ok(Opened::AtOnce(reader.info().clone(), bytes));
        }
        let open = Some((chosen, chunks));
        let (ended, end) = oneshot::channel();
        let lower = Box::new(Self { reader, due, open, ended: Some(ended) });
        Ok(Opened::Streamed(lower, end))
    }

    pub(crate) fn info(&self) -> &Info {
        self.reader.info()
    }

    /// Whether it brings `due` bytes that have this checksum, if there is one.
    pub(super) fn brings(&self, due: u64, checksum: Option<u64>) -> bool {
        let is_verified = self.info().size == due && self.info().checksum == checksum;
        self.due == due && (checksum.is_none() || is_verified)
    }

    /// Sends all bytes into `sink`; the text says why it failed, which the layer is told too.
    pub(super) async fn send(mut self, sink: impl Sink) -> Result<(), String> {
        if let Some((chosen, _)) = self.open.take() {
            // If the call below has ended, its outcome says how.
            let _ = chosen.send(Box::new(sink));
        }
        let outcome = poll_fn(|cx| self.reader.poll_outcome(cx)).await;
        let failed = outcome.as_ref().err().map(|error| error.kind().to_string());
        self.end(outcome);
        failed.map_or(Ok(()), Err)
    }

    /// The next bytes; `None` at the end, which the layer is told.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some((chosen, chunks)) = self.open.take() {
            let _ = chosen.send(Box::new(Chunks::started(chunks, self.due)));
        }
        match ready!(self.reader.poll_chunk(cx)) {
            Ok(Some(chunk)) => {
                self.reader.pause();
                Poll::Ready(Some(chunk))
            }
            Ok(None) => {
                self.end(Ok(()));
                Poll::Ready(None)
            }
            Err(error) => {
                self.end(Err(error));
                Poll::Ready(None)
            }
        }
    }

    fn end(&mut self, outcome: Result<()>) {
        if let Some(ended) = self.ended.take() {
            // A layer that dropped its future is not told.
            let _ = ended.send(outcome);
        }
    }
}

/// The read of the store below whose stream a layer handed on unread, or the stream itself if it is
/// another one.
pub(super) fn take_lower(
    stream: StreamReader<u8>,
    accessor: &Accessor<HostState>,
) -> Result<Lower, StreamReader<u8>> {
    accessor.with(|access| stream.try_into::<Lower>(access))
}

impl StreamProducer<HostState> for Lower {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // From one stream of the host to another, nothing else checks the deadline.
        store.data().check_deadline()?;
        // A read of zero bytes asks whether bytes are there; a real read will find out.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.poll_chunk(cx) {
            Poll::Ready(Some(chunk)) => {
                store.data().deadline.received(chunk.len() as u64);
                destination.set_buffer(chunk);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        // Once a layer has read some of it, wasmtime may hold bytes that would be lost.
        if ty != TypeId::of::<Self>() || me.open.is_none() {
            return Err(me);
        }
        let lower: Box<Self> = Pin::into_inner(me);
        Ok(lower)
    }
}

/// Waits for the sink that the bytes are to go to, unless they are few.
struct Late {
    start: Option<oneshot::Sender<Info>>,
    /// Takes bytes that are no more than one answer.
    few: Option<mpsc::Sender<Bytes>>,
    choice: oneshot::Receiver<Box<dyn Sink>>,
    sink: Option<Box<dyn Sink>>,
    nothing: Vec<u8>,
}

impl Sink for Late {
    fn start(&mut self, info: Info, due: u64) -> Result<Result<(), Gone>, ErrorKind> {
        if let Some(few) = self.few.take().filter(|_| due <= AT_ONCE as u64) {
            self.sink = Some(Box::new(Chunks::started(few, due)));
        }
        Ok(self.start.take().and_then(|start| start.send(info).ok()).ok_or(Gone))
    }

    fn buffer(&mut self) -> (&mut Vec<u8>, usize) {
        match &mut self.sink {
            Some(sink) => sink.buffer(),
            None => (&mut self.nothing, 0),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if let Some(sink) = &mut self.sink {
            return sink.poll_flush(cx);
        }
        let mut sink = ready!(Pin::new(&mut self.choice).poll(cx)).map_err(|_| Gone)?;
        let has_room = sink.buffer().1 > 0;
        let sink = self.sink.insert(sink);
        if has_room { Poll::Ready(Ok(())) } else { sink.poll_flush(cx) }
    }
}

/// What a layer sends to the store below.
pub(crate) enum Sent {
    /// The layer hands on what its own caller sends.
    Unread(Handed),
    /// The layer itself, or another function of the host, writes it.
    Own(mpsc::Receiver<Bytes>),
}

impl Sent {
    pub(crate) fn take(
        accessor: &Accessor<HostState>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Self> {
        accessor.with(|mut access| match data.try_into::<Handed>(&mut access) {
            Ok(handed) => Ok(Self::Unread(handed)),
            Err(data) => {
                let (chunks, received) = mpsc::channel(0);
                data.pipe(&mut access, Collector { chunks })?;
                Ok(Self::Own(received))
            }
        })
    }
}

impl Stream for Sent {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match &mut *self {
            Self::Unread(handed) => Pin::new(handed).poll_next(cx),
            Self::Own(chunks) => Pin::new(chunks).poll_next(cx),
        }
    }
}

/// What a layer sends, for as long as the call lasts that stores it, and as the backend takes it. The
/// stream into the backend may outlive the call, in an instance that is idle, and the call may outlive
/// the stream, until it has the seal; without this the layer would wait for the one or the other.
pub(crate) struct Lasting(Arc<Mutex<Option<Sent>>>);

impl Lasting {
    pub(crate) fn new(sent: Sent) -> Self {
        Self(Arc::new(Mutex::new(Some(sent))))
    }

    /// The call has ended, and takes no more.
    pub(crate) fn end(&self) {
        drop(self.sent().take());
    }

    /// Who takes the bytes, or has to be there for that: when one of these is dropped, nobody takes more.
    pub(crate) fn taker(&self) -> Taker {
        Taker(Self(Arc::clone(&self.0)))
    }

    fn sent(&self) -> MutexGuard<'_, Option<Sent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Taker(Lasting);

impl Drop for Taker {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Stream for Taker {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.sent().as_mut().map_or(Poll::Ready(None), |sent| Pin::new(sent).poll_next(cx))
    }
}

/// Takes what a layer writes to a stream.
struct Collector {
    chunks: mpsc::Sender<Bytes>,
}

impl StreamConsumer<HostState> for Collector {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, HostState>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        store.data().check_deadline()?;
        match self.chunks.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let deadline = Arc::clone(&store.data().deadline);
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        // A write of zero bytes asks whether there is room.
        if bytes.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let taken = bytes.len().min(CHUNK);
        let mut data = chunk::empty(taken);
        data.extend_from_slice(&bytes[..taken]);
        source.mark_read(taken);
        deadline.sent(taken as u64);
        let sent = self.chunks.start_send(chunk::share(data));
        Poll::Ready(Ok(match sent {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

/// The error of a call on the store below, as a layer is told it.
pub(crate) fn told(error: &Error) -> crate::bindings::types::Error {
    use crate::bindings::types::Error as Told;
    let text = || error.kind().to_string();
    match error.kind() {
        ErrorKind::NotFound => Told::NotFound,
        ErrorKind::AlreadyExists => Told::AlreadyExists,
        ErrorKind::ConditionFailed => Told::ConditionFailed,
        ErrorKind::InvalidKey(text) => Told::InvalidKey(text.clone()),
        ErrorKind::InvalidRange => Told::InvalidRange,
        ErrorKind::TooLarge { limit } => Told::TooLarge(*limit),
        ErrorKind::AccessDenied(text) => Told::AccessDenied(text.clone()),
        ErrorKind::NoSpace(text) => Told::NoSpace(text.clone()),
        ErrorKind::Corrupt(text) => Told::Corrupt(text.clone()),
        ErrorKind::Unavailable(text) => Told::Unavailable(text.clone()),
        ErrorKind::Unsupported(text) => Told::Unsupported(text.clone()),
        ErrorKind::Other(text) => Told::Other(text.clone()),
        // The outcome of a change is unknown.
        kind if kind.is_fault() => Told::Unavailable(text()),
        ErrorKind::Busy { .. } => Told::Unavailable(text()),
        // The layer hears its own reason for giving up.
        ErrorKind::Io(reason) => Told::Other(reason.to_string()),
        _ => Told::Other(text()),
    }
}
