//! One instance, and a call on it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::Store;
use wasmtime::component::Accessor;

use super::exports::Exports;
use crate::bindings::types;
use crate::budget::{Deadline, Inline};
use crate::error::ErrorKind;
use crate::limits::{Limits, here};
use crate::text::foreign;
use crate::wasi::HostState;

/// An instance is dropped after so many calls, even if it has not grown.
const CALLS_PER_INSTANCE: u32 = 1000;

/// Linear memory never shrinks. An instance that has grown by more than its first size plus this
/// many bytes is dropped. The built-in backend keeps the names of a large directory from one page of
/// a listing to the next.
const GROWTH: usize = 32 << 20;

/// An instance is dropped if its calls have left more new entries in its tables than this part of
/// the handles that it may have: one quarter.
const LEFT_OVER: usize = 4;

pub(super) struct Instance {
    store: Store<HostState>,
    exports: Exports,
    calls: u32,
    /// Its memory in bytes, and the number of entries in its tables, when it was new.
    at_first: (usize, usize),
    pub(super) idle_since: Instant,
}

impl Instance {
    pub(super) fn new(store: Store<HostState>, exports: Exports) -> Self {
        let mut instance =
            Self { store, exports, calls: 0, at_first: (0, 0), idle_since: Instant::now() };
        instance.at_first = instance.size();
        instance
    }

    /// Its memory in bytes, and the number of entries in its tables.
    fn size(&mut self) -> (usize, usize) {
        let tasks = self.store.concurrent_resource_table();
        let tasks = tasks.map_or(0, |table| table.iter_mut().count());
        let state = self.store.data_mut();
        (state.limiter.memory(), tasks + state.entries())
    }

    /// Whether it has changed little since it was new.
    pub(super) fn is_worth_keeping(&mut self, limits: &Limits) -> bool {
        self.calls += 1;
        let ((memory, entries), (first_memory, first_entries)) = (self.size(), self.at_first);
        self.calls < CALLS_PER_INSTANCE
            && memory <= first_memory.saturating_mul(2).saturating_add(GROWTH)
            && entries.saturating_sub(first_entries) <= here(limits.handles) / LEFT_OVER
    }

    /// The outer result is an error if the instance cannot be used again.
    pub(super) async fn call<R>(
        &mut self,
        deadline: &Arc<Deadline>,
        inline: Option<&Arc<Inline>>,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Exports) -> Outcome<R>,
    ) -> Result<Result<R, ErrorKind>, ErrorKind> {
        let Self { store, exports, .. } = self;
        store.data_mut().deadline = Arc::clone(deadline);
        store.data_mut().inline = inline.cloned();
        store.data_mut().limiter.begin();
        store.data_mut().output.begin();
        store.data().trouble.forget();
        store.set_epoch_deadline(1);
        let outcome = store
            .run_concurrent(async |accessor| {
                // It is large, and each future around it would be, too: they are moved some times.
                let outcome = Box::pin(body(accessor, exports)).await;
                // What the backend still does after its answer is part of the call.
                if outcome.is_ok() {
                    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                }
                outcome
            })
            .await
            .unwrap_or_else(|trap| Err(Failed::Trap(trap)));
        store.data().output.finish();
        let refused = store.data().take_refused();
        let outcome = outcome.map(|answer| {
            answer.map_err(|kind| match refused {
                Some(refused) => refused.explain(kind),
                None => kind,
            })
        });
        let trouble = store.data().trouble.clone();
        outcome.map(|answer| answer.map_err(|kind| trouble.explain(kind))).map_err(|failed| {
            match failed {
                _ if deadline.is_over() => deadline.failure(),
                Failed::Trap(trap) => trouble.explain(store.data_mut().explain(trap)),
                Failed::Protocol(text) => trouble.explain(ErrorKind::Protocol(text)),
            }
        })
    }
}

/// How a call ended: with the backend's answer, or in such a way that the instance cannot be used
/// again.
pub(crate) type Outcome<R> = Result<Result<R, ErrorKind>, Failed>;

pub(crate) enum Failed {
    Trap(wasmtime::Error),
    Protocol(String),
}

impl From<wasmtime::Error> for Failed {
    fn from(trap: wasmtime::Error) -> Self {
        Self::Trap(trap)
    }
}

impl From<types::Error> for ErrorKind {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::NotFound => Self::NotFound,
            types::Error::AlreadyExists => Self::AlreadyExists,
            types::Error::ConditionFailed => Self::ConditionFailed,
            types::Error::InvalidKey(text) => Self::InvalidKey(foreign(&text)),
            types::Error::InvalidRange => Self::InvalidRange,
            types::Error::TooLarge(limit) => Self::TooLarge { limit },
            types::Error::AccessDenied(text) => Self::AccessDenied(foreign(&text)),
            types::Error::NoSpace(text) => Self::NoSpace(foreign(&text)),
            types::Error::Corrupt(text) => Self::Corrupt(foreign(&text)),
            types::Error::Unavailable(text) => Self::Unavailable(foreign(&text)),
            types::Error::Unsupported(text) => Self::Unsupported(foreign(&text)),
            types::Error::Other(text) => Self::Other(foreign(&text)),
        }
    }
}
