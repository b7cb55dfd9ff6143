//! A layer and the call that it makes on the store below it, on one thread.
//!
//! wasmtime runs no store inside the poll of another one, so that the two are polled in turn. With a
//! thread for each, everything that passes between them would wake a thread, which takes longer than
//! most calls.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

use super::{in_background, running};

/// A call below a layer. It ends with nothing: the layer receives the outcome.
pub(crate) type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// The place beside the layer that is polled now.
    static PLACE: RefCell<Place> = const { RefCell::new(Place::Taken) };
}

/// For one call. Others that a layer makes meanwhile have threads, so that all run at once.
enum Place {
    Taken,
    Free,
    Begun(Beside),
}

/// Whether a call may begin beside the layer that makes it.
pub(crate) fn has_place() -> bool {
    PLACE.with_borrow(|place| matches!(place, Place::Free))
}

/// Begins `call` there.
pub(crate) fn begin_beside(call: Beside) {
    PLACE.set(Place::Begun(call));
}

/// A call of a layer, and beside it the one that it makes.
pub(crate) struct Together<F> {
    layer: Pin<Box<F>>,
    woken: Arc<Woken>,
    below: Option<(Beside, Arc<Woken>)>,
}

impl<F: Future> Together<F> {
    pub(crate) fn new(layer: F) -> Self {
        Self { layer: Box::pin(layer), woken: Woken::new(), below: None }
    }

    fn poll_layer(&mut self) -> Poll<F::Output> {
        let place = if self.below.is_none() { Place::Free } else { Place::Taken };
        let offered = Offered(PLACE.replace(place));
        let waker = Waker::from(Arc::clone(&self.woken));
        let polled = self.layer.as_mut().poll(&mut Context::from_waker(&waker));
        if let Place::Begun(call) = PLACE.replace(Place::Taken) {
            self.below = Some((call, Woken::new()));
        }
        drop(offered);
        polled
    }

    /// Whether there was something to be done, which the layer may wait for.
    fn poll_below(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((call, woken)) = &mut self.below else { return false };
        woken.waker.register(cx.waker());
        if !woken.take() {
            return false;
        }
        let waker = Waker::from(Arc::clone(woken));
        if call.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.below = None;
        }
        true
    }

    /// A call that has begun runs to its end, also if its layer has ended.
    fn leave(&mut self) {
        if let Some((call, _)) = self.below.take() {
            in_background(move || {
                let _entered = running().enter();
                pollster::block_on(call);
            });
        }
    }
}

impl<F: Future> Future for Together<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            self.woken.waker.register(cx.waker());
            if self.woken.take()
                && let Poll::Ready(done) = self.poll_layer()
            {
                self.leave();
                return Poll::Ready(done);
            }
            if !self.poll_below(cx) && !self.woken.is_set() {
                return Poll::Pending;
            }
        }
    }
}

/// The place that was offered before, of a layer further out.
struct Offered(Place);

impl Drop for Offered {
    fn drop(&mut self) {
        PLACE.set(std::mem::replace(&mut self.0, Place::Taken));
    }
}

/// Whether one of the two is to be polled.
struct Woken {
    is_woken: AtomicBool,
    waker: AtomicWaker,
}

impl Woken {
    /// What is new is to be polled.
    fn new() -> Arc<Self> {
        Arc::new(Self { is_woken: AtomicBool::new(true), waker: AtomicWaker::new() })
    }

    fn is_set(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }

    fn take(&self) -> bool {
        self.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::oneshot;

    use super::*;

    /// A call below, which answers with the thread that it runs on.
    fn call() -> oneshot::Receiver<std::thread::ThreadId> {
        let (done, answer) = oneshot::channel();
        begin_beside(Box::pin(async {
            let _ = done.send(std::thread::current().id());
        }));
        answer
    }

    #[test]
    fn the_call_of_a_layer_runs_on_its_thread_and_there_is_place_for_one() {
        assert!(!has_place());
        let here = std::thread::current().id();
        let layer = Together::new(async {
            for _ in 0..3 {
                assert!(has_place());
                let answer = call();
                assert!(!has_place());
                assert_eq!(answer.await, Ok(here));
            }
            // What is below may itself be a layer.
            let (done, answer) = oneshot::channel();
            begin_beside(Box::pin(Together::new(async {
                assert!(has_place());
                let _ = done.send(call().await);
            })));
            answer.await
        });
        assert_eq!(pollster::block_on(layer), Ok(Ok(here)));
        assert!(!has_place());
    }

    #[test]
    fn a_call_runs_to_its_end_without_its_layer() {
        super::super::runtime().unwrap();
        let (go_on, waits) = oneshot::channel::<()>();
        let (done, answer) = oneshot::channel();
        pollster::block_on(Together::new(async {
            begin_beside(Box::pin(async {
                let _ = done.send(waits.await);
            }));
        }));
        go_on.send(()).unwrap();
        assert_eq!(pollster::block_on(answer), Ok(Ok(())));
    }

    #[test]
    fn a_layer_that_wakes_from_elsewhere_is_polled() {
        let (send, receive) = oneshot::channel();
        let layer = Together::new(receive);
        let thread = std::thread::spawn(move || pollster::block_on(layer));
        std::thread::sleep(std::time::Duration::from_millis(20));
        send.send(7).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(7));
    }
}
