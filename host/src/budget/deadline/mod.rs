//! The deadline of one call. The rule that it keeps is in `docs/threat-model.md`, "Time".
//!
//! `clock` counts the time, `progress` the bytes that restart it; `verdict` is what the caller is told
//! at the end, `service` whether it could reach what it asked, `held_turn` the turn in which it runs.

mod below;
mod clock;
mod held_turn;
mod progress;
mod service;
mod verdict;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Closing, Threads, Turns};
use crate::limits::Limits;

use clock::{Clock, Times, Whose};
use held_turn::HeldTurn;
use service::Service;
use verdict::Verdict;

pub(crate) use clock::Queue;

/// The clocks of a call, and its turn.
pub(crate) struct Deadline {
    limits: Times,
    closing: Arc<Closing>,
    turns: Option<Arc<Turns>>,
    threads: Threads,
    state: Mutex<State>,
}

struct State {
    clock: Clock,
    verdict: Option<Verdict>,
    turn: HeldTurn,
    /// What the call has come to know of the services that it asks.
    service: Service,
    /// What a layer was told of a failure below it.
    below: Option<below::Failure>,
}

impl Deadline {
    /// No clock runs yet. Without `turns` the call needs no turn.
    pub(crate) fn new(limits: &Limits, closing: Arc<Closing>, turns: Option<Arc<Turns>>) -> Self {
        let (turn, service) = (HeldTurn::default(), Service::default());
        let state = State { clock: Clock::new(), verdict: None, turn, service, below: None };
        let (limits, threads) = (Times::of(limits), Threads::default());
        Self { limits, closing, turns, threads, state: Mutex::new(state) }
    }

    /// The same, with threads other than those of the process.
    pub(crate) fn on(self, threads: &Threads) -> Self {
        Self { threads: threads.clone(), ..self }
    }

    /// Where the call may block.
    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
    }

    // Which clock runs.

    /// The call waits in a queue.
    pub(crate) fn queue(&self, queue: Queue) {
        self.turn_to(Whose::Queue(queue)).clock.waited = Duration::ZERO;
    }

    /// The call no longer waits for a thread. False if it has waited too long.
    pub(crate) fn leave_queue(&self) -> bool {
        let mut state = self.turn_to(Whose::Nobody);
        state.clock.waited = Duration::ZERO;
        !matches!(state.verdict, Some(Verdict::Busy(Queue::Thread)))
    }

    /// The host looks at the disk.
    pub(crate) fn look(&self) {
        self.turn_to(Whose::Disk).clock.waited = Duration::ZERO;
    }

    /// The host compiles a component.
    pub(crate) fn compile(&self) {
        self.turn_to(Whose::Compiler).clock.waited = Duration::ZERO;
    }

    /// The backend begins, and has all of its time.
    pub(crate) fn begin(&self) {
        self.turn_to(Whose::Backend).clock.begin_call();
    }

    /// The backend goes on, with the time that it has left.
    pub(crate) fn go_on(&self) {
        drop(self.turn_to(Whose::Backend));
    }

    /// The backend waits for the caller.
    pub(crate) fn pause(self: &Arc<Self>) {
        let mut state = self.settled();
        if state.clock.whose != Whose::Backend {
            return;
        }
        state.clock.turn_to(Whose::Caller);
        let has_turn = state.turn.is_held();
        drop(state);
        if has_turn {
            self.offer_turn();
        }
    }

    /// The backend no longer waits for the caller.
    pub(crate) fn resume(&self) {
        let mut state = self.settled();
        if state.clock.whose == Whose::Caller {
            state.clock.turn_to(Whose::Backend);
        }
    }

    /// The caller sent or took something.
    pub(crate) fn touch(&self) {
        self.settled().clock.pause = Duration::ZERO;
    }

    // The bytes that move meanwhile.

    /// The backend took so many bytes of the caller.
    pub(crate) fn given(&self, bytes: u64) {
        let mut state = self.settled();
        state.clock.bytes.given(bytes);
        state.clock.progress(bytes);
    }

    /// So many bytes came for the caller.
    pub(crate) fn delivered(&self, bytes: u64) {
        self.settled().clock.progress(bytes);
    }

    /// So many bytes more may come for the caller.
    pub(crate) fn expect(&self, bytes: u64) {
        self.settled().clock.bytes.expect(bytes);
    }

    /// So many bytes of a request were sent. They count as far as bytes of the caller cover them.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(crate) fn sent(&self, bytes: u64) {
        let mut state = self.settled();
        let covered = state.clock.bytes.of_request(bytes);
        state.clock.progress(covered);
    }

    /// So many bytes of a response were received. They count as far as some may be passed on.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(crate) fn received(&self, bytes: u64) {
        let mut state = self.settled();
        let covered = state.clock.bytes.of_response(bytes);
        state.clock.progress(covered);
    }

    // The time of computing, which counts whichever clock runs.

    /// Counts the time in which `call` occupies its thread.
    pub(crate) fn computing<R>(
        &self,
        mut call: Pin<&mut impl Future<Output = R>>,
    ) -> impl Future<Output = R> {
        poll_fn(move |cx| {
            let is_outermost = self.state().clock.occupy();
            let polled = call.as_mut().poll(cx);
            if is_outermost {
                self.state().clock.let_go();
            }
            polled
        })
    }

    // What is left.

    /// The backend's time since the call began.
    pub(crate) fn spent(&self) -> Duration {
        self.settled().clock.whole
    }

    /// The longest that a backend waits for one answer from outside, if it set a limit itself. It is
    /// less than the time that is left, so that the backend can still say what it waited for.
    #[cfg(feature = "network")]
    pub(crate) fn of_one_wait(&self) -> Duration {
        let left = self.settled().clock.left(&self.limits).unwrap_or(self.limits.call);
        left / 4 * 3
    }

    /// Whether the call has to end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_closed() || self.settled().clock.is_over(&self.limits)
    }

    /// Whether the backend was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_closed()
    }

    /// Resolves when the call is over or the backend closed.
    pub(crate) async fn over(&self) {
        loop {
            let closed = self.closing.closed.notified();
            if self.is_over() {
                let mut state = self.state();
                if let Whose::Queue(queue) = state.clock.whose {
                    state.verdict.get_or_insert(Verdict::Busy(queue));
                }
                return;
            }
            let next_look = self.settled().clock.next_look(&self.limits);
            tokio::select! {
                () = tokio::time::sleep(next_look) => {}
                () = closed => {}
            }
        }
    }

    // The caller's pause.

    /// How long the caller may still pause; `None` if the backend does not wait for it.
    pub(super) fn pause_left(&self) -> Option<Duration> {
        let state = self.settled();
        let is_waited_for = state.clock.whose == Whose::Caller && state.verdict.is_none();
        is_waited_for.then(|| self.limits.pause.saturating_sub(state.clock.pause))
    }

    /// Whether the caller has paused for too long.
    pub(crate) fn is_pause_over(&self) -> bool {
        self.pause_left().is_some_and(|left| left.is_zero())
    }

    /// The caller paused for too long, or got no turn afterwards. What the backend still does to end
    /// the call is its own time, and needs no turn.
    pub(crate) fn end_pause(&self) {
        let mut state = self.turn_to(Whose::Backend);
        state.verdict.get_or_insert(Verdict::Paused);
        state.clock.restart();
    }

    fn turn_to(&self, whose: Whose) -> MutexGuard<'_, State> {
        let mut state = self.settled();
        state.clock.turn_to(whose);
        state
    }

    /// The state, counted up to now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.clock.count();
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
