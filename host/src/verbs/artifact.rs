//! The verbs on one artifact.

use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream;

use super::paging::no_inventory;
use crate::bindings::streams::Seal;
use crate::checksum::Checksum;
use crate::chunk::CHUNK;
use crate::error::{ErrorKind, Result};
use crate::info::{Info, ReadOptions, WriteOptions};
use crate::instance::Failed;
use crate::interface::Interface;
use crate::serving::Running;
use crate::transfer::sink::Whole;
use crate::transfer::{buffered, download, upload};

impl Running {
    pub(crate) async fn put(&self, data: Bytes, options: WriteOptions) -> Result<Info> {
        self.call.check_key()?;
        if self.call.backend.pool.offers(Interface::Streams) {
            let size = data.len() as u64;
            self.call.end(size, self.put_streamed(data, options).await)
        } else if !options.are_plain() {
            self.call.end(0, Err(buffered::only_plain()))
        } else {
            buffered::put(self, data).await
        }
    }

    async fn put_streamed(&self, data: Bytes, options: WriteOptions) -> Result<Info, ErrorKind> {
        let mut written = Checksum::new();
        written.update(&data);
        let size = written.size();
        let (end, ended) = oneshot::channel();
        // The receiver still exists, so this cannot fail.
        let _ = end.send(Ok(Seal { size, checksum: written.value() }));
        let chunks = (0..data.len())
            .step_by(CHUNK)
            .map(move |at| data.slice(at..data.len().min(at + CHUNK)));
        let chunks = stream::iter(chunks);
        upload::write(self, options.size(size), chunks, ended).await
    }

    pub(crate) async fn get(&self, options: ReadOptions) -> Result<(Info, Bytes)> {
        self.call.check_key()?;
        if !self.call.backend.pool.offers(Interface::Streams) {
            return buffered::get(self, options).await;
        }
        let sink = Whole::new(self.call.limits().buffer);
        let outcome = download::read(self, options, sink).await;
        let bytes = outcome.as_ref().map_or(0, |(_, bytes)| *bytes);
        self.call.end(bytes, outcome.map(|(sink, _)| sink.into_parts()))
    }

    pub(crate) async fn delete(&self) -> Result<()> {
        self.call.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let answer = exports.store.call_delete(accessor, self.call.key.clone()).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        self.call.end(0, outcome.await)
    }

    /// Removes the artifact in this version only.
    pub(crate) async fn delete_if(&self, version: &str) -> Result<()> {
        self.call.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let Some(conditional) = &exports.conditional else {
                return Ok(Err(ErrorKind::not_exported(Interface::Conditional)));
            };
            let key = self.call.key.clone();
            let answer = conditional.call_delete_if(accessor, key, version.to_owned()).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        self.call.end(0, outcome.await)
    }

    pub(crate) async fn stat(&self) -> Result<Info> {
        self.call.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let Some(inventory) = &exports.inventory else { return Ok(Err(no_inventory())) };
            let answer = inventory.call_stat(accessor, self.call.key.clone()).await?;
            Ok(match answer {
                Ok(info) => Ok(Info::try_from(info).map_err(Failed::Protocol)?),
                Err(error) => Err(error.into()),
            })
        });
        let outcome = outcome.await.and_then(|info| self.call.backend.info(info));
        self.call.end(0, outcome)
    }
}
