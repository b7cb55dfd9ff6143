//! A call on a backend, from the side of its caller.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::Either;

use super::{Loaded, Running};
use crate::budget::{Deadline, Inline, Together};
use crate::error::{ErrorKind, Operation, Result};
use crate::instance::{Site, Worker};
use crate::limits::Limits;
use crate::{key, telemetry};

/// One call: its operation, key, backend and start. It stays with that backend until its end.
pub(crate) struct Call {
    pub(crate) backend: Arc<Loaded>,
    pub(crate) operation: Operation,
    /// The key of the artifact, or the prefix of a listing; empty if the call is about the whole
    /// store.
    pub(crate) key: String,
    clock: Arc<Deadline>,
    begun: Instant,
    /// Whether its caller sends or takes bytes as they come, and may pause.
    is_transfer: bool,
    /// Whether its end was reported to operators, which happens once.
    is_told: AtomicBool,
}

/// What runs the work of a call.
#[derive(Clone, Copy)]
pub(crate) enum RunBy {
    /// A thread that may block, or the network's runtime if the work waits for sockets alone.
    Worker,
    /// The task that waits for it, which may not block: when the work has to wait, it moves to a
    /// thread. For reads of a backend that is known not to wait for long; others run as by a `Worker`.
    Task,
    /// The thread that waits for it, which may block. This is the fastest way. A layer has a thread that may
    /// block.
    Caller,
    /// The thread of the layer that waits for it, in turn with the layer; as by a `Worker` if the layer
    /// has another such call, or if the work may wait for a server.
    Layer,
}

impl Call {
    pub(super) fn new(
        backend: Arc<Loaded>,
        clock: Arc<Deadline>,
        operation: Operation,
        key: &str,
        is_transfer: bool,
    ) -> Arc<Self> {
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

    /// Why the call ended, if the reason is neither the backend nor the storage.
    pub(crate) fn verdict(&self) -> Option<ErrorKind> {
        self.clock.verdict()
    }

    /// Reports its end to operators.
    pub(crate) fn tell<T>(&self, bytes: u64, outcome: &Result<T, ErrorKind>) {
        telemetry::called(&self.seen(), bytes, outcome.as_ref().err());
    }

    pub(super) fn seen(&self) -> telemetry::Call<'_> {
        let Self { backend, operation, key, begun, .. } = self;
        telemetry::Call { backend: backend.seen(), operation: *operation, key, begun: *begun }
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
            RunBy::Task if pool.begins_inline && !self.decrypts() => {
                clock.try_admit(self.is_transfer)
            }
            _ => None,
        };
        let is_layer = self.backend.below.is_some();
        // To encrypt takes too long for a task.
        let is_networked = pool.waits_for_sockets && self.backend.encryption.is_none();
        let work = move |running| match (work(running), is_layer) {
            (work, true) => Either::Left(Together::new(work)),
            (work, false) => Either::Right(work),
        };
        let worker = match (by, at_once) {
            // A caller that pauses would leave what is below a layer in the middle of its turn.
            (RunBy::Caller, _) if !is_layer => Worker::here(clock, work(running)),
            (_, Some(admitted)) => {
                let inline = Arc::new(Inline::default());
                let running = running.admitted(admitted, Some(Arc::clone(&inline)));
                Worker::inline(clock, inline, work(running))
            }
            (by, None) => {
                let site = match by {
                    _ if is_networked => Site::Network,
                    RunBy::Layer if pool.waits_for_nobody => Site::Beside,
                    _ => Site::Thread,
                };
                let work = move |admitted| work(running.admitted(admitted, None));
                Worker::in_turn(clock, self.is_transfer, site, work)
            }
        };
        Pending { call: self, worker }
    }

    /// Whether it decrypts, which takes too long for the task that waits for it.
    fn decrypts(&self) -> bool {
        self.operation == Operation::Get && self.backend.encryption.is_some()
    }

    /// Ends the call, which has moved so many `bytes`. This happens once.
    pub(crate) fn end<T>(&self, bytes: u64, outcome: Result<T, ErrorKind>) -> Result<T> {
        let (outcome, place) = match outcome {
            Ok(done) => (Ok(done), None),
            Err(kind) => {
                let (kind, place) = self.clock.of_below(kind);
                (Err(kind), place)
            }
        };
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.tell(bytes, &outcome);
            self.backend.trial.observe(outcome.as_ref().err());
        }
        let error = |kind| self.backend.error(kind, self.operation, &self.key);
        outcome.map_err(|kind| match place {
            Some(name) => error(kind).of_backend(name),
            None => error(kind),
        })
    }

    /// Refuses an invalid key before the backend sees it.
    pub(crate) fn check_key(&self) -> Result<()> {
        key::check(&self.key).or_else(|why| self.end(0, Err(ErrorKind::InvalidKey(why))))
    }
}

/// The outcome of a call, once there is one. If the work is lost and cannot end the call, this ends
/// it.
pub(crate) struct Pending<T: Send + 'static> {
    call: Arc<Call>,
    worker: Worker<Result<T>>,
}

impl<T: Send + 'static> Pending<T> {
    /// What has ended so.
    pub(crate) fn ended(call: Arc<Call>, outcome: Result<T>) -> Self {
        let worker = Worker::ended(Arc::clone(&call.clock), outcome);
        Self { call, worker }
    }

    /// Advances work that its waiter does, as far as possible now.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        self.worker.advance(cx);
    }

    /// The waiter that does the work turns to something else.
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
