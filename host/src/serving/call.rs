//! A call on a backend, as whoever asked for it knows it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Loaded, Running};
use crate::budget::{Deadline, Inline};
use crate::error::{ErrorKind, Operation, Result};
use crate::instance::Worker;
use crate::limits::Limits;
use crate::{key, telemetry};

/// Who asked for what, of which backend, and when. It stays with that backend to its end.
pub(crate) struct Call {
    pub(crate) backend: Arc<Loaded>,
    pub(crate) operation: Operation,
    /// The key of the artifact, or the prefix of a listing; empty where it is about all.
    pub(crate) key: String,
    clock: Arc<Deadline>,
    begun: Instant,
    /// Whether its caller sends or takes bytes as they come, and may pause.
    is_transfer: bool,
    /// Whether its end was told to operators, which is done once.
    is_told: AtomicBool,
}

/// Who does the work of a call.
#[derive(Clone, Copy)]
pub(crate) enum RunBy {
    /// A thread that may block.
    Worker,
    /// Whoever waits for it, on a task that may not block: until it has to wait, and then a thread.
    /// That suits what only reads, of a backend that is known not to wait for long.
    Task,
    /// Whoever waits for it, on a thread that may block. It is fastest.
    Caller,
}

impl Call {
    pub(super) fn new(
        backend: Arc<Loaded>,
        operation: Operation,
        key: &str,
        is_transfer: bool,
    ) -> Arc<Self> {
        let clock = backend.pool.clock();
        let (key, begun) = (key.to_owned(), Instant::now());
        let is_told = AtomicBool::default();
        Arc::new(Self { backend, operation, key, clock, begun, is_transfer, is_told })
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.backend.pool.limits()
    }

    pub(crate) fn clock(&self) -> &Arc<Deadline> {
        &self.clock
    }

    pub(super) fn is_transfer(&self) -> bool {
        self.is_transfer
    }

    /// Why the call ended, where that was neither the backend's doing nor the storage's.
    pub(crate) fn verdict(&self) -> Option<ErrorKind> {
        self.clock.verdict()
    }

    /// Tells operators how it ended.
    pub(crate) fn tell<T>(&self, bytes: u64, outcome: &Result<T, ErrorKind>) {
        telemetry::called(&self.seen(), bytes, outcome.as_ref().err());
    }

    pub(super) fn seen(&self) -> telemetry::Call<'_> {
        let Self { backend, operation, key, begun, .. } = self;
        telemetry::Call { backend: backend.seen(), operation: operation.name(), key, begun: *begun }
    }

    /// Starts the work, which takes its turn when it first needs the backend.
    pub(crate) fn start<T: Send + 'static, F>(
        self: Arc<Self>,
        by: RunBy,
        work: impl FnOnce(Running) -> F + Send + Sync + 'static,
    ) -> Pending<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let clock = Arc::clone(&self.clock);
        let running = Running::new(Arc::clone(&self));
        let pool = &self.backend.pool;
        let at_once = match by {
            RunBy::Task if pool.begins_inline => clock.try_admit(self.is_transfer),
            _ => None,
        };
        let worker = match (by, at_once) {
            (RunBy::Caller, _) => Worker::here(clock, work(running)),
            (_, Some(admitted)) => {
                let inline = Arc::new(Inline::default());
                let running = running.admitted(admitted, Some(Arc::clone(&inline)));
                Worker::inline(clock, inline, work(running))
            }
            (_, None) => Worker::spawn_in_turn(clock, self.is_transfer, async move |admitted| {
                work(running.admitted(admitted, None)).await
            }),
        };
        Pending { call: self, worker }
    }

    /// What is done once at the end, `bytes` being what it moved.
    pub(crate) fn end<T>(&self, bytes: u64, outcome: Result<T, ErrorKind>) -> Result<T> {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.tell(bytes, &outcome);
            self.backend.trial.observe(outcome.as_ref().err());
        }
        outcome.map_err(|kind| self.backend.error(kind, self.operation, &self.key))
    }

    /// Refuses what is no key before the backend sees it.
    pub(crate) fn check_key(&self) -> Result<()> {
        key::check(&self.key).or_else(|why| self.end(0, Err(ErrorKind::InvalidKey(why))))
    }
}

/// The outcome of a call, once there is one. Where the work is lost, so that it does not end the
/// call, this does.
pub(crate) struct Pending<T: Send + 'static> {
    call: Arc<Call>,
    worker: Worker<Result<T>>,
}

impl<T: Send + 'static> Pending<T> {
    /// Does what can be done now of work that is done by whoever waits for it.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        self.worker.advance(cx);
    }

    /// Whoever does the work turns to something else.
    pub(crate) fn pause(&self) {
        self.worker.pause();
    }
}

impl<T: Send + 'static> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let outcome = Pin::new(&mut self.worker).poll(cx);
        outcome.map(|outcome| outcome.unwrap_or_else(|lost| self.call.end(0, Err(lost))))
    }
}
