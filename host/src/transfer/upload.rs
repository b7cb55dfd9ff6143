//! The host's end of `streams.write`: it feeds the backend, seals the write, and checks the answer.

use std::any::{Any, TypeId};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use futures::channel::oneshot;
use futures::future::{Either, select};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, FutureReader, StreamProducer, StreamReader, StreamResult};

use super::encrypt::encrypting;
use crate::bindings::streams::{self, Seal};
use crate::bindings::types;
use crate::budget::{Deadline, Patience};
use crate::encryption::{plain_info, sealed_size};
use crate::error::ErrorKind;
use crate::info::{Info, WriteOptions};
use crate::interface::Interface;
use crate::serving::Running;
use crate::wasi::HostState;

/// How an upload ends: with the seal, or with the reason why there is none.
pub(crate) type End = Result<Seal, String>;

/// Stores what `chunks` yields, if `end` says that it is complete.
pub(crate) async fn write(
    running: &Running,
    options: WriteOptions,
    chunks: impl Stream<Item = Bytes> + Send + Unpin + 'static,
    end: oneshot::Receiver<End>,
) -> Result<Info, ErrorKind> {
    options.attributes.check().map_err(ErrorKind::InvalidAttribute)?;
    let end = async { end.await.unwrap_or_else(|_| Err("the caller is gone".into())) };
    let Some(encryption) = &running.call.backend.encryption else {
        return store(running, options, chunks, end).await;
    };
    let (key, expected) = (&running.call.key, options.size);
    let (chunks, end) = encrypting(encryption, key, expected, chunks, end)?;
    let too_large = ErrorKind::TooLarge { limit: u64::MAX };
    let size = expected.map(|size| sealed_size(size).ok_or(too_large)).transpose()?;
    plain_info(store(running, WriteOptions { size, ..options }, chunks, end).await?)
}

/// Stores these bytes, and checks what the backend answers.
async fn store(
    running: &Running,
    options: WriteOptions,
    chunks: impl Stream<Item = Bytes> + Send + Unpin + 'static,
    end: impl Future<Output = End> + Send + 'static,
) -> Result<Info, ErrorKind> {
    let attributes = options.attributes.clone();
    // What the backend was told; `None` if it did not ask.
    let told = Arc::new(Mutex::new(None));
    let telling = Arc::clone(&told);
    let end = async move {
        let end = end.await;
        *telling.lock().unwrap_or_else(|e| e.into_inner()) = Some(end.clone());
        end
    };
    let stored = send(running, options, chunks, end).await;
    let told = told.lock().unwrap_or_else(|e| e.into_inner()).take();
    if let (Some(Err(why)), Err(ErrorKind::Other(_))) = (&told, &stored) {
        // It did as it was told (write-2), which is not a failure of its own.
        return Err(ErrorKind::Io(std::io::Error::other(why.clone())));
    }
    let stored = stored?;
    let Some(Ok(seal)) = told else {
        return Err(ErrorKind::Protocol(
            "it reported a write as stored before it was sealed".into(),
        ));
    };
    if stored.size != seal.size {
        let text = format!("it stored {} of {} bytes", stored.size, seal.size);
        return Err(ErrorKind::Protocol(text));
    }
    if stored.checksum.is_some_and(|checksum| checksum != seal.checksum) {
        return Err(ErrorKind::Corrupt("the stored checksum does not match the data".into()));
    }
    let stored = types::Info { checksum: Some(seal.checksum), ..stored };
    let stored = Info::try_from(stored).map_err(ErrorKind::Protocol)?;
    if stored.attributes != attributes {
        return Err(ErrorKind::Protocol("it stored other attributes than it was given".into()));
    }
    Ok(stored)
}

/// The call itself, whose answer is as the backend gave it.
pub(crate) async fn send(
    running: &Running,
    options: WriteOptions,
    chunks: impl Stream<Item = Bytes> + Send + Unpin + 'static,
    end: impl Future<Output = End> + Send + 'static,
) -> Result<types::Info, ErrorKind> {
    running
        .run(async |accessor, exports| {
            let Some(exported) = &exports.streams else {
                return Ok(Err(ErrorKind::not_exported(Interface::Streams)));
            };
            let (give_up, given_up) = oneshot::channel();
            let (data, end) = accessor.with(|mut access| {
                let clock = Arc::clone(&access.data_mut().deadline);
                let (patience, give_up) = (Patience::default(), Some(give_up));
                let (next, has_begun) = (None, false);
                let producer = Producer { chunks, next, has_begun, patience, give_up, clock };
                let data = StreamReader::new(&mut access, producer)?;
                let end = async { wasmtime::error::Ok(first(end, given_up).await) };
                wasmtime::error::Ok((data, FutureReader::new(&mut access, end)?))
            })?;
            let WriteOptions { mode, size, attributes } = &options;
            let (mode, attributes) = (mode.into(), attributes.list());
            let options = streams::WriteOptions { mode, size: *size, attributes };
            let answer =
                exported.call_write(accessor, running.call.key.clone(), data, end, options).await?;
            Ok(answer.map_err(ErrorKind::from))
        })
        .await
}

/// How the caller ends the write, unless the host ends it before.
async fn first(end: impl Future<Output = End>, given_up: oneshot::Receiver<String>) -> End {
    match select(pin!(end), given_up).await {
        Either::Left((end, _)) => end,
        Either::Right((Ok(why), _)) => Err(why),
        // All bytes are taken, or the backend takes no more.
        Either::Right((Err(_), end)) => end.await,
    }
}

/// Passes chunks to the reader of the stream: the backend itself, or a WASI call of the host to
/// which the backend passed the stream.
struct Producer<S> {
    chunks: S,
    /// What the caller sent, while the backend waits for its turn to take it.
    next: Option<Option<Bytes>>,
    has_begun: bool,
    patience: Patience,
    /// Ends the write for the backend if the caller pauses for too long.
    give_up: Option<oneshot::Sender<String>>,
    clock: Arc<Deadline>,
}

/// What the caller of a layer sends, taken from the stream that the layer handed on unread.
pub(crate) struct Handed(Mutex<Box<dyn Stream<Item = Bytes> + Send + Unpin>>);

impl Stream for Handed {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // It is locked for nobody: this makes it one that can be shared, which polling cannot.
        let stream = self.0.get_mut().unwrap_or_else(|e| e.into_inner());
        Pin::new(stream).poll_next(cx)
    }
}

/// The end of the stream does not say whether all bytes came: the seal does.
impl<S: Stream<Item = Bytes> + Send + Unpin> Stream for Producer<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll_chunk(cx)
    }
}

impl<S: Stream<Item = Bytes> + Unpin> Producer<S> {
    /// What the caller sends next; `None` if nothing more comes, or the host ends the write.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.has_begun = true;
        if self.clock.verdict().is_some() {
            self.give_up();
            return Poll::Ready(None);
        }
        if self.next.is_none() {
            match Pin::new(&mut self.chunks).poll_next(cx) {
                Poll::Ready(next) => self.next = Some(next),
                Poll::Pending => {
                    ready!(self.patience.poll_over(&self.clock, cx));
                    self.give_up();
                    return Poll::Ready(None);
                }
            }
        }
        if ready!(self.patience.poll_turn(&self.clock, cx)).is_err() {
            self.give_up();
            return Poll::Ready(None);
        }
        let chunk = self.next.take().flatten();
        self.clock.given(chunk.as_ref().map_or(0, Bytes::len) as u64);
        Poll::Ready(chunk)
    }
}

impl<S> Producer<S> {
    fn give_up(&mut self) {
        let why = self.clock.failure().to_string();
        if let Some(give_up) = self.give_up.take() {
            // If the backend does not listen, it is not told.
            let _ = give_up.send(why);
        }
    }
}

impl<S> StreamProducer<HostState> for Producer<S>
where
    S: Stream<Item = Bytes> + Send + Unpin + 'static,
{
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A read of zero bytes asks whether bytes are there; a real read will find out.
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.poll_chunk(cx) {
            Poll::Ready(Some(chunk)) => {
                destination.set_buffer(chunk);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => {
                if self.next.is_none() {
                    self.clock.resume();
                }
                Poll::Ready(Ok(StreamResult::Cancelled))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        // Once a layer has read some of it, wasmtime may hold bytes that would be lost.
        if ty != TypeId::of::<Handed>() || me.has_begun {
            return Err(me);
        }
        let stream: Box<Self> = Pin::into_inner(me);
        Ok(Box::new(Handed(Mutex::new(stream))))
    }
}

/// The backend takes no more: its own time runs again.
impl<S> Drop for Producer<S> {
    fn drop(&mut self) {
        self.clock.resume();
    }
}
