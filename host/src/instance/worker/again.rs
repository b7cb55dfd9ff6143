//! Work that wakes itself: it is polled again at once.
//!
//! The answer of a component wakes the future that waits for it, which is part of the same work. A
//! runtime of several threads may poll it on another one next, which takes longer than a small call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// So often at most; other tasks of the runtime want to be polled, too.
const MOST: u32 = 8;

/// It is polled, and nothing has woken it since that began.
const POLLED: u8 = 0;
/// It is not polled.
const RESTS: u8 = 1;
/// It is to be polled.
const WOKEN: u8 = 2;

struct Again {
    state: AtomicU8,
    waker: Waker,
}

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == RESTS {
            self.waker.wake_by_ref();
        }
    }
}

/// Polls with `poll` until that is ready or waits for something else.
pub(super) fn poll_again<R>(
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    let again = Arc::new(Again { state: AtomicU8::new(POLLED), waker: cx.waker().clone() });
    let waker = Waker::from(Arc::clone(&again));
    for _ in 0..MOST {
        again.state.store(POLLED, Ordering::Release);
        if let Poll::Ready(done) = poll(&mut Context::from_waker(&waker)) {
            return Poll::Ready(done);
        }
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        if again.state.compare_exchange(POLLED, RESTS, success, failure).is_ok() {
            return Poll::Pending;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it was polled, and how often its runtime was woken.
    fn polled(wakes: u32) -> (u32, u32) {
        let counted = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&counted));
        let mut polls = 0;
        let polled = poll_again(&mut Context::from_waker(&waker), |cx| {
            polls += 1;
            if polls <= wakes {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        (polls, counted.0.load(Ordering::Relaxed))
    }

    #[test]
    fn work_that_wakes_itself_is_polled_again_but_not_for_ever() {
        assert_eq!(polled(0), (1, 0));
        assert_eq!(polled(2), (3, 0));
        assert_eq!(polled(u32::MAX), (MOST, 1));
    }

    #[test]
    fn what_wakes_it_later_wakes_its_runtime() {
        let counted = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&counted));
        let mut kept = None;
        let polled = poll_again(&mut Context::from_waker(&waker), |cx| {
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        let kept = kept.unwrap();
        kept.wake_by_ref();
        kept.wake();
        assert_eq!(counted.0.load(Ordering::Relaxed), 1);
    }
}
