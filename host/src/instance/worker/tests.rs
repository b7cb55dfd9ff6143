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
    let waiting = || Worker::in_turn(clock(SOON), false, Site::Thread, async |_| ());
    let waiting = futures::future::join_all((0..5000).map(|_| waiting()));
    let late = Duration::from_secs(60);
    pollster::block_on(Worker::spawn(clock(late), async || ())).unwrap();
    for outcome in pollster::block_on(waiting) {
        assert!(matches!(outcome, Err(ErrorKind::Busy { .. })), "{outcome:?}");
    }
    drop(taken);
    let in_turn = Worker::in_turn(clock(late), false, Site::Thread, async |_| true);
    assert!(pollster::block_on(in_turn).unwrap());
}

/// A caller that goes away is no reason for others to wait.
#[test]
fn work_that_is_paused_gives_its_turn_away_and_gets_it_back() {
    runtime().unwrap();
    let late = Duration::from_secs(60);
    let turns = Arc::new(Turns::new(&limits(late)));
    let clock = || Arc::new(Deadline::new(&limits(late), Arc::default(), Some(Arc::clone(&turns))));
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
    let other = Worker::in_turn(clock(), false, Site::Thread, async |_| ());
    pollster::block_on(other).unwrap();
    assert!(paused.has_lost_turn());
    pollster::block_on(here).unwrap().unwrap();
}
