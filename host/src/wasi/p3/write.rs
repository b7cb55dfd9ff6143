//! Writing to files in WASI 0.3: the bytes of a stream are written to the system at once, directly
//! from the stream's memory.

use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use wasmtime::StoreContextMut;
use wasmtime::component::{
    FutureReader, LinkerInstance, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use super::Ended;
use crate::wasi::HostState;
use crate::wasi::errno::Code;
use crate::wasi::paths::Fd;
use crate::wasi::write::{Position, writable, write};

type Reported = (FutureReader<Result<(), ErrorCode>>,);

pub(super) fn link(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |store: StoreContextMut<'_, HostState>,
         (file, data, offset): (Fd, StreamReader<u8>, u64)| {
            start(store, &file, data, Position::At(offset))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |store: StoreContextMut<'_, HostState>, (file, data): (Fd, StreamReader<u8>)| {
            start(store, &file, data, Position::End)
        },
    )
}

fn start(
    mut store: StoreContextMut<'_, HostState>,
    file: &Fd,
    mut data: StreamReader<u8>,
    place: Position,
) -> wasmtime::Result<Reported> {
    let (mut ended, end) = Ended::new();
    let state = store.data_mut();
    let file = writable(state.table(), file).map(Arc::clone);
    match state.answer(file)? {
        Ok(file) => data.pipe(&mut store, Writer { file, place, ended })?,
        Err(code) => {
            data.close(&mut store)?;
            ended.tell(Err(code.into()));
        }
    }
    Ok((FutureReader::new(&mut store, end)?,))
}

struct Writer {
    file: Arc<File>,
    place: Position,
    /// A dropped write reports success.
    ended: Ended,
}

impl StreamConsumer<HostState> for Writer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, HostState>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(inline) = store.data().inline.clone() {
            ready!(inline.poll_thread(cx));
        }
        // From a file to a file, nothing else checks the deadline.
        store.data().check_deadline()?;
        let me = &mut *self;
        let trouble = store.data_mut().trouble.clone();
        let mut source = source.as_direct(store);
        match write(&me.file, &mut me.place, source.remaining()) {
            Ok(written) => {
                source.mark_read(written);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(error) => {
                trouble.note(&error);
                me.ended.tell(Err(Code::of(&error).into()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
        }
    }
}
