//! A backend that serves: one method per verb of the contract, run on the calling thread.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::join;
use futures::stream;
use wasmtime::component::Accessor;

use super::paging::{no_inventory, no_maintenance};
use crate::bindings::streams::Seal;
use crate::bindings::types;
use crate::checksum::Checksum;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::instance::{Exports, HostState, Outcome, Pool, on_worker};
use crate::transfer::{CHUNK, CHUNKS_WAITING, buffered, download, upload};
use crate::{Info, Swept, WriteOptions, key};

pub(crate) struct Loaded {
    pub(crate) name: Arc<str>,
    pub(crate) pool: Arc<Pool>,
}

type Answer<T> = std::result::Result<T, ErrorKind>;

impl Loaded {
    pub(crate) fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> Error {
        Error::new(kind, operation, Some(key), &self.name)
    }

    /// An error of the store as a whole.
    pub(crate) fn failure(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, operation, None, &self.name)
    }

    /// Runs one of the calls below on a thread that may block.
    pub(crate) async fn on_worker<T: Send + 'static>(
        self: &Arc<Self>,
        operation: Operation,
        key: &str,
        call: impl AsyncFnOnce(Arc<Self>, String) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (backend, owned) = (Arc::clone(self), key.to_owned());
        let outcome = on_worker(async move || call(backend, owned).await).await;
        outcome.map_err(|kind| self.error(kind, operation, key))?
    }

    /// The same for a call that is about no single key.
    pub(crate) async fn on_worker_for_all<T: Send + 'static>(
        self: &Arc<Self>,
        operation: Operation,
        call: impl AsyncFnOnce(Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let backend = Arc::clone(self);
        let outcome = on_worker(async move || call(backend).await).await;
        outcome.map_err(|kind| self.failure(kind, operation))?
    }

    /// What made a reader or writer of artifacts fail, out of the I/O error that carries it.
    pub(crate) fn io_error(&self, error: std::io::Error, operation: Operation, key: &str) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => self.error(ErrorKind::Io(error), operation, key),
        }
    }

    pub(crate) fn check_key(&self, key: &str, operation: Operation) -> Result<()> {
        key::check(key).map_err(|e| self.error(ErrorKind::InvalidKey(e), operation, key))
    }

    pub(crate) async fn put(&self, key: &str, data: Bytes, create: bool) -> Result<Info> {
        self.check_key(key, Operation::Put)?;
        let mut written = Checksum::new();
        written.update(&data);
        let outcome = if self.pool.offers_streams() {
            self.put_streamed(key, data, create, &written).await
        } else if create {
            Err(buffered::cannot_create())
        } else {
            buffered::put(&self.pool, key.into(), data).await.map(|()| Info::of(&written))
        };
        outcome.map_err(|kind| self.error(kind, Operation::Put, key))
    }

    async fn put_streamed(
        &self,
        key: &str,
        data: Bytes,
        create: bool,
        written: &Checksum,
    ) -> Answer<Info> {
        let size = written.size();
        let (end, ended) = oneshot::channel();
        // The receiver is at hand, so that this cannot fail.
        let _ = end.send(Ok(Seal { size, checksum: written.value() }));
        let chunks = (0..data.len())
            .step_by(CHUNK)
            .map(move |at| data.slice(at..data.len().min(at + CHUNK)));
        let chunks = stream::iter(chunks);
        let options = WriteOptions { create, size: Some(size) };
        let stored = upload::write(&self.pool, key.into(), options, chunks, ended).await?;
        Ok(stored.into())
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes> {
        self.check_key(key, Operation::Get)?;
        let outcome = if self.pool.offers_streams() {
            self.get_streamed(key).await
        } else {
            buffered::get(&self.pool, key.into()).await
        };
        outcome.map_err(|kind| self.error(kind, Operation::Get, key))
    }

    async fn get_streamed(&self, key: &str) -> Answer<Bytes> {
        let (chunks, received) = mpsc::channel(CHUNKS_WAITING);
        let (start, started) = oneshot::channel();
        let read = download::read(&self.pool, key.into(), 0, None, start, chunks);
        let (read, collected) = join(read, self.collect(started, received)).await;
        let data = collected?;
        read.map(|()| data)
    }

    /// All that a read sends, as long as it is not too much; giving up ends the read.
    async fn collect(
        &self,
        started: oneshot::Receiver<types::Info>,
        mut received: mpsc::Receiver<Bytes>,
    ) -> Answer<Bytes> {
        if let Ok(info) = started.await {
            buffered::check_size(&self.pool, info.size)?;
        }
        // The first chunk is often all there is, and is then handed on as it came.
        let Some(first) = received.next().await else { return Ok(Bytes::new()) };
        let Some(second) = received.next().await else { return Ok(first) };
        let mut data = BytesMut::from(first);
        data.extend_from_slice(&second);
        while let Some(chunk) = received.next().await {
            data.extend_from_slice(&chunk);
        }
        Ok(data.freeze())
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        self.check_key(key, Operation::Delete)?;
        let outcome = self.pool.call(async |accessor, exports| {
            let answer = exports.store.call_delete(accessor, key.into()).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        outcome.await.map_err(|kind| self.error(kind, Operation::Delete, key))
    }

    pub(crate) async fn stat(&self, key: &str) -> Result<Info> {
        self.check_key(key, Operation::Stat)?;
        let outcome = self.pool.call(async |accessor, exports| {
            let Some(inventory) = &exports.inventory else { return Ok(Err(no_inventory())) };
            let answer = inventory.call_stat(accessor, key.into()).await?;
            Ok(answer.map(Info::from).map_err(ErrorKind::from))
        });
        outcome.await.map_err(|kind| self.error(kind, Operation::Stat, key))
    }

    /// Removes the temporaries that nobody has written to for `older_than`.
    pub(crate) async fn sweep(&self, older_than: Duration) -> Result<Swept> {
        let outcome = self.pool.call(sweep(older_than));
        outcome.await.map_err(|kind| self.failure(kind, Operation::Sweep))
    }

    /// The same beside all calls and on a thread of its own, where the backend offers it.
    /// Nobody waits for it; the next one comes when the store is opened again.
    pub(super) fn sweep_in_background(&self, older_than: Duration) {
        if !self.pool.offers_maintenance() {
            return;
        }
        let (name, pool) = (Arc::clone(&self.name), Arc::clone(&self.pool));
        drop(on_worker(async move || match pool.call_aside(sweep(older_than)).await {
            Ok(Swept { removed: 0, .. }) => {}
            Ok(swept) => tracing::info!(backend = &*name, ?swept, "swept stale temporaries"),
            Err(error) => tracing::debug!(backend = &*name, %error, "no sweep"),
        }));
    }
}

fn sweep(
    older_than: Duration,
) -> impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<Swept> {
    async move |accessor, exports| {
        let Some(maintenance) = &exports.maintenance else { return Ok(Err(no_maintenance())) };
        let answer = maintenance.call_sweep(accessor, older_than.as_secs()).await?;
        Ok(answer.map(Swept::from).map_err(ErrorKind::from))
    }
}
