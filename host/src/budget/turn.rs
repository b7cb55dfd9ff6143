//! Turns: a store runs a limited number of calls at once, and others wait. While a call waits for
//! its caller, another call that needs its turn may take it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::deadline::Queue;
use super::{Deadline, is_child, spawn};
use crate::error::ErrorKind;
use crate::limits::{Limits, here};

/// A shorter pause costs no turn: a caller that sends or takes at full speed pauses all the time.
const PAUSE: Duration = Duration::from_millis(20);

/// A turn that was granted and not used for so long was granted to a task that no longer polls.
const UNUSED: Duration = Duration::from_secs(1);

/// Resolves when the call has a turn.
pub(crate) type Turn = Pin<Box<dyn Future<Output = Result<(), ErrorKind>> + Send + Sync>>;

/// The turns of one backend, and the places for transfers.
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    /// Held by the next call to get a turn.
    next: tokio::sync::Mutex<()>,
    /// Calls that may hold a turn without using it.
    offers: Mutex<Vec<Weak<Deadline>>>,
}

/// What a call holds while it runs: its turn, and a place if it is a transfer.
pub(crate) struct Admitted {
    clock: Arc<Deadline>,
    _transfer: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(crate) fn new(limits: &Limits) -> Self {
        let semaphore =
            |count: u64| Arc::new(Semaphore::new(here(count).clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            free: semaphore(limits.concurrency),
            transfers: semaphore(limits.transfers),
            next: tokio::sync::Mutex::default(),
            offers: Mutex::default(),
        }
    }

    /// Other calls may take the turn of this one.
    pub(super) fn offer(&self, clock: &Arc<Deadline>) {
        self.offers().push(Arc::downgrade(clock));
    }

    pub(super) fn withdraw(&self, clock: &Arc<Deadline>) {
        let clock = Arc::downgrade(clock);
        self.offers().retain(|offer| !offer.ptr_eq(&clock));
    }

    /// Takes one unused turn back, so that it is free.
    fn take_one_back(&self) {
        let mut taken = None;
        self.offers().retain(|offer| {
            let Some(clock) = offer.upgrade().filter(|clock| clock.has_turn()) else {
                return false;
            };
            if taken.is_none() {
                taken = clock.take_back(PAUSE, UNUSED);
                return taken.is_none();
            }
            true
        });
        drop(taken);
    }

    /// Waits for a turn of `clock` in a task of its own, so that a granted turn never depends on a
    /// caller that no longer polls.
    async fn wait(self: Arc<Self>, clock: Arc<Deadline>, mut done: oneshot::Sender<()>) {
        let turn = async {
            let _next = self.next.lock().await;
            loop {
                self.take_one_back();
                let free = Arc::clone(&self.free).acquire_owned();
                if let Ok(turn) = timeout(PAUSE, free).await {
                    return turn.ok();
                }
            }
        };
        tokio::select! {
            turn = turn => if let Some(turn) = turn {
                clock.grant(turn);
                clock.offer_turn();
                let _ = done.send(());
            },
            // Its bytes may move on another thread, which got the turn.
            () = clock.turned() => drop(done.send(())),
            () = clock.over() => {}
            () = done.closed() => {}
        }
    }

    fn offers(&self) -> MutexGuard<'_, Vec<Weak<Deadline>>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deadline {
    /// Resolves when the call has a turn.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if that takes too long.
    pub(crate) async fn take_turn(self: &Arc<Self>) -> Result<(), ErrorKind> {
        while !self.try_take_turn() {
            let Some(turns) = self.turns() else { break };
            self.queue(Queue::Turn);
            let (done, is_done) = oneshot::channel();
            drop(spawn(Arc::clone(turns).wait(Arc::clone(self), done)));
            is_done.await.map_err(|_| self.failure())?;
        }
        Ok(())
    }

    /// The same as a value, for a caller that polls it.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        let clock = Arc::clone(self);
        Box::pin(async move { clock.take_turn().await })
    }

    /// Resolves when the call has a turn that something else asked for.
    async fn turned(&self) {
        while !self.has_turn() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn try_take_turn(&self) -> bool {
        if self.has_turn() {
            return true;
        }
        let turn = self.turns().map(|turns| Arc::clone(&turns.free).try_acquire_owned());
        turn.and_then(Result::ok).map(|turn| self.grant(turn)).is_some()
    }

    /// Everything that the call needs before it runs, if it is free now.
    pub(crate) fn try_admit(self: &Arc<Self>, is_transfer: bool) -> Option<Admitted> {
        if is_child() {
            return None;
        }
        let transfer = match self.turns().filter(|_| is_transfer) {
            Some(turns) => Some(Arc::clone(&turns.transfers).try_acquire_owned().ok()?),
            None => None,
        };
        self.try_take_turn().then(|| Admitted { clock: Arc::clone(self), _transfer: transfer })
    }

    /// The same, once it is free.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if that takes too long, [`ErrorKind::Forked`] in a forked process, which
    /// gets no turn.
    pub(crate) async fn admit(self: Arc<Self>, is_transfer: bool) -> Result<Admitted, ErrorKind> {
        if is_child() {
            return Err(ErrorKind::Forked);
        }
        let mut admitted = Admitted { clock: Arc::clone(&self), _transfer: None };
        if let Some(turns) = self.turns().filter(|_| is_transfer) {
            self.queue(Queue::Transfer);
            tokio::select! {
                biased;
                place = Arc::clone(&turns.transfers).acquire_owned() => {
                    admitted._transfer = place.ok();
                }
                () = self.over() => return Err(self.failure()),
            }
        }
        self.take_turn().await?;
        Ok(admitted)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.clock.give_turn_back();
    }
}
