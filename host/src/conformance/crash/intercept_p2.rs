//! The recorder for `wasi:filesystem@0.2`, which most toolchains other than Rust's still import.

use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor, MetadataHashValue,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::fault_kinds::Fault;
use super::intercept::{Answer, Fd, answers, identity, killed, shadow_all, writable};
use super::recorder::{Intent, Recorder, Refusal};
use crate::wasi::HostState;

const INTERFACE: &str = "wasi:filesystem/types@0.2.12";

answers!();
impl Answer for (Vec<u8>, bool) {}

/// Like the macro of the same name for WASI 0.3.
macro_rules! shadow {
    ($linker:ident, $recorder:ident, $name:literal,
     $method:ident($fd:ident $(, $arg:ident: $ty:ty)*) -> $answer:ty, |$id:ident| $intent:expr) => {
        let recorder = Arc::clone($recorder);
        $linker.func_wrap_async(
            concat!("[method]descriptor.", $name),
            move |mut store: StoreContextMut<'_, HostState>, ($fd, $($arg,)*): (Fd, $($ty,)*)| {
                let recorder = Arc::clone(&recorder);
                Box::new(async move {
                    let mut files = store.data_mut().filesystem();
                    let intent = {
                        let $id = |fd: &Fd| identity(&recorder, files.table, fd);
                        $intent
                    };
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
                    let answer: $answer = match files.$method($fd, $($arg),*).await {
                        Ok(answer) => answer,
                        Err(error) => return Ok((Err(error.downcast()?),)),
                    };
                    let opened = answer.opened();
                    let opened = opened.map(|fd| identity(&recorder, files.table, fd)).transpose()?;
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
    shadow!(linker, recorder, "read", read(fd, length: u64, offset: u64) -> (Vec<u8>, bool),
        |_id| Intent::Look);

    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.write",
        move |mut store: StoreContextMut<'_, HostState>,
              (fd, bytes, offset): (Fd, Vec<u8>, u64)| {
            let Some(file) = writable(store.data_mut().filesystem().table, &fd)? else {
                return Ok((Err(ErrorCode::NotPermitted),));
            };
            match recorded.write("write", &file, Some(offset), &bytes) {
                Ok(Ok((written, _))) => Ok((Ok(written as u64),)),
                Ok(Err(refusal)) => Ok((Err(refused(refusal)?),)),
                Err(error) => Ok((Err(error.into()),)),
            }
        },
    )?;
    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.write-via-stream",
        move |store: StoreContextMut<'_, HostState>, (fd, offset): (Fd, u64)| {
            open_writer(store, &recorded, "write-via-stream", &fd, Some(offset))
        },
    )?;
    let recorded = Arc::clone(recorder);
    linker.func_wrap(
        "[method]descriptor.append-via-stream",
        move |store: StoreContextMut<'_, HostState>, (fd,): (Fd,)| {
            open_writer(store, &recorded, "append-via-stream", &fd, None)
        },
    )
}

type Opened = Result<Resource<DynOutputStream>, ErrorCode>;

fn open_writer(
    mut store: StoreContextMut<'_, HostState>,
    recorder: &Arc<Recorder>,
    name: &'static str,
    fd: &Fd,
    offset: Option<u64>,
) -> wasmtime::Result<(Opened,)> {
    let files = store.data_mut().filesystem();
    let Some(file) = writable(files.table, fd)? else {
        return Ok((Err(ErrorCode::NotPermitted),));
    };
    let recorder = Arc::clone(recorder);
    let writer: DynOutputStream = Box::new(Writer { recorder, name, file, offset });
    Ok((Ok(files.table.push(writer)?),))
}

/// Writes a stream to a file at once; each chunk is one call of the filesystem or more.
struct Writer {
    recorder: Arc<Recorder>,
    name: &'static str,
    file: Arc<File>,
    offset: Option<u64>,
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = self.recorder.write(self.name, &self.file, self.offset, rest);
            match written.map_err(|error| StreamError::LastOperationFailed(error.into()))? {
                Ok((written, is_cut)) => {
                    rest = &rest[written..];
                    if let Some(offset) = &mut self.offset {
                        *offset += written as u64;
                    }
                    if is_cut {
                        return Err(StreamError::Closed);
                    }
                }
                Err(Refusal::Killed) => return Err(StreamError::Trap(killed())),
                Err(Refusal::Fault(fault)) => {
                    return Err(StreamError::LastOperationFailed(system(fault).into()));
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl Pollable for Writer {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

/// A fault as an error of the system, from which WASI 0.2 derives the errors of streams.
fn system(fault: Fault) -> std::io::Error {
    use std::io::ErrorKind as Kind;
    match fault {
        Fault::NoSpace => Kind::StorageFull,
        Fault::Quota => Kind::QuotaExceeded,
        Fault::ReadOnly => Kind::ReadOnlyFilesystem,
        Fault::UnsupportedSync => Kind::Unsupported,
        Fault::Permission => Kind::PermissionDenied,
        Fault::TooManyOpenFiles | Fault::Io | Fault::ShortTransfer => Kind::Other,
    }
    .into()
}
