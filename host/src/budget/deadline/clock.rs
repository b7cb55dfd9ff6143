//! The time of a call: which clock runs, what each has counted, and what is left of each limit.

use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::limits::Limits;

/// While the clock of the backend stands still, the end of a call is noticed late: by at most this
/// part of `call_timeout`.
const PART: u32 = 16;

/// The shortest interval between two looks at a clock that stands still.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// What a call waits for before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Turn,
    Transfer,
    Thread,
}

/// Which clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
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

/// The limits that end a call.
pub(super) struct Times {
    pub(super) call: Duration,
    pub(super) load: Duration,
    pub(super) turn: Duration,
    pub(super) pause: Duration,
    /// Bytes per second; 0 for no least rate.
    pub(super) rate: u64,
    pub(super) concurrency: u64,
    pub(super) transfers: u64,
}

impl Times {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            call: limits.call_timeout,
            load: limits.load.time,
            turn: limits.turn_timeout,
            pause: limits.pause_timeout,
            rate: limits.least_rate,
            concurrency: limits.concurrency,
            transfers: limits.transfers,
        }
    }

    /// The backend's time for a whole call that has moved so many bytes.
    pub(super) fn allowed(&self, moved: u64) -> Duration {
        match self.rate {
            0 => Duration::MAX,
            // Both are u64, so that the product is a u128 and the quotient of a second fits.
            rate => {
                let (seconds, rest) = (moved / rate, moved % rate);
                let nanos = u128::from(rest) * 1_000_000_000 / u128::from(rate);
                let nanos = u32::try_from(nanos).unwrap_or(0);
                self.call.saturating_add(Duration::new(seconds, nanos))
            }
        }
    }
}

/// The clocks of one call.
pub(super) struct Clock {
    pub(super) whose: Whose,
    /// When that clock began.
    pub(super) began: Instant,
    /// The fields below are counted up to this moment.
    pub(super) counted: Instant,
    /// How long the call has waited in the present queue, or for the disk or the compiler.
    pub(super) waited: Duration,
    /// The backend's time since a byte moved.
    pub(super) step: Duration,
    /// The backend's time since the call began.
    pub(super) whole: Duration,
    /// The caller's time since it sent or took a byte.
    pub(super) pause: Duration,
    /// How long the call has occupied its thread, since a byte moved and since it began.
    computed: [Duration; 2],
    /// Since when the call occupies its thread without a break.
    busy: Option<Instant>,
    pub(super) bytes: Progress,
}

impl Clock {
    /// No clock runs yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            whose: Whose::Nobody,
            began: now,
            counted: now,
            waited: Duration::ZERO,
            step: Duration::ZERO,
            whole: Duration::ZERO,
            pause: Duration::ZERO,
            computed: [Duration::ZERO; 2],
            busy: None,
            bytes: Progress::default(),
        }
    }

    /// Adds the time since it was last counted to the clock that runs.
    pub(super) fn count(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.counted);
        self.counted = now;
        match self.whose {
            Whose::Nobody => {}
            Whose::Queue(_) | Whose::Disk | Whose::Compiler => {
                self.waited = self.waited.saturating_add(passed);
            }
            Whose::Backend => {
                self.step = self.step.saturating_add(passed);
                self.whole = self.whole.saturating_add(passed);
            }
            Whose::Caller => self.pause = self.pause.saturating_add(passed),
        }
    }

    /// Another clock runs from now on.
    pub(super) fn turn_to(&mut self, whose: Whose) {
        (self.whose, self.began) = (whose, self.counted);
    }

    /// The backend has all of its time again.
    pub(super) fn restart(&mut self) {
        (self.step, self.whole) = (Duration::ZERO, Duration::ZERO);
        self.computed = [Duration::ZERO; 2];
    }

    /// The same for a new call, which has moved no byte.
    pub(super) fn begin_call(&mut self) {
        self.restart();
        self.bytes = Progress::default();
        if self.busy.is_some() {
            self.busy = Some(self.counted);
        }
    }

    /// So many bytes moved between the caller and the storage.
    pub(super) fn progress(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.bytes.moved(bytes);
        (self.step, self.pause) = (Duration::ZERO, Duration::ZERO);
        if let Some(since) = &mut self.busy {
            let passed = self.counted.saturating_duration_since(*since);
            self.computed[1] = self.computed[1].saturating_add(passed);
            *since = self.counted;
        }
        self.computed[0] = Duration::ZERO;
    }

    /// The call occupies its thread from now on. False if it did so already.
    pub(super) fn occupy(&mut self) -> bool {
        let is_first = self.busy.is_none();
        if is_first {
            self.busy = Some(Instant::now());
        }
        is_first
    }

    /// The call has let go of its thread.
    pub(super) fn let_go(&mut self) {
        if let Some(since) = self.busy.take() {
            let passed = since.elapsed();
            self.computed = self.computed.map(|time| time.saturating_add(passed));
        }
    }

    /// How long the call has computed since a byte moved and since it began, up to its last break.
    pub(super) fn computed(&self) -> [Duration; 2] {
        self.computed
    }

    /// How long the running clock has left; `None` if that clock ends no call.
    pub(super) fn left(&self, limits: &Times) -> Option<Duration> {
        match self.whose {
            Whose::Nobody | Whose::Caller => None,
            Whose::Queue(_) => Some(limits.turn.saturating_sub(self.waited)),
            Whose::Disk => Some(limits.call.saturating_sub(self.waited)),
            Whose::Compiler => Some(limits.load.saturating_sub(self.waited)),
            Whose::Backend => Some(self.left_of_backend(limits)),
        }
    }

    /// How long the backend may still take, for the step and the whole call.
    fn left_of_backend(&self, limits: &Times) -> Duration {
        let whole = limits.allowed(self.bytes.total()).saturating_sub(self.whole);
        limits.call.saturating_sub(self.step).min(whole)
    }

    /// Whether the running clock, or the time of computing, has passed its limit.
    pub(super) fn is_over(&self, limits: &Times) -> bool {
        let busy = self.busy.map_or(Duration::ZERO, |since| since.elapsed());
        let [step, whole] = self.computed.map(|time| time.saturating_add(busy));
        step > limits.call
            || whole > limits.allowed(self.bytes.total())
            || self.left(limits).is_some_and(|left| left.is_zero())
    }

    /// How long to wait before looking again whether the call is over. Another clock may run by then.
    pub(super) fn next_look(&self, limits: &Times) -> Duration {
        let call = limits.call.max(LEAST_INTERVAL);
        // The next clock may have the shorter of these limits.
        let next = call.min(limits.load.max(LEAST_INTERVAL));
        match (self.left(limits), self.whose) {
            (Some(left), Whose::Backend) => left,
            (Some(left), _) => left.min(next),
            (None, Whose::Caller) => self.left_of_backend(limits).max(call / PART),
            (None, _) => next,
        }
    }
}
