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
use crate::interface::Interface;
use crate::serving::Running;
use crate::transfer::sink::Whole;
use crate::transfer::{buffered, download, upload};

impl Running {
    pub(crate) async fn put(&self, data: Bytes, create: bool) -> Result<Info> {
        self.call.check_key()?;
        if self.call.backend.pool.offers(Interface::Streams) {
            let size = data.len() as u64;
            self.call.end(size, self.put_streamed(data, create).await)
        } else if create {
            self.call.end(0, Err(buffered::cannot_create()))
        } else {
            buffered::put(self, data).await
        }
    }

    async fn put_streamed(&self, data: Bytes, create: bool) -> Result<Info, ErrorKind> {
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
        let options = WriteOptions { create, size: Some(size) };
        let stored = upload::write(self, options, chunks, ended).await?;
        Ok(stored.into())
    }

    pub(crate) async fn get(&self) -> Result<Bytes> {
        self.call.check_key()?;
        if !self.call.backend.pool.offers(Interface::Streams) {
            return buffered::get(self).await;
        }
        let outcome = self.get_streamed().await;
        let bytes = outcome.as_ref().map_or(0, |data| data.len() as u64);
        self.call.end(bytes, outcome)
    }

    async fn get_streamed(&self) -> Result<Bytes, ErrorKind> {
        let sink = Whole::new(self.call.limits().buffer);
        let (sink, _) = download::read(self, ReadOptions::default(), sink).await?;
        Ok(sink.into_data())
    }

    pub(crate) async fn delete(&self) -> Result<()> {
        self.call.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let answer = exports.store.call_delete(accessor, self.call.key.clone()).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        self.call.end(0, outcome.await)
    }

    pub(crate) async fn stat(&self) -> Result<Info> {
        self.call.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let Some(inventory) = &exports.inventory else { return Ok(Err(no_inventory())) };
            let answer = inventory.call_stat(accessor, self.call.key.clone()).await?;
            Ok(answer.map(Info::from).map_err(ErrorKind::from))
        });
        self.call.end(0, outcome.await)
    }
}
