//! `streams`: artifacts of any size.

use futures::channel::oneshot;
use wasmtime::component::{Accessor, FutureReader, Linker, StreamReader};

use super::{Answer, Below, Told, deadline, remembered, tell};
use crate::bindings::streams::{Contents, Seal, WriteOptions};
use crate::bindings::{STREAMS, types};
use crate::error::{Error, ErrorKind, Operation};
use crate::info::{ReadOptions, WriteOptions as Options};
use crate::serving::{RunBy, Running};
use crate::transfer::below::{Lasting, Lower, Opened, Sent};
use crate::transfer::download::Forward;
use crate::transfer::upload;
use crate::wasi::HostState;

type Sealed = FutureReader<Result<Seal, String>>;
pub(super) type Reading = (types::Info, Contents);
type Write = (String, StreamReader<u8>, Sealed, WriteOptions);
type Read = (String, u64, Option<u64>);

pub(super) fn link(linker: &mut Linker<HostState>, below: &Below) -> wasmtime::Result<()> {
    let mut streams = linker.instance(STREAMS)?;
    let of = below.clone();
    streams.func_wrap_concurrent(
        "write",
        move |accessor, (key, data, end, options): Write| -> Answer<'_, types::Info> {
            let of = of.clone();
            Box::pin(async move { write(accessor, &of, key, data, end, options).await })
        },
    )?;
    let of = below.clone();
    streams.func_wrap_concurrent(
        "read",
        move |accessor, (key, offset, length): Read| -> Answer<'_, Reading> {
            let of = of.clone();
            Box::pin(async move { read(accessor, &of, key, offset, length).await })
        },
    )
}

async fn write(
    accessor: &Accessor<HostState>,
    below: &Below,
    key: String,
    data: StreamReader<u8>,
    end: Sealed,
    options: WriteOptions,
) -> Told<types::Info> {
    let chunks = Sent::take(accessor, data)?;
    let (sealed, seal) = oneshot::channel();
    accessor.with(|mut access| end.pipe(&mut access, Forward(Some(sealed))))?;
    tell(accessor, written(below, key, chunks, seal, options).await)
}

/// The same once both ends of the layer are in place.
async fn written(
    below: &Below,
    key: String,
    chunks: Sent,
    seal: oneshot::Receiver<upload::End>,
    options: WriteOptions,
) -> Result<types::Info, Error> {
    #[cfg(feature = "conformance")]
    below.refused(Operation::Put, &key)?;
    let backend = below.backend()?;
    let call = backend.transfer(Operation::Put, &key);
    call.check_key()?;
    let options = match Options::try_from(options) {
        Ok(options) => options,
        Err(why) => return call.end(0, Err(ErrorKind::Other(why))),
    };
    #[cfg(feature = "conformance")]
    let (chunks, seal) = below.taken(&key, chunks, seal).await?;
    let chunks = Lasting::new(chunks);
    // A layer that is dropped in the middle of its call takes its bytes with it, before the call below
    // has noticed: nothing is stored later.
    let _layer = chunks.taker();
    let write = move |running: Running| async move {
        let outcome = upload::write(&running, options, chunks.taker(), seal).await;
        chunks.end();
        let bytes = outcome.as_ref().map_or(0, |info| info.size);
        running.call.end(bytes, outcome)
    };
    Ok(call.start(RunBy::Layer, write).await?.into())
}

async fn read(
    accessor: &Accessor<HostState>,
    below: &Below,
    key: String,
    offset: u64,
    length: Option<u64>,
) -> Told<Reading> {
    let options = ReadOptions { offset, length, suffix: None };
    #[cfg(feature = "conformance")]
    if let Some(read) = below.broken(&key, options).await.transpose() {
        return match read {
            Ok(read) => read.handed(accessor),
            Err(error) => tell(accessor, Err(error)),
        };
    }
    let opened = async { Lower::open(below.backend()?, &key, options).await };
    let (lower, ended) = match opened.await {
        Ok(Opened::AtOnce(info, bytes)) => {
            return Ok((Ok((info.into(), Contents::Bytes(bytes))),));
        }
        Ok(Opened::Streamed(lower, ended)) => (*lower, ended),
        Err(error) => return tell(accessor, Err(error)),
    };
    let info = lower.info().clone().into();
    let deadline = deadline(accessor);
    let outcome = async move {
        // What is said of a stream that was dropped means nothing.
        let outcome = ended.await.unwrap_or(Ok(()));
        wasmtime::error::Ok(outcome.map_err(|error| remembered(&deadline, error)))
    };
    accessor.with(|mut access| {
        let stream = StreamReader::new(&mut access, lower)?;
        let outcome = FutureReader::new(&mut access, outcome)?;
        Ok((Ok((info, Contents::Streamed((stream, outcome)))),))
    })
}
