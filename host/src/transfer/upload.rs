//! The host's end of `streams.write`: feeds the backend, seals the write, checks the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::channel::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, FutureReader, StreamProducer, StreamReader, StreamResult};

use crate::WriteOptions;
use crate::backend::Call;
use crate::bindings::streams::{self, Mode, Seal};
use crate::bindings::types;
use crate::error::ErrorKind;
use crate::instance::Deadline;
use crate::wasi::HostState;

/// What ends an upload: the seal, or why there is none.
pub(crate) type End = Result<Seal, String>;

/// Stores what `chunks` yields, if and when `end` says that it is complete.
pub(crate) async fn write(
    call: &Call,
    options: WriteOptions,
    chunks: impl Stream<Item = Bytes> + Send + Unpin + 'static,
    end: oneshot::Receiver<End>,
) -> Result<types::Info, ErrorKind> {
    // What the backend was told; a backend that did not ask was told nothing.
    let told = Arc::new(Mutex::new(None));
    let telling = Arc::clone(&told);
    let end = async move {
        let end = end.await.unwrap_or_else(|_| Err("the caller went away".into()));
        *telling.lock().unwrap_or_else(|e| e.into_inner()) = Some(end.clone());
        end
    };
    let stored = send(call, options, chunks, end).await;
    let told = told.lock().unwrap_or_else(|e| e.into_inner()).take();
    if let (Some(Err(why)), Err(ErrorKind::Other(_))) = (&told, &stored) {
        // It did as it was told (write-2), and is no failure of its own.
        return Err(ErrorKind::Io(std::io::Error::other(why.clone())));
    }
    let stored = stored?;
    let Some(Ok(seal)) = told else {
        return Err(ErrorKind::Protocol(
            "it reported a write as stored that was not sealed".into(),
        ));
    };
    if stored.size != seal.size {
        let text = format!("it stored {} bytes of {}", stored.size, seal.size);
        return Err(ErrorKind::Protocol(text));
    }
    if stored.checksum.is_some_and(|checksum| checksum != seal.checksum) {
        return Err(ErrorKind::Corrupt("the stored checksum is not the one of the data".into()));
    }
    Ok(types::Info { checksum: Some(seal.checksum), ..stored })
}

/// The call itself, whose answer is as the backend gave it.
pub(crate) async fn send(
    call: &Call,
    options: WriteOptions,
    chunks: impl Stream<Item = Bytes> + Send + Unpin + 'static,
    end: impl Future<Output = End> + Send + 'static,
) -> Result<types::Info, ErrorKind> {
    call.run(async |accessor, exports| {
        let Some(exported) = &exports.streams else {
            return Ok(Err(super::no_streams()));
        };
        let (data, end) = accessor.with(|mut access| {
            let deadline = Arc::clone(&access.data_mut().deadline);
            let data = StreamReader::new(&mut access, Producer { chunks, deadline })?;
            let end = async { wasmtime::error::Ok(end.await) };
            wasmtime::error::Ok((data, FutureReader::new(&mut access, end)?))
        })?;
        let mode = if options.create { Mode::Create } else { Mode::Overwrite };
        let options = streams::WriteOptions { mode, size: options.size };
        let answer = exported.call_write(accessor, call.key.clone(), data, end, options).await?;
        Ok(answer.map_err(ErrorKind::from))
    })
    .await
}

/// Hands chunks to whoever reads the stream: the backend itself, or a WASI call of the host
/// to which the backend passed it on.
struct Producer<S> {
    chunks: S,
    deadline: Arc<Deadline>,
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
        // A reader of no bytes asks whether some are there; it finds out by reading.
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match Pin::new(&mut self.chunks).poll_next(cx) {
            Poll::Ready(Some(chunk)) => {
                self.deadline.restart();
                destination.set_buffer(chunk);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => {
                self.deadline.restart();
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => {
                self.deadline.resume();
                Poll::Ready(Ok(StreamResult::Cancelled))
            }
            Poll::Pending => {
                self.deadline.pause();
                Poll::Pending
            }
        }
    }
}
