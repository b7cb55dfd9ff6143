//! Work that blocks: on a thread of its own, for callers that may not, or on the caller's.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::Limits;
use crate::budget::{
    Admitted, Away, Deadline, Inline, Joined, Turn, is_child, on_thread, running, runtime, watch,
};
use crate::error::ErrorKind;

/// How long after its end a call that does not end is left to itself. All that is not stuck
/// in the system ends much sooner.
const GRACE: Duration = Duration::from_secs(1);

/// Resolves to what the work on another thread returned, or to an error where it panicked. Where
/// that thread hangs in the system, so that it cannot see its end, it is left to itself.
///
/// Work that has begun runs to its end even where nobody waits for it any more.
///
/// Work that is done [`here`](Self::here) needs no other thread: whoever polls does it.
pub(crate) struct Worker<R: Send + 'static> {
    state: State<R>,
    deadline: Arc<Deadline>,
    overdue: Pin<Box<dyn Future<Output = ErrorKind> + Send + Sync>>,
}

enum State<R> {
    /// Whoever waits for a turn holds no thread: those are for the calls that run, also the ones
    /// of other backends.
    Waiting(Waiting, Start<R>),
    Running(Joined<R>),
    Here(Arc<Mutex<Here<R>>>),
    /// Taken by the one who asks.
    Done(Option<Result<R, ErrorKind>>),
}

type Waiting = Pin<Box<dyn Future<Output = Result<Admitted, ErrorKind>> + Send + Sync>>;

type Start<R> = Option<Box<dyn FnOnce(Admitted) -> State<R> + Send + Sync>>;

impl<R: Send + 'static> State<R> {
    fn started(
        deadline: &Arc<Deadline>,
        job: impl FnOnce() -> Result<R, ErrorKind> + Send + 'static,
    ) -> Self {
        match on_thread(deadline, job) {
            Ok(outcome) => Self::Running(outcome),
            Err(no_thread) => Self::Done(Some(Err(no_thread))),
        }
    }
}

/// Work that is done by whoever polls.
struct Here<R> {
    deadline: Arc<Deadline>,
    /// None once it is done, or was moved elsewhere.
    work: Option<Pin<Box<dyn Future<Output = R> + Send>>>,
    has_begun: bool,
    /// On a task, which may not block; none on a thread that may.
    inline: Option<Arc<Inline>>,
    /// Gets back the turn that another call took.
    turn: Option<Turn>,
    is_watched: bool,
    /// Where it went on while its caller was elsewhere.
    moved: Option<State<R>>,
}

impl<R: Send + 'static> Here<R> {
    /// What can be done now.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<State<R>> {
        if let Some(moved) = self.moved.take() {
            return Poll::Ready(moved);
        }
        if self.turn.is_none() && self.deadline.has_lost_turn() {
            self.turn = Some(self.deadline.turn());
        }
        if let Some(turn) = &mut self.turn {
            let taken = ready!(turn.as_mut().poll(cx));
            self.turn = None;
            if taken.is_err() {
                self.deadline.end_pause();
                return Poll::Ready(self.go_elsewhere());
            }
            self.deadline.go_on();
        }
        self.deadline.resume();
        let Some(work) = &mut self.work else {
            return Poll::Ready(State::Done(Some(Err(self.deadline.failure()))));
        };
        self.has_begun = true;
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            self.work = None;
            return Poll::Ready(State::Done(Some(Ok(done))));
        }
        if self.inline.as_ref().is_some_and(|inline| inline.is_asking()) {
            return Poll::Ready(self.go_elsewhere());
        }
        Poll::Pending
    }

    /// Goes on elsewhere, if it has begun.
    fn go_elsewhere(&mut self) -> State<R> {
        let work = self.work.take().filter(|_| self.has_begun);
        let Some(work) = work else { return State::Done(Some(Err(self.deadline.failure()))) };
        if let Some(inline) = self.inline.take() {
            inline.go_on();
        }
        let deadline = Arc::clone(&self.deadline);
        State::started(&self.deadline, move || {
            pollster::block_on(async move {
                // What only has to be ended needs no turn.
                match deadline.verdict().is_none() && deadline.take_turn().await.is_err() {
                    true => deadline.end_pause(),
                    false => deadline.go_on(),
                }
                Ok(work.await)
            })
        })
    }
}

impl<R: Send + 'static> Away for Mutex<Here<R>> {
    fn look(&self) -> bool {
        // Somebody is at it.
        let Ok(mut here) = self.try_lock() else { return true };
        if here.work.is_none() || is_child() {
            return false;
        }
        if here.deadline.is_pause_over() {
            here.deadline.end_pause();
        } else if !here.deadline.is_closed() {
            return true;
        }
        here.moved = Some(here.go_elsewhere());
        false
    }
}

fn lock<R>(here: &Mutex<Here<R>>) -> MutexGuard<'_, Here<R>> {
    here.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R: Send + 'static> Worker<R> {
    /// Begins at once.
    pub(crate) fn spawn(
        deadline: Arc<Deadline>,
        work: impl AsyncFnOnce() -> R + Send + 'static,
    ) -> Self {
        let state = State::started(&deadline, move || Ok(pollster::block_on(work())));
        Self::new(deadline, state)
    }

    /// Begins when it has its turn, which is now if one is free.
    pub(crate) fn spawn_in_turn(
        deadline: Arc<Deadline>,
        is_transfer: bool,
        work: impl AsyncFnOnce(Admitted) -> R + Send + Sync + 'static,
    ) -> Self {
        let clock = Arc::clone(&deadline);
        let start =
            move |admitted| State::started(&clock, move || Ok(pollster::block_on(work(admitted))));
        let state = match deadline.try_admit(is_transfer) {
            Some(admitted) => start(admitted),
            None => {
                let admitted = Arc::clone(&deadline).admit(is_transfer);
                State::Waiting(Box::pin(admitted), Some(Box::new(start)))
            }
        };
        Self::new(deadline, state)
    }

    /// Is done by whoever waits for it, on a thread that may block.
    pub(crate) fn here(
        deadline: Arc<Deadline>,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        Self::new_here(deadline, None, Box::pin(work))
    }

    /// Is done by whoever waits for it, on a task, until it asks for a thread.
    pub(crate) fn inline(
        deadline: Arc<Deadline>,
        inline: Arc<Inline>,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        Self::new_here(deadline, Some(inline), Box::pin(work))
    }

    fn new_here(
        deadline: Arc<Deadline>,
        inline: Option<Arc<Inline>>,
        work: Pin<Box<dyn Future<Output = R> + Send>>,
    ) -> Self {
        let here = Here {
            deadline: Arc::clone(&deadline),
            work: Some(work),
            has_begun: false,
            inline,
            turn: None,
            is_watched: false,
            moved: None,
        };
        Self::new(deadline, State::Here(Arc::new(Mutex::new(here))))
    }

    fn new(deadline: Arc<Deadline>, state: State<R>) -> Self {
        let watched = Arc::clone(&deadline);
        let overdue = async move {
            loop {
                watched.over().await;
                tokio::time::sleep(GRACE).await;
                // Bytes may have moved again.
                if watched.is_over() {
                    return watched.failure();
                }
            }
        };
        Self { state, deadline, overdue: Box::pin(overdue) }
    }

    /// Does what can be done now of work that is done here.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        if let State::Here(here) = &self.state {
            // Timers belong to this runtime, whichever one polls.
            let _entered = running().enter();
            let next = lock(here).poll(cx);
            if let Poll::Ready(next) = next {
                self.state = next;
            }
        }
    }

    /// The caller turns to something else, and nothing is done here meanwhile: that is its own
    /// time, and others may have the turn.
    pub(crate) fn pause(&self) {
        let State::Here(here) = &self.state else { return };
        self.deadline.pause();
        let mut locked = lock(here);
        if locked.has_begun && !locked.is_watched {
            locked.is_watched = true;
            let here: Weak<Mutex<Here<R>>> = Arc::downgrade(here);
            watch(here);
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, ErrorKind>> {
        loop {
            match &mut self.state {
                State::Waiting(turn, start) => {
                    let admitted = ready!(turn.as_mut().poll(cx));
                    self.state = match (admitted, start.take()) {
                        (Ok(admitted), Some(start)) => start(admitted),
                        (Ok(_), None) => State::Done(None),
                        (Err(busy), _) => State::Done(Some(Err(busy))),
                    };
                }
                State::Running(outcome) => {
                    let outcome = ready!(Pin::new(outcome).poll(cx));
                    // Whoever waited too long for a thread has not begun.
                    return Poll::Ready(outcome.unwrap_or_else(|_| Err(self.deadline.failure())));
                }
                State::Here(_) => {
                    self.advance(cx);
                    if let State::Here(_) = self.state {
                        return Poll::Pending;
                    }
                }
                State::Done(done) => {
                    let twice = || ErrorKind::Unavailable("the outcome was already taken".into());
                    return Poll::Ready(done.take().unwrap_or_else(|| Err(twice())));
                }
            }
        }
    }
}

impl<R: Send + 'static> Future for Worker<R> {
    type Output = Result<R, ErrorKind>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Timers belong to this runtime, whichever one polls.
        let _entered = running().enter();
        if let Poll::Ready(done) = self.poll_work(cx) {
            return Poll::Ready(done);
        }
        match self.state {
            // It sees its end by itself.
            State::Here(_) | State::Waiting(..) => Poll::Pending,
            _ => self.overdue.as_mut().poll(cx).map(Err),
        }
    }
}

/// What `look` finds on the disk. It is done on a thread that may block, and given up where the disk
/// does not answer within `call_timeout`.
pub(crate) async fn look_at_disk<R: Send + Sync + 'static>(
    limits: &Limits,
    look: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ErrorKind> {
    runtime()?;
    let clock = Arc::new(Deadline::new(limits, Arc::default(), None));
    let looking = Arc::clone(&clock);
    Worker::spawn(clock, async move || {
        looking.look();
        look()
    })
    .await
}

/// Nothing in it is pinned but what lies in a box.
impl<R: Send + 'static> Unpin for Worker<R> {}

/// Nobody waits for it any more: what has begun here goes on elsewhere.
impl<R: Send + 'static> Drop for Worker<R> {
    fn drop(&mut self) {
        if let State::Here(here) = &self.state {
            match is_child() {
                // What it holds belongs to the parent's threads.
                true => std::mem::forget(Arc::clone(here)),
                false => drop(lock(here).go_elsewhere()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::budget::Turns;

    fn limits(time: Duration) -> Limits {
        Limits { concurrency: 1, call_timeout: time, turn_timeout: time, ..Limits::default() }
    }

    const SOON: Duration = Duration::from_millis(10);

    #[test]
    fn work_that_hangs_in_the_system_is_left_to_itself() {
        runtime().unwrap();
        let begun = Instant::now();
        let clock = Arc::new(Deadline::new(&limits(SOON), Arc::default(), None));
        let hangs = Arc::clone(&clock);
        let hanging = Worker::spawn(clock, async move || {
            hangs.begin();
            std::thread::sleep(Duration::from_secs(60));
        });
        let outcome = pollster::block_on(hanging);
        assert!(matches!(outcome, Err(ErrorKind::Timeout(_))), "{outcome:?}");
        // At its end a process waits for no such thread.
        assert!(begun.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn work_that_waits_for_its_turn_holds_no_thread_and_gives_up() {
        runtime().unwrap();
        let turns = Arc::new(Turns::new(&limits(SOON)));
        let clock =
            |time| Arc::new(Deadline::new(&limits(time), Arc::default(), Some(Arc::clone(&turns))));
        let taken = clock(SOON).try_admit(false).unwrap();
        // More than there are threads.
        let waiting = || Worker::spawn_in_turn(clock(SOON), false, async |_| ());
        let waiting = futures::future::join_all((0..5000).map(|_| waiting()));
        let late = Duration::from_secs(60);
        pollster::block_on(Worker::spawn(clock(late), async || ())).unwrap();
        for outcome in pollster::block_on(waiting) {
            assert!(matches!(outcome, Err(ErrorKind::Busy { .. })), "{outcome:?}");
        }
        drop(taken);
        let in_turn = Worker::spawn_in_turn(clock(late), false, async |_| true);
        assert!(pollster::block_on(in_turn).unwrap());
    }

    /// A caller that goes away is no reason for others to wait.
    #[test]
    fn work_that_is_paused_gives_its_turn_away_and_gets_it_back() {
        runtime().unwrap();
        let late = Duration::from_secs(60);
        let turns = Arc::new(Turns::new(&limits(late)));
        let clock =
            || Arc::new(Deadline::new(&limits(late), Arc::default(), Some(Arc::clone(&turns))));
        let paused = clock();
        let begun = Arc::clone(&paused);
        let mut here = Worker::here(Arc::clone(&paused), async move {
            let admitted = Arc::clone(&begun).admit(true).await;
            begun.begin();
            let mut is_back = false;
            let caller = std::future::poll_fn(|_| match std::mem::replace(&mut is_back, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            caller.await;
            admitted.map(drop)
        });
        let mut context = Context::from_waker(std::task::Waker::noop());
        here.advance(&mut context);
        here.pause();
        let other = Worker::spawn_in_turn(clock(), false, async |_| ());
        pollster::block_on(other).unwrap();
        assert!(paused.has_lost_turn());
        pollster::block_on(here).unwrap().unwrap();
    }
}
