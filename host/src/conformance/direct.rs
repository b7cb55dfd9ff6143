//! Streams without the host's own guards: the checks see how a backend handles a wrong seal, and
//! what it sends beyond the end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{self, Stream, StreamExt};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::WriteOptions;
use crate::bindings::streams::{Contents, Seal};
use crate::bindings::types;
use crate::checksum::Checksum;
use crate::error::ErrorKind;
use crate::instance::Failed;
use crate::serving::Running;
use crate::transfer::download::Forward;
use crate::transfer::opening;
use crate::transfer::upload::{self, End};
use crate::wasi::HostState;

/// How many bytes more than announced are read of a backend.
const BEYOND: usize = 1 << 20;

/// One write: its bytes, and how it is sealed.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) chunks: Vec<Bytes>,
    pub(super) end: End,
    /// Whether `end` is available before the first byte, or only after the last.
    pub(super) end_first: bool,
    /// Whether the bytes end some time before `end` is available: a pause then lies between them.
    end_late: bool,
    pub(super) options: WriteOptions,
}

impl Upload {
    /// A correct write, in chunks of 64 KiB.
    pub(super) fn of(data: &[u8]) -> Self {
        let mut sum = Checksum::new();
        sum.update(data);
        let end = Ok(Seal { size: sum.size(), checksum: sum.value() });
        let chunks = data.chunks(64 << 10).map(Bytes::copy_from_slice).collect();
        let options = WriteOptions::default();
        Self { chunks, end, end_first: false, end_late: false, options }
    }

    pub(super) fn sealed(mut self, size: u64, checksum: u64) -> Self {
        self.end = Ok(Seal { size, checksum });
        self
    }

    pub(super) fn given_up(mut self, why: &str) -> Self {
        self.end = Err(why.into());
        self
    }

    pub(super) fn end_first(mut self) -> Self {
        self.end_first = true;
        self
    }

    pub(super) fn end_late(mut self) -> Self {
        self.end_late = true;
        self
    }

    pub(super) fn create(mut self) -> Self {
        self.options.mode = crate::Mode::Create;
        self
    }

    pub(super) fn replace(mut self, version: &str) -> Self {
        self.options.mode = crate::Mode::Replace(version.to_owned());
        self
    }

    pub(super) fn attributes(mut self, attributes: &crate::Attributes) -> Self {
        self.options.attributes = attributes.clone();
        self
    }

    pub(super) fn announced(mut self, size: u64) -> Self {
        self.options.size = Some(size);
        self
    }

    /// When `end` is available, as a report shows it.
    pub(super) fn order(&self) -> &'static str {
        match (self.end_first, self.end_late) {
            (true, _) => " before the bytes",
            (_, true) => " some time after the bytes",
            _ => "",
        }
    }

    pub(super) fn size(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// A point at which a transfer reports and waits until it is told to go on.
pub(super) struct Pause {
    pub(super) after: usize,
    reached: Sender<()>,
    resume: oneshot::Receiver<()>,
}

impl Pause {
    pub(super) fn new(after: usize) -> (Self, std::sync::mpsc::Receiver<()>, oneshot::Sender<()>) {
        let (reached, is_reached) = std::sync::mpsc::channel();
        let (go_on, resume) = oneshot::channel();
        (Self { after, reached, resume }, is_reached, go_on)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // If the check has failed meanwhile, the receiver is gone.
        let _ = self.reached.send(());
        let _ = ready!(Pin::new(&mut self.resume).poll(cx));
        Poll::Ready(())
    }
}

/// Writes as told, and pauses after so many chunks.
pub(super) async fn write(
    running: &Running,
    upload: Upload,
    pause: Option<Pause>,
) -> Result<types::Info, ErrorKind> {
    let Upload { chunks, end, end_first, end_late, options } = upload;
    if end_late {
        let mut pause = pause;
        let end = async move {
            if let Some(pause) = &mut pause {
                poll_fn(|cx| pause.poll(cx)).await;
            }
            end
        };
        return upload::send(running, options, stream::iter(chunks), end).await;
    }
    let (say, said) = oneshot::channel();
    let mut say = Some((say, end));
    if end_first && let Some((say, end)) = say.take() {
        let _ = say.send(end);
    }
    let chunks = paused(chunks, pause).chain(stream::once(async move {
        if let Some((say, end)) = say {
            let _ = say.send(end);
        }
        Bytes::new()
    }));
    // The empty chunk at the end is not sent.
    let chunks = chunks.filter(|chunk| std::future::ready(!chunk.is_empty()));
    let end = async { said.await.unwrap_or_else(|_| Err("the caller is gone".into())) };
    upload::send(running, options, Box::pin(chunks), end).await
}

fn paused(chunks: Vec<Bytes>, mut pause: Option<Pause>) -> impl Stream<Item = Bytes> + Send {
    let mut chunks = chunks.into_iter().enumerate();
    let mut held = None;
    stream::poll_fn(move |cx| {
        if held.is_none() {
            held = chunks.next();
        }
        let at = held.as_ref().map_or(usize::MAX, |(at, _)| *at);
        if let Some(waiting) = pause.as_mut().filter(|pause| at >= pause.after) {
            ready!(waiting.poll(cx));
            pause = None;
        }
        Poll::Ready(held.take().map(|(_, chunk)| chunk))
    })
}

/// The result of a read.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) info: types::Info,
    pub(super) bytes: Vec<u8>,
    /// How the backend said that it ended; `None` if the reader dropped the stream.
    pub(super) end: Option<Result<(), ErrorKind>>,
}

/// Reads to the end, or only the first `take` bytes, and pauses after so many bytes.
pub(super) async fn read(
    running: &Running,
    (offset, length): (u64, Option<u64>),
    take: Option<usize>,
    pause: Option<Pause>,
) -> Result<Download, ErrorKind> {
    running
        .run(async |accessor, exports| {
            let Some(streams) = &exports.streams else {
                return Ok(Err(ErrorKind::Unsupported(
                    "the backend does not export `streams`".into(),
                )));
            };
            let (info, contents) =
                match opening::call(accessor, streams, &running.call.key, offset, length).await? {
                    Ok(answer) => answer,
                    Err(kind) => return Ok(Err(kind)),
                };
            let (stream, outcome) = match contents {
                Contents::Streamed(streamed) => streamed,
                Contents::Bytes(mut bytes) => {
                    if let Some(mut pause) = pause.filter(|pause| pause.after <= bytes.len()) {
                        poll_fn(|cx| pause.poll(cx)).await;
                    }
                    bytes.truncate(take.unwrap_or(usize::MAX));
                    let end = take.is_none().then_some(Ok(()));
                    return Ok(Ok(Download { info, bytes, end }));
                }
            };
            let bytes = Arc::new(Mutex::new(Vec::new()));
            let (ended, end) = oneshot::channel();
            let (reported, report) = oneshot::channel();
            let most = take.unwrap_or_else(|| {
                usize::try_from(info.size).unwrap_or(usize::MAX).saturating_add(BEYOND)
            });
            accessor.with(|mut access| {
                let bytes = Arc::clone(&bytes);
                let collector = Collector { bytes, most, pause, _ended: ended };
                stream.pipe(&mut access, collector)?;
                outcome.pipe(&mut access, Forward(Some(reported)))
            })?;
            // The sender is dropped with the collector, at the end.
            let _: Result<(), _> = end.await;
            let bytes = std::mem::take(&mut *bytes.lock().unwrap_or_else(|e| e.into_inner()));
            let end = match take {
                Some(_) => None,
                None => match report.await {
                    Ok(end) => Some(end.map_err(ErrorKind::from)),
                    Err(_) => {
                        return Err(Failed::Protocol("it did not report how a read ended".into()));
                    }
                },
            };
            Ok(Ok(Download { info, bytes, end }))
        })
        .await
}

/// Collects up to `most` bytes.
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    most: usize,
    pause: Option<Pause>,
    _ended: oneshot::Sender<()>,
}

impl StreamConsumer<HostState> for Collector {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<HostState>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let me = &mut *self;
        let mut bytes = me.bytes.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(pause) = me.pause.as_mut().filter(|pause| bytes.len() >= pause.after) {
            match pause.poll(cx) {
                Poll::Ready(()) => me.pause = None,
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut source = source.as_direct(store);
        let rest = source.remaining();
        let room = match &me.pause {
            Some(pause) => pause.after - bytes.len(),
            None => me.most - bytes.len(),
        };
        let taken = rest.len().min(room);
        bytes.extend_from_slice(&rest[..taken]);
        source.mark_read(taken);
        match bytes.len() >= me.most {
            true => Poll::Ready(Ok(StreamResult::Dropped)),
            false => Poll::Ready(Ok(StreamResult::Completed)),
        }
    }
}
