//! Reading a directory in WASI 0.3: a stream of entries, of which the host holds one batch.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, FutureReader, LinkerInstance, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};
use wasmtime_wasi::p3::bindings::filesystem::types::{DirectoryEntry, ErrorCode};

use super::Ended;
use super::methods::kind_of;
use crate::wasi::directory::{BATCH, Entries, LeftOut};
use crate::wasi::errno::{Called, Code};
use crate::wasi::paths::{self, Fd};
use crate::wasi::{HostState, Links};

/// The result of reading a directory in WASI: its entries, and how reading them ended.
type Reading = (StreamReader<DirectoryEntry>, FutureReader<Result<(), ErrorCode>>);

pub(super) fn link(
    types: &mut LinkerInstance<'_, HostState>,
    links: Links,
) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.read-directory",
        move |mut store: StoreContextMut<'_, HostState>, (dir,): (Fd,)| {
            let (mut ended, end) = Ended::new();
            let state = store.data_mut();
            let entries = open(state, &dir);
            let stream = match state.answer(entries)? {
                Ok(entries) => {
                    let left_out = LeftOut::default();
                    StreamReader::new(&mut store, Stream { entries, left_out, ended, links })?
                }
                Err(code) => {
                    ended.tell(Err(code.into()));
                    StreamReader::new(&mut store, std::iter::empty::<DirectoryEntry>())?
                }
            };
            Ok::<(Reading,), _>(((stream, FutureReader::new(&mut store, end)?),))
        },
    )
}

fn open(state: &mut HostState, dir: &Fd) -> Called<Entries> {
    Ok(Entries::of(paths::dir(state.table(), dir)?)?)
}

struct Stream {
    entries: Entries,
    left_out: LeftOut,
    ended: Ended,
    links: Links,
}

impl Stream {
    /// How the reading ended. WASI cannot express a name that is not UTF-8; all other names were
    /// reported. The built-in backend knows this about this host, and learns which names were left
    /// out.
    fn outcome(&self) -> Result<(), ErrorCode> {
        match (self.left_out.text(), self.links) {
            (None, _) => Ok(()),
            (text, Links::Never) => Err(ErrorCode::Other(text)),
            (Some(_), Links::Within) => Err(ErrorCode::IllegalByteSequence),
        }
    }
}

impl StreamProducer<HostState> for Stream {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let room = destination.remaining(&mut store).unwrap_or(BATCH).min(BATCH);
        // A read of zero entries asks whether entries are there; a real read will find out.
        if room == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if let Some(inline) = store.data().inline.clone() {
            ready!(inline.poll_thread(cx));
        }
        let me = &mut *self;
        let mut batch = Vec::new();
        let mut result = StreamResult::Completed;
        for _ in 0..BATCH {
            match me.entries.next() {
                Some(Ok(Some(entry))) => match entry.name.into_string() {
                    Ok(name) => batch.push(DirectoryEntry { type_: kind_of(entry.kind), name }),
                    Err(error) => me.left_out.add(error.into_cstring().to_bytes()),
                },
                Some(Ok(None)) => {}
                Some(Err(errno)) => {
                    let error = errno.into();
                    store.data_mut().trouble.note(&error);
                    me.ended.tell(Err(Code::of(&error).into()));
                    result = StreamResult::Dropped;
                    break;
                }
                None => {
                    me.ended.tell(me.outcome());
                    result = StreamResult::Dropped;
                    break;
                }
            }
            if batch.len() == room {
                break;
            }
        }
        if batch.is_empty() && matches!(result, StreamResult::Completed) {
            // A directory may have endlessly many entries that are skipped: other tasks may run,
            // including the one that checks the deadline.
            if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        destination.set_buffer(batch.into());
        Poll::Ready(Ok(result))
    }
}
