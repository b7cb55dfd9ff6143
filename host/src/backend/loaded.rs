//! A backend that serves: one method per verb of the contract, run on the calling thread.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::join;
use futures::stream;

use super::Cursor;
use crate::bindings::streams::Seal;
use crate::bindings::{inventory, types};
use crate::checksum::Checksum;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::instance::{Failed, Pool, on_worker};
use crate::transfer::{CHUNK, CHUNKS_WAITING, buffered, download, upload};
use crate::{Entry, Info, WriteOptions, key};

/// Entries of a listing that are asked for at once.
const PAGE: u32 = 1000;

pub(crate) struct Loaded {
    pub(crate) name: Arc<str>,
    pub(crate) pool: Arc<Pool>,
}

/// Some entries of a listing, and where it goes on.
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) next: Option<Cursor>,
}

type Answer<T> = std::result::Result<T, ErrorKind>;

impl Loaded {
    pub(crate) fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> Error {
        Error::new(kind, operation, Some(key), &self.name)
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

    /// One page of the artifacts whose keys begin with `prefix`, checked.
    pub(crate) async fn page(&self, prefix: &str, cursor: Cursor) -> Result<Page> {
        let outcome = async {
            key::check_prefix(prefix).map_err(ErrorKind::InvalidKey)?;
            self.pool
                .call(async |accessor, exports| {
                    let Some(inventory) = &exports.inventory else {
                        return Ok(Err(no_inventory()));
                    };
                    let from = cursor.at().map(str::to_owned);
                    let answer =
                        inventory.call_list_artifacts(accessor, prefix.into(), from, PAGE).await?;
                    match answer {
                        Ok(page) => Ok(Ok(check_page(page, prefix, cursor)?)),
                        Err(error) => Ok(Err(error.into())),
                    }
                })
                .await
        };
        outcome.await.map_err(|kind| self.error(kind, Operation::List, prefix))
    }
}

fn no_inventory() -> ErrorKind {
    ErrorKind::Unsupported("the backend cannot list or stat (no `inventory`)".into())
}

fn check_page(
    page: inventory::Page,
    prefix: &str,
    cursor: Cursor,
) -> std::result::Result<Page, Failed> {
    let broken = |text: String| Err(Failed::Protocol(text));
    if page.entries.len() > PAGE as usize {
        return broken(format!("a page of {} entries, of {PAGE} asked for", page.entries.len()));
    }
    for inventory::Entry { key, .. } in &page.entries {
        if let Err(why) = key::check(key) {
            return broken(format!("a listing with the key {key:?}: {why}"));
        }
        if !key.starts_with(prefix) {
            return broken(format!("a listing of {prefix:?} with the key {key:?}"));
        }
    }
    let next = page.next.map(|next| cursor.advance(next, page.entries.len())).transpose()?;
    let entries = page.entries.into_iter().map(Entry::from).collect();
    Ok(Page { entries, next })
}
