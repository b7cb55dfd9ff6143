//! The recorder for `wasi:filesystem@0.3.0`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use wasmtime::component::{
    Access, Accessor, FutureReader, Linker, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    HostDescriptorWithStore, MetadataHashValue, OpenFlags, PathFlags,
};

use super::fault_kinds::Fault;
use super::intercept::{Answer, Fd, answers, identity, killed, shadow_all, writable};
use super::recorder::{Intent, Recorder, Refusal};
use crate::wasi::HostState;

const INTERFACE: &str = "wasi:filesystem/types@0.3.0";

type Ended = Result<(), ErrorCode>;

answers!();

/// Puts the recorder before an `async func` of descriptors. `$id` identifies the file of a
/// descriptor, and `$intent` describes what the call is about to do.
macro_rules! shadow {
    ($linker:ident, $recorder:ident, $name:literal,
     $method:ident($fd:ident $(, $arg:ident: $ty:ty)*) -> $answer:ty, |$id:ident| $intent:expr) => {
        let recorder = Arc::clone($recorder);
        $linker.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            move |accessor: &Accessor<HostState>, ($fd, $($arg,)*): (Fd, $($ty,)*)| {
                let recorder = Arc::clone(&recorder);
                Box::pin(async move {
                    let accessor = accessor.with_getter::<WasiFilesystem>(HostState::filesystem);
                    let $id = |fd: &Fd| {
                        accessor.with(|mut store| identity(&recorder, store.get().table, fd))
                    };
                    let intent = $intent;
                    if let Err(refusal) = recorder.begin($name, &intent) {
                        return Ok((Err(refused(refusal)?),));
                    }
                    // What is durable is up to the model; the disk would only take its time.
                    if matches!(intent, Intent::Sync { .. })
                        && let Some(nothing) = <$answer>::of_nothing()
                    {
                        recorder.end($name, &intent, None);
                        return Ok((Ok(nothing),));
                    }
                    let answer = WasiFilesystem::$method(&accessor, $fd, $($arg),*).await;
                    let answer: $answer = match answer {
                        Ok(answer) => answer,
                        Err(error) => return Ok((Err(error.downcast()?),)),
                    };
                    let opened = answer.opened().map($id).transpose()?;
                    recorder.end($name, &intent, opened.map(|(inode, _)| inode));
                    Ok((Ok::<$answer, ErrorCode>(answer),))
                })
            },
        )?;
    };
}

pub(super) fn add_to_linker(
    linker: &mut Linker<HostState>,
    recorder: &Arc<Recorder>,
) -> wasmtime::Result<()> {
    let mut linker = linker.instance(INTERFACE)?;
    let linker = &mut linker;
    shadow_all!(shadow, linker, recorder);

    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.read-via-stream",
        move |mut store: StoreContextMut<'_, HostState>, (fd, offset): (Fd, u64)| match recorded
            .begin("read-via-stream", &Intent::Read)
        {
            Ok(()) => {
                let access = Access::<_, WasiFilesystem>::new(store, HostState::filesystem);
                Ok((WasiFilesystem::read_via_stream(access, fd, offset)?,))
            }
            Err(Refusal::Fault(Fault::ShortTransfer)) => {
                let half = half_of(store.data_mut().filesystem().table.get(&fd)?, offset)?;
                let stream = StreamReader::new(&mut store, half)?;
                Ok(((stream, ended(&mut store, Ok(()))?),))
            }
            Err(refusal) => {
                let code = refused(refusal)?;
                let stream = StreamReader::new(&mut store, std::iter::empty::<u8>())?;
                Ok(((stream, ended(&mut store, Err(code))?),))
            }
        },
    )?;
    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.read-directory",
        move |mut store: StoreContextMut<'_, HostState>, (fd,): (Fd,)| match recorded
            .begin("read-directory", &Intent::Look)
        {
            Ok(()) => {
                let access = Access::<_, WasiFilesystem>::new(store, HostState::filesystem);
                Ok((WasiFilesystem::read_directory(access, fd)?,))
            }
            Err(refusal) => {
                let code = refused(refusal)?;
                let stream = StreamReader::new(&mut store, std::iter::empty::<DirectoryEntry>())?;
                Ok(((stream, ended(&mut store, Err(code))?),))
            }
        },
    )?;
    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.write-via-stream",
        move |store: StoreContextMut<'_, HostState>,
              (fd, data, offset): (Fd, StreamReader<u8>, u64)| {
            write(store, &recorded, "write-via-stream", &fd, data, Some(offset))
        },
    )?;
    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.append-via-stream",
        move |store: StoreContextMut<'_, HostState>, (fd, data): (Fd, StreamReader<u8>)| {
            write(store, &recorded, "append-via-stream", &fd, data, None)
        },
    )
}

fn ended(
    store: &mut StoreContextMut<'_, HostState>,
    outcome: Ended,
) -> wasmtime::Result<FutureReader<Ended>> {
    FutureReader::new(store, async move { wasmtime::error::Ok(outcome) })
}

/// Half of the bytes of a file from `offset` on.
fn half_of(descriptor: &Descriptor, offset: u64) -> wasmtime::Result<Vec<u8>> {
    let Descriptor::File(file) = descriptor else { return Ok(Vec::new()) };
    let size = file.file.metadata()?.len().saturating_sub(offset) / 2;
    let mut half = vec![0; usize::try_from(size)?];
    file.file.read_exact_at(&mut half, offset)?;
    Ok(half)
}

fn write(
    mut store: StoreContextMut<'_, HostState>,
    recorder: &Arc<Recorder>,
    name: &'static str,
    fd: &Fd,
    mut data: StreamReader<u8>,
    offset: Option<u64>,
) -> wasmtime::Result<(FutureReader<Ended>,)> {
    let Some(file) = writable(store.data_mut().filesystem().table, fd)? else {
        data.close(store.as_context_mut())?;
        return Ok((ended(&mut store, Err(ErrorCode::NotPermitted))?,));
    };
    let (done, outcome) = oneshot::channel();
    let recorder = Arc::clone(recorder);
    let writer = Writer { recorder, name, file, offset, done: Some(done) };
    data.pipe(store.as_context_mut(), writer)?;
    Ok((FutureReader::new(&mut store, outcome)?,))
}

/// Writes a stream to a file; each chunk is one call of the filesystem.
struct Writer {
    recorder: Arc<Recorder>,
    name: &'static str,
    file: Arc<File>,
    offset: Option<u64>,
    done: Option<oneshot::Sender<Ended>>,
}

impl Writer {
    fn end(&mut self, outcome: Ended) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(done) = self.done.take() {
            // The receiver may be gone.
            let _ = done.send(outcome);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<D> StreamConsumer<D> for Writer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        if source.remaining().is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.recorder.write(self.name, &self.file, self.offset, source.remaining()) {
            Ok(Ok((written, is_cut))) => {
                source.mark_read(written);
                if let Some(offset) = &mut self.offset {
                    *offset += written as u64;
                }
                match is_cut {
                    true => self.end(Ok(())),
                    false => Poll::Ready(Ok(StreamResult::Completed)),
                }
            }
            Ok(Err(refusal)) => match refused(refusal) {
                Ok(code) => self.end(Err(code)),
                Err(killed) => Poll::Ready(Err(killed)),
            },
            Err(error) => self.end(Err(error.into())),
        }
    }
}

/// As in wasmtime, a dropped write reports success.
impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.end(Ok(()));
    }
}
