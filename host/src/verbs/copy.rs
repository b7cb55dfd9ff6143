//! Copying within a store: the backend does it, or else the host, as a caller that reads and writes.

use std::sync::Arc;

use crate::error::{ErrorKind, Operation, Result};
use crate::info::{Info, Mode, ReadOptions, WriteOptions};
use crate::instance::Failed;
use crate::interface::Interface;
use crate::key;
use crate::serving::{Loaded, RunBy, Running};
use crate::transfer::reader::ArtifactReader;
use crate::transfer::writer::ArtifactWriter;

/// From this size on the next bytes are read while the last are written, by a thread of its own.
const LARGE: u64 = 1 << 20;

/// Copies `source` to `target`, whichever of the two ways the backend permits.
pub(crate) async fn copy(
    backend: Arc<Loaded>,
    source: &str,
    target: &str,
    mode: Mode,
    by: RunBy,
) -> Result<Info> {
    let copied = match by_backend(&backend, source, target, &mode, by).await {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => {
            through_host(backend, source, target, mode, by).await
        }
        copied => copied,
    };
    copied.map_err(|error| error.of_copy(source, target))
}

async fn by_backend(
    backend: &Arc<Loaded>,
    source: &str,
    target: &str,
    mode: &Mode,
    by: RunBy,
) -> Result<Info> {
    let call = backend.call(Operation::Copy, source);
    call.check_key()?;
    if let Err(why) = key::check(target) {
        return call.end(0, Err(ErrorKind::InvalidKey(why)));
    }
    if !backend.offers(Interface::Copying) {
        // This is no call of the backend, and nobody is told of it.
        return Err(backend.error(
            ErrorKind::not_exported(Interface::Copying),
            Operation::Copy,
            source,
        ));
    }
    let (target, mode) = (target.to_owned(), mode.clone());
    call.start(by, move |running| async move { running.copy(target, &mode).await }).await
}

impl Running {
    async fn copy(&self, target: String, mode: &Mode) -> Result<Info> {
        let outcome = self.run(async |accessor, exports| {
            let Some(copying) = &exports.copying else {
                return Ok(Err(ErrorKind::not_exported(Interface::Copying)));
            };
            let source = self.call.key.clone();
            let answer = copying.call_copy_artifact(accessor, source, target, mode.into()).await?;
            Ok(match answer {
                Ok(info) => Ok(Info::try_from(info).map_err(Failed::Protocol)?),
                Err(error) => Err(error.into()),
            })
        });
        self.call.end(0, outcome.await)
    }
}

/// Reads one generation of the source and writes it, in bounded memory. The write is sealed only
/// after the whole source was compared with its checksum.
async fn through_host(
    backend: Arc<Loaded>,
    source: &str,
    target: &str,
    mode: Mode,
    by: RunBy,
) -> Result<Info> {
    let reading = Arc::clone(&backend);
    let mut reader = ArtifactReader::open(reading, source, ReadOptions::default(), by).await?;
    let Info { size, attributes, .. } = reader.info().clone();
    let options = WriteOptions { mode, size: Some(size), attributes };
    let by = if size < LARGE { by } else { RunBy::Worker };
    let mut writer = ArtifactWriter::new(backend, target, options, by)?;
    loop {
        match reader.next_chunk().await {
            Ok(Some(chunk)) => {
                reader.pause();
                writer.write_chunk(chunk).await?;
                writer.pause();
            }
            Ok(None) => return writer.commit().await,
            Err(error) => {
                writer.abort().await;
                return Err(error);
            }
        }
    }
}
