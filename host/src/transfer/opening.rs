//! The first half of a read: where it begins, and what the backend answers before the bytes.

use wasmtime::component::{Accessor, FutureReader, StreamReader};

use crate::bindings::{streams, types};
use crate::error::ErrorKind;
use crate::info::{Info, ReadOptions};
use crate::instance::{Failed, Outcome};
use crate::wasi::HostState;

/// How often the size is looked up again if the artifact was replaced before it was read.
pub(super) const ATTEMPTS: u32 = 5;

/// What the backend answered, and the offset of the first byte, which is within the artifact.
pub(super) struct Opened {
    pub(super) info: Info,
    pub(super) offset: u64,
    pub(super) stream: StreamReader<u8>,
    pub(super) outcome: FutureReader<Result<(), types::Error>>,
}

/// Begins to read the part that `options` select.
pub(super) async fn open(
    accessor: &Accessor<HostState>,
    streams: &streams::Guest,
    key: &str,
    options: ReadOptions,
) -> Outcome<Opened> {
    if options.suffix.is_none() {
        return ask(accessor, streams, key, options.offset, options.length).await;
    }
    // A backend counts from the start, so the size has to be known first. It is right if the
    // generation that is read has it too.
    for _ in 0..ATTEMPTS {
        let size = match ask(accessor, streams, key, 0, Some(0)).await? {
            Ok(opened) => opened.close(accessor)?.size,
            Err(kind) => return Ok(Err(kind)),
        };
        let Some(offset) = options.begin(size) else { return Ok(Err(ErrorKind::InvalidRange)) };
        match ask(accessor, streams, key, offset, options.length).await? {
            Ok(opened) if opened.info.size == size => return Ok(Ok(opened)),
            Ok(opened) => drop(opened.close(accessor)?),
            // It was replaced by a smaller one.
            Err(ErrorKind::InvalidRange) => {}
            Err(kind) => return Ok(Err(kind)),
        }
    }
    let text = format!("the artifact was replaced {ATTEMPTS} times before its end could be read");
    Ok(Err(ErrorKind::Unavailable(text)))
}

/// Asks for a part that begins at an offset from the start.
pub(super) async fn ask(
    accessor: &Accessor<HostState>,
    streams: &streams::Guest,
    key: &str,
    offset: u64,
    length: Option<u64>,
) -> Outcome<Opened> {
    let (info, stream, outcome) =
        match streams.call_read(accessor, key.to_owned(), offset, length).await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
    let info = Info::try_from(info).map_err(Failed::Protocol)?;
    if offset > info.size {
        return Err(Failed::Protocol("it accepted an offset beyond the artifact's end".into()));
    }
    Ok(Ok(Opened { info, offset, stream, outcome }))
}

impl Opened {
    /// Reads nothing of it.
    pub(super) fn close(mut self, accessor: &Accessor<HostState>) -> wasmtime::Result<Info> {
        self.stream.close_with(accessor)?;
        self.outcome.close_with(accessor)?;
        Ok(self.info)
    }
}
