//! The clock of one call. The rule that it keeps is in `docs/threat-model.md`, "Time".

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::{Closing, Turns};
use crate::error::ErrorKind;
use crate::limits::{Limits, LoadLimits};

/// How many bytes of requests count as progress for each byte that the caller gave: a backend
/// sends some of them again.
#[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
const RETRIES: u64 = 4;

/// How many bytes of responses count in each call, whatever the caller gets of them: pages of
/// listings, errors, headers of artifacts.
#[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
const ANSWERS: u64 = 4 << 20;

/// Where the clock stood still meanwhile, the end of a call is noticed late by this part of
/// `call_timeout`, at most.
const PART: u32 = 16;

/// What a call waits for before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Turn,
    Transfer,
    Thread,
}

/// Whose time it is that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// No clock runs.
    Nobody,
    Queue(Queue),
    /// The host looks at the disk to open a store.
    Disk,
    /// A component is compiled.
    Compiler,
    Backend,
    Caller,
}

/// Why a call ends that was not the backend's time.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Busy(Queue),
    Paused,
}

/// The clock of a call, and its turn.
pub(crate) struct Deadline {
    limits: Times,
    closing: Arc<Closing>,
    turns: Option<Arc<Turns>>,
    state: Mutex<State>,
}

/// The limits that it watches.
struct Times {
    call: Duration,
    load: Duration,
    turn: Duration,
    pause: Duration,
    rate: u64,
    concurrency: u64,
    transfers: u64,
}

struct State {
    whose: Whose,
    /// When that began.
    began: Instant,
    /// Up to when it is counted below.
    counted: Instant,
    /// How long the call has waited in the present queue, or for the disk.
    waited: Duration,
    /// The backend's time since a byte moved, and since the call began.
    step: Duration,
    whole: Duration,
    /// The caller's time since it sent or took a byte.
    pause: Duration,
    /// How long the call has occupied its thread, since a byte moved and since it began.
    computed: [Duration; 2],
    /// Since when it does so without a break.
    busy: Option<Instant>,
    /// Bytes that were progress.
    moved: u64,
    /// Bytes that the caller gave, and those of requests that count because of them.
    given: u64,
    sent: u64,
    /// Bytes that may be handed on to the caller, and those of responses that count because of them.
    due: u64,
    received: u64,
    verdict: Option<Verdict>,
    turn: Option<OwnedSemaphorePermit>,
    /// Whether others may take it.
    is_offered: bool,
}

impl Deadline {
    /// No clock runs yet. Without `turns` none is needed.
    pub(crate) fn new(limits: &Limits, closing: Arc<Closing>, turns: Option<Arc<Turns>>) -> Self {
        let now = Instant::now();
        let state = State {
            whose: Whose::Nobody,
            began: now,
            counted: now,
            waited: Duration::ZERO,
            step: Duration::ZERO,
            whole: Duration::ZERO,
            pause: Duration::ZERO,
            computed: [Duration::ZERO; 2],
            busy: None,
            moved: 0,
            given: 0,
            sent: 0,
            due: 0,
            received: 0,
            verdict: None,
            turn: None,
            is_offered: false,
        };
        let limits = Times {
            call: limits.call_timeout,
            load: limits.load.time,
            turn: limits.turn_timeout,
            pause: limits.pause_timeout,
            rate: limits.least_rate,
            concurrency: limits.concurrency,
            transfers: limits.transfers,
        };
        Self { limits, closing, turns, state: Mutex::new(state) }
    }

    // Whose time it is.

    /// The call waits.
    pub(crate) fn queue(&self, queue: Queue) {
        self.turn_to(Whose::Queue(queue)).waited = Duration::ZERO;
    }

    /// It waits for a thread no more. False where it has waited too long.
    pub(crate) fn leave_queue(&self) -> bool {
        let mut state = self.turn_to(Whose::Nobody);
        state.waited = Duration::ZERO;
        !matches!(state.verdict, Some(Verdict::Busy(Queue::Thread)))
    }

    /// The host looks at the disk.
    pub(crate) fn look(&self) {
        self.turn_to(Whose::Disk).waited = Duration::ZERO;
    }

    /// The host compiles a component.
    pub(crate) fn compile(&self) {
        self.turn_to(Whose::Compiler).waited = Duration::ZERO;
    }

    /// The backend begins, and has all its time.
    pub(crate) fn begin(&self) {
        let mut state = self.turn_to(Whose::Backend);
        (state.step, state.whole) = (Duration::ZERO, Duration::ZERO);
        state.computed = [Duration::ZERO; 2];
        (state.moved, state.given, state.sent, state.due, state.received) = (0, 0, 0, 0, 0);
        if state.busy.is_some() {
            state.busy = Some(state.counted);
        }
    }

    /// The backend goes on, with the time that it has left.
    pub(crate) fn go_on(&self) {
        drop(self.turn_to(Whose::Backend));
    }

    /// The caller is waited for.
    pub(crate) fn pause(self: &Arc<Self>) {
        let mut state = self.settled();
        if state.whose != Whose::Backend {
            return;
        }
        (state.whose, state.began) = (Whose::Caller, state.counted);
        let has_turn = state.turn.is_some();
        drop(state);
        if has_turn {
            self.offer_turn();
        }
    }

    /// It is waited for no more.
    pub(crate) fn resume(&self) {
        let mut state = self.settled();
        if state.whose == Whose::Caller {
            (state.whose, state.began) = (Whose::Backend, state.counted);
        }
    }

    /// The caller sent or took something.
    pub(crate) fn touch(&self) {
        self.settled().pause = Duration::ZERO;
    }

    // What it does in its time.

    /// The backend took so many bytes of the caller.
    pub(crate) fn given(&self, bytes: u64) {
        let mut state = self.settled();
        state.given = state.given.saturating_add(bytes);
        state.progress(bytes);
    }

    /// So many bytes came for the caller.
    pub(crate) fn delivered(&self, bytes: u64) {
        self.settled().progress(bytes);
    }

    /// So many bytes more may come for the caller.
    pub(crate) fn expect(&self, bytes: u64) {
        let mut state = self.settled();
        state.due = state.due.saturating_add(bytes);
    }

    /// So many bytes of a request went out. They count as far as the caller's own cover them.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(crate) fn sent(&self, bytes: u64) {
        let mut state = self.settled();
        let covered = state.given.saturating_mul(RETRIES).saturating_sub(state.sent).min(bytes);
        state.sent += covered;
        state.progress(covered);
    }

    /// So many bytes of a response came. They count as far as some may be handed on.
    #[cfg_attr(not(feature = "network"), allow(dead_code, reason = "there is no network"))]
    pub(crate) fn received(&self, bytes: u64) {
        let mut state = self.settled();
        let covered = state.due.saturating_add(ANSWERS).saturating_sub(state.received).min(bytes);
        state.received = state.received.saturating_add(covered);
        state.progress(covered);
    }

    /// Counts the time in which `call` occupies its thread.
    pub(crate) async fn computing<R>(&self, call: impl Future<Output = R>) -> R {
        let mut call = pin!(call);
        poll_fn(|cx| {
            let is_outermost = self.occupy();
            let polled = call.as_mut().poll(cx);
            if is_outermost {
                self.let_go();
            }
            polled
        })
        .await
    }

    /// False where it does so already.
    fn occupy(&self) -> bool {
        let mut state = self.state();
        let is_first = state.busy.is_none();
        if is_first {
            state.busy = Some(Instant::now());
        }
        is_first
    }

    fn let_go(&self) {
        let mut state = self.state();
        if let Some(since) = state.busy.take() {
            let passed = since.elapsed();
            state.computed = state.computed.map(|time| time.saturating_add(passed));
        }
    }

    /// The backend's time since the call began.
    pub(crate) fn spent(&self) -> Duration {
        self.settled().whole
    }

    /// The longest that a backend waits for one thing outside, if it set a limit itself: so that it
    /// can say what it waited for before its own time is over.
    #[cfg(feature = "network")]
    pub(crate) fn of_one_wait(&self) -> Duration {
        let state = self.settled();
        let left = self.left(&state).unwrap_or(self.limits.call);
        left / 4 * 3
    }

    // Whether it is over.

    /// Whether the call has to end.
    pub(crate) fn is_over(&self) -> bool {
        if self.closing.is_closed() {
            return true;
        }
        let state = self.settled();
        let busy = state.busy.map_or(Duration::ZERO, |since| since.elapsed());
        let [step, whole] = state.computed.map(|time| time.saturating_add(busy));
        step > self.limits.call
            || whole > self.allowed(&state)
            || self.left(&state).is_some_and(|left| left.is_zero())
    }

    /// Whether the backend was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_closed()
    }

    /// Resolves when it is over or the backend closed.
    pub(crate) async fn over(&self) {
        loop {
            let closed = self.closing.closed.notified();
            if self.is_over() {
                let mut state = self.state();
                if let Whose::Queue(queue) = state.whose {
                    state.verdict.get_or_insert(Verdict::Busy(queue));
                }
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.next_look()) => {}
                () = closed => {}
            }
        }
    }

    /// What the caller is told of a call that was ended.
    pub(crate) fn failure(&self) -> ErrorKind {
        if self.closing.is_closed() {
            let text = "the backend was replaced, and the call did not end in time";
            return ErrorKind::Unavailable(text.into());
        }
        let state = self.settled();
        match (state.verdict, state.whose) {
            (Some(verdict), _) => self.told(verdict),
            (None, Whose::Queue(queue)) => self.told(Verdict::Busy(queue)),
            (None, Whose::Compiler) => LoadLimits::too_slow(self.limits.load).into(),
            (None, Whose::Disk) => {
                let seconds = self.limits.call.as_secs_f64();
                ErrorKind::Unavailable(format!("the disk did not answer within {seconds} s"))
            }
            // The step, or else the whole call.
            (None, _) if state.step < self.limits.call && state.computed[0] <= self.limits.call => {
                ErrorKind::Timeout(self.allowed(&state))
            }
            (None, _) => ErrorKind::Timeout(self.limits.call),
        }
    }

    /// Why the call ends, where that was not the backend's time.
    pub(crate) fn verdict(&self) -> Option<ErrorKind> {
        self.state().verdict.map(|verdict| self.told(verdict))
    }

    fn told(&self, verdict: Verdict) -> ErrorKind {
        let Times { turn, pause, concurrency, transfers, .. } = self.limits;
        let (what, limit) = match verdict {
            Verdict::Paused => return ErrorKind::Paused(pause),
            Verdict::Busy(Queue::Thread) => {
                return ErrorKind::Unavailable(format!(
                    "no thread became free within {} s, and the process cannot start another",
                    turn.as_secs_f64()
                ));
            }
            Verdict::Busy(Queue::Turn) => ("turns", concurrency),
            Verdict::Busy(Queue::Transfer) => ("open transfers", transfers),
        };
        ErrorKind::Busy { what, limit, waited: turn }
    }

    /// Whether it was computing that took the time, and not what it waited for.
    pub(crate) fn was_computing(&self) -> bool {
        self.state().computed[1] > self.limits.call / 2
    }

    // The caller's pause.

    /// How long the caller may still pause; none where it is not waited for.
    pub(super) fn pause_left(&self) -> Option<Duration> {
        let state = self.settled();
        let is_waited_for = state.whose == Whose::Caller && state.verdict.is_none();
        is_waited_for.then(|| self.limits.pause.saturating_sub(state.pause))
    }

    /// Whether it has paused for too long.
    pub(crate) fn is_pause_over(&self) -> bool {
        self.pause_left().is_some_and(|left| left.is_zero())
    }

    /// The caller paused for too long, or got no turn afterwards. What the backend still does to end
    /// the call is its own time, and needs no turn.
    pub(crate) fn end_pause(&self) {
        let mut state = self.turn_to(Whose::Backend);
        state.verdict.get_or_insert(Verdict::Paused);
        (state.step, state.whole) = (Duration::ZERO, Duration::ZERO);
        state.computed = [Duration::ZERO; 2];
    }

    // The turn.

    pub(super) fn has_turn(&self) -> bool {
        self.turns.is_none() || self.state().turn.is_some()
    }

    /// Whether it went to another call while the caller paused.
    pub(crate) fn has_lost_turn(&self) -> bool {
        self.turns.is_some() && {
            let state = self.state();
            state.whose == Whose::Caller && state.turn.is_none()
        }
    }

    pub(super) fn grant(&self, turn: OwnedSemaphorePermit) {
        let mut state = self.state();
        state.turn = Some(turn);
        state.began = Instant::now();
    }

    /// Its turn for another call, where nothing is done in it: the caller has paused for `pause`, or
    /// the one who waited for the turn has not come for `unused`.
    pub(super) fn take_back(
        &self,
        pause: Duration,
        unused: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        let mut state = self.state();
        let idle = state.began.elapsed();
        let is_idle = match state.whose {
            Whose::Caller => idle >= pause,
            Whose::Queue(Queue::Turn) => idle >= unused,
            _ => false,
        };
        let taken = state.turn.take_if(|_| is_idle);
        state.is_offered &= taken.is_none();
        taken
    }

    /// The call may not need its turn.
    pub(super) fn offer_turn(self: &Arc<Self>) {
        let was_offered = std::mem::replace(&mut self.state().is_offered, true);
        if !was_offered && let Some(turns) = &self.turns {
            turns.offer(self);
        }
    }

    /// The call has ended.
    pub(super) fn give_turn_back(self: &Arc<Self>) {
        let mut state = self.state();
        let turn = state.turn.take();
        let was_offered = std::mem::take(&mut state.is_offered);
        drop(state);
        drop(turn);
        if was_offered && let Some(turns) = &self.turns {
            turns.withdraw(self);
        }
    }

    pub(super) fn turns(&self) -> Option<&Arc<Turns>> {
        self.turns.as_ref()
    }

    // The arithmetic.

    /// How long the present clock has left; none where another one ends the call.
    fn left(&self, state: &State) -> Option<Duration> {
        let Times { call, load, turn, .. } = self.limits;
        match state.whose {
            Whose::Nobody | Whose::Caller => None,
            Whose::Queue(_) => Some(turn.saturating_sub(state.waited)),
            Whose::Disk => Some(call.saturating_sub(state.waited)),
            Whose::Compiler => Some(load.saturating_sub(state.waited)),
            Whose::Backend => {
                let whole = self.allowed(state).saturating_sub(state.whole);
                Some(call.saturating_sub(state.step).min(whole))
            }
        }
    }

    /// The backend's time for the whole call.
    fn allowed(&self, state: &State) -> Duration {
        let Times { call, rate, .. } = self.limits;
        match rate {
            0 => Duration::MAX,
            // Both are u64, so that the product is a u128 and the quotient of a second fits.
            _ => {
                let (seconds, rest) = (state.moved / rate, state.moved % rate);
                let nanos = u128::from(rest) * 1_000_000_000 / u128::from(rate);
                let nanos = u32::try_from(nanos).unwrap_or(0);
                call.saturating_add(Duration::new(seconds, nanos))
            }
        }
    }

    /// When to look again whether the call is over: also where another clock may run by then.
    fn next_look(&self) -> Duration {
        let state = self.settled();
        let call = self.limits.call.max(Duration::from_millis(10));
        // What comes next may have the shorter of these.
        let next = call.min(self.limits.load.max(Duration::from_millis(10)));
        match (self.left(&state), state.whose) {
            (Some(left), Whose::Backend) => left,
            (Some(left), _) => left.min(next),
            (None, Whose::Caller) => {
                let step = call.saturating_sub(state.step);
                let whole = self.allowed(&state).saturating_sub(state.whole);
                step.min(whole).max(call / PART)
            }
            (None, _) => next,
        }
    }

    fn turn_to(&self, whose: Whose) -> MutexGuard<'_, State> {
        let mut state = self.settled();
        (state.whose, state.began) = (whose, state.counted);
        state
    }

    /// The state, counted up to now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let now = Instant::now();
        let passed = now.saturating_duration_since(state.counted);
        state.counted = now;
        match state.whose {
            Whose::Nobody => {}
            Whose::Queue(_) | Whose::Disk | Whose::Compiler => {
                state.waited = state.waited.saturating_add(passed)
            }
            Whose::Backend => {
                state.step = state.step.saturating_add(passed);
                state.whole = state.whole.saturating_add(passed);
            }
            Whose::Caller => state.pause = state.pause.saturating_add(passed),
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Bytes moved between the caller and the storage.
    fn progress(&mut self, bytes: u64) {
        if bytes > 0 {
            self.moved = self.moved.saturating_add(bytes);
            (self.step, self.pause) = (Duration::ZERO, Duration::ZERO);
            if let Some(since) = &mut self.busy {
                let passed = self.counted.saturating_duration_since(*since);
                self.computed[1] = self.computed[1].saturating_add(passed);
                *since = self.counted;
            }
            self.computed[0] = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests;
