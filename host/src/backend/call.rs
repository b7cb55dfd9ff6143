//! One call of a backend: a method per verb of the contract, run on the calling thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream;
use tracing::Instrument;
use wasmtime::component::Accessor;

use super::Loaded;
use super::paging::{no_inventory, no_maintenance};
use crate::bindings::streams::Seal;
use crate::budget::{Admitted, Deadline, Inline};
use crate::checksum::Checksum;
use crate::error::{ErrorKind, Operation, Result};
use crate::instance::{Exports, Outcome, Worker};
use crate::transfer::sink::Whole;
use crate::transfer::{CHUNK, buffered, download, upload};
use crate::wasi::HostState;
use crate::{Info, Limits, ReadOptions, Swept, WriteOptions, key, telemetry};

pub(crate) struct Call {
    pub(crate) backend: Arc<Loaded>,
    pub(crate) operation: Operation,
    /// The key of the artifact, or the prefix of a listing; empty where it is about all.
    pub(crate) key: String,
    clock: Arc<Deadline>,
    pub(crate) begun: Instant,
    /// Whether its caller sends or takes bytes as they come, and may pause.
    is_transfer: bool,
    admitted: Option<Admitted>,
    inline: Option<Arc<Inline>>,
    /// Whether its end was told to operators, which is done once.
    is_told: Arc<AtomicBool>,
}

type Answer<T> = std::result::Result<T, ErrorKind>;

impl Call {
    pub(super) fn new(backend: Arc<Loaded>, operation: Operation, key: &str) -> Self {
        let clock = backend.pool.clock();
        let (key, begun) = (key.to_owned(), Instant::now());
        Self {
            backend,
            operation,
            key,
            clock,
            begun,
            is_transfer: false,
            admitted: None,
            inline: None,
            is_told: Arc::default(),
        }
    }

    /// The same for a call whose caller sends or takes bytes as they come.
    pub(crate) fn transfer(mut self) -> Self {
        self.is_transfer = true;
        self
    }

    /// The same call in the hands of whoever waits for its outcome, who may have to give it up.
    pub(crate) fn outside(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            operation: self.operation,
            key: self.key.clone(),
            clock: Arc::clone(&self.clock),
            begun: self.begun,
            is_transfer: self.is_transfer,
            admitted: None,
            inline: None,
            is_told: Arc::clone(&self.is_told),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.backend.pool.limits()
    }

    pub(crate) fn clock(&self) -> &Arc<Deadline> {
        &self.clock
    }

    /// Why the call ended, where that was neither the backend's doing nor the storage's.
    pub(crate) fn verdict(&self) -> Option<ErrorKind> {
        self.clock.verdict()
    }

    /// Runs `body` on an instance of the backend, when it has its turn.
    pub(crate) async fn run<R>(
        &self,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Answer<R> {
        let span = telemetry::span(self);
        let body = async |accessor: &Accessor<HostState>, exports: &Exports| {
            let _active = telemetry::Active::new(self);
            body(accessor, exports).await
        };
        let _admitted = match &self.admitted {
            Some(_) => None,
            None => Some(Arc::clone(&self.clock).admit(self.is_transfer).await?),
        };
        let outcome = self.backend.pool.call(&self.clock, self.inline.as_ref(), body);
        match (outcome.instrument(span).await, self.verdict()) {
            // What the backend makes of it is not its failure.
            (Err(kind), Some(verdict)) if !kind.is_fault() => Err(verdict),
            (outcome, _) => outcome,
        }
    }

    /// Runs one of the verbs below on a thread that may block, when it has its turn.
    pub(crate) fn spawn<T: Send + 'static>(
        mut self,
        verb: impl AsyncFnOnce(Self) -> Result<T> + Send + Sync + 'static,
    ) -> Worker<Result<T>> {
        let clock = Arc::clone(&self.clock);
        Worker::spawn_in_turn(clock, self.is_transfer, async move |admitted| {
            self.admitted = Some(admitted);
            verb(self).await
        })
    }

    /// Does so and waits for the outcome.
    pub(crate) async fn on_worker<T: Send + 'static>(
        self,
        verb: impl AsyncFnOnce(Self) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let outside = self.outside();
        self.spawn(verb).await.unwrap_or_else(|lost| outside.end(0, Err(lost)))
    }

    /// Runs one of the verbs that only read: on the task of whoever waits for it, and on a thread
    /// that may block as soon as it has to wait.
    pub(crate) fn begin<T: Send + 'static, F>(
        mut self,
        verb: impl FnOnce(Self) -> F + Send + Sync + 'static,
    ) -> Worker<Result<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if self.backend.pool.begins_inline
            && let Some(admitted) = self.clock.try_admit(self.is_transfer)
        {
            let (inline, clock) = (Arc::new(Inline::default()), Arc::clone(&self.clock));
            self.admitted = Some(admitted);
            self.inline = Some(Arc::clone(&inline));
            return Worker::inline(clock, inline, verb(self));
        }
        self.spawn(async move |call| verb(call).await)
    }

    /// Does so and waits for the outcome.
    pub(crate) async fn outcome<T: Send + 'static, F>(
        self,
        verb: impl FnOnce(Self) -> F + Send + Sync + 'static,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let outside = self.outside();
        self.begin(verb).await.unwrap_or_else(|lost| outside.end(0, Err(lost)))
    }

    /// Sweeps on a thread that may block, beside all calls. Nobody waits for it, and it decides no
    /// trial: it is no call of the application.
    pub(super) fn sweep_in_background(self, older_than: Duration) {
        let clock = Arc::clone(&self.clock);
        drop(Worker::spawn(clock, async move || {
            let pool = &self.backend.pool;
            let outcome = pool.call_aside(&self.clock, sweep(older_than)).await;
            telemetry::called(&self, 0, outcome.as_ref().err());
        }));
    }

    /// What is done at the end of each verb, `bytes` being what it moved.
    pub(crate) fn end<T>(&self, bytes: u64, outcome: Answer<T>) -> Result<T> {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            telemetry::called(self, bytes, outcome.as_ref().err());
            self.backend.trial.observe(outcome.as_ref().err());
        }
        outcome.map_err(|kind| self.backend.error(kind, self.operation, &self.key))
    }

    /// Refuses what is no key before the backend sees it.
    pub(crate) fn check_key(&self) -> Result<()> {
        key::check(&self.key).or_else(|why| self.end(0, Err(ErrorKind::InvalidKey(why))))
    }

    pub(crate) async fn put(&self, data: Bytes, create: bool) -> Result<Info> {
        self.check_key()?;
        let mut written = Checksum::new();
        written.update(&data);
        let outcome = if self.backend.pool.offers_streams() {
            self.put_streamed(data, create, &written).await
        } else if create {
            Err(buffered::cannot_create())
        } else {
            buffered::put(self, data).await.map(|()| Info::of(&written))
        };
        self.end(written.size(), outcome)
    }

    async fn put_streamed(&self, data: Bytes, create: bool, written: &Checksum) -> Answer<Info> {
        let size = written.size();
        let (end, ended) = oneshot::channel();
        // The receiver is at hand, so that this cannot fail.
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
        self.check_key()?;
        let outcome = if self.backend.pool.offers_streams() {
            self.get_streamed().await
        } else {
            buffered::get(self).await
        };
        let bytes = outcome.as_ref().map_or(0, |data| data.len() as u64);
        self.end(bytes, outcome)
    }

    async fn get_streamed(&self) -> Answer<Bytes> {
        let sink = Whole::new(self.limits().buffer);
        let (sink, _) = download::read(self, ReadOptions::default(), sink).await?;
        Ok(sink.into_data())
    }

    pub(crate) async fn delete(&self) -> Result<()> {
        self.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let answer = exports.store.call_delete(accessor, self.key.clone()).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        self.end(0, outcome.await)
    }

    pub(crate) async fn stat(&self) -> Result<Info> {
        self.check_key()?;
        let outcome = self.run(async |accessor, exports| {
            let Some(inventory) = &exports.inventory else { return Ok(Err(no_inventory())) };
            let answer = inventory.call_stat(accessor, self.key.clone()).await?;
            Ok(answer.map(Info::from).map_err(ErrorKind::from))
        });
        self.end(0, outcome.await)
    }

    /// Removes the temporaries that nobody has written to for `older_than`.
    pub(crate) async fn sweep(&self, older_than: Duration) -> Result<Swept> {
        let outcome = self.run(sweep(older_than)).await;
        self.end(0, outcome)
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
