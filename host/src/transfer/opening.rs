//! The first half of a read: where it begins, and what the backend answers before the bytes.

use wasmtime::component::Accessor;

use crate::bindings::streams::{self, Contents};
use crate::bindings::types;
use crate::error::ErrorKind;
use crate::info::{Info, ReadOptions};
use crate::instance::{Failed, Outcome};
use crate::wasi::HostState;

/// How often the size is looked up again if the artifact was replaced before it was read.
pub(super) const ATTEMPTS: u32 = 5;

/// The most bytes that a backend may answer with, beside its info (contents-1 of the contract); more
/// are a stream.
pub(crate) const AT_ONCE: usize = 1 << 16;

/// What the backend answered, and the offset of the first byte, which is within the artifact.
pub(super) struct Opened {
    pub(super) info: Info,
    pub(super) offset: u64,
    pub(super) contents: Contents,
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
    let (info, contents) = match call(accessor, streams, key, offset, length).await? {
        Ok(answer) => answer,
        Err(kind) => return Ok(Err(kind)),
    };
    let info = Info::try_from(info).map_err(Failed::Protocol)?;
    if offset > info.size {
        return Err(Failed::Protocol("it accepted an offset beyond the artifact's end".into()));
    }
    Ok(Ok(Opened { info, offset, contents }))
}

/// The call itself.
pub(crate) async fn call(
    accessor: &Accessor<HostState>,
    streams: &streams::Guest,
    key: &str,
    offset: u64,
    length: Option<u64>,
) -> Outcome<(types::Info, Contents)> {
    match streams.call_read(accessor, key.to_owned(), offset, length).await? {
        Ok((_, Contents::Bytes(bytes))) if bytes.len() > AT_ONCE => Err(Failed::Protocol(format!(
            "it answered a read with {} bytes instead of a stream; {AT_ONCE} are allowed",
            bytes.len()
        ))),
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => Ok(Err(error.into())),
    }
}

impl Opened {
    /// Reads nothing of it.
    pub(super) fn close(self, accessor: &Accessor<HostState>) -> wasmtime::Result<Info> {
        close(accessor, self.contents)?;
        Ok(self.info)
    }
}

/// Reads nothing of them.
pub(super) fn close(accessor: &Accessor<HostState>, contents: Contents) -> wasmtime::Result<()> {
    if let Contents::Streamed((mut stream, mut outcome)) = contents {
        stream.close_with(accessor)?;
        outcome.close_with(accessor)?;
    }
    Ok(())
}
