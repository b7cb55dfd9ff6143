use std::thread::sleep;

use super::progress::ANSWERS;
use super::*;
use crate::error::{ErrorKind, LoadError};
use crate::limits::LoadLimits;

const LIMIT: Duration = Duration::from_millis(50);

fn clock(least_rate: u64) -> Arc<Deadline> {
    let limits = Limits { call_timeout: LIMIT, least_rate, ..Limits::default() };
    let clock = Deadline::new(&limits, Arc::default(), None);
    clock.begin();
    Arc::new(clock)
}

fn next_look(clock: &Deadline) -> Duration {
    clock.settled().clock.next_look(&clock.limits)
}

#[test]
fn a_pause_stops_the_clock_and_buys_no_time() {
    let clock = clock(0);
    for _ in 0..3 {
        clock.pause();
        sleep(2 * LIMIT);
        clock.resume();
    }
    assert!(clock.settled().clock.pause >= 6 * LIMIT);
    for _ in 0..20 {
        clock.pause();
        clock.resume();
        sleep(LIMIT / 10);
    }
    assert!(clock.is_over());
    assert!(matches!(clock.failure(), ErrorKind::Timeout(LIMIT)));
}

#[test]
fn loading_may_have_less_time_than_a_call() {
    let load = LoadLimits { time: LIMIT, ..LoadLimits::default() };
    let clock = Deadline::new(&Limits { load, ..Limits::default() }, Arc::default(), None);
    assert!(next_look(&clock) <= LIMIT);
    clock.look();
    assert!(next_look(&clock) <= LIMIT);
    clock.compile();
    sleep(2 * LIMIT);
    assert!(clock.is_over());
    assert!(matches!(clock.failure(), ErrorKind::Load(LoadError::Limit { name: "time", .. })));
}

#[test]
fn only_bytes_are_progress() {
    let clock = clock(0);
    for _ in 0..10 {
        sleep(LIMIT / 5);
        clock.given(0);
        clock.delivered(0);
        // Nothing covers it.
        clock.sent(1000);
    }
    assert!(clock.is_over());
    clock.delivered(1);
    assert!(!clock.is_over());
}

#[test]
fn bytes_on_the_network_count_as_far_as_others_cover_them() {
    let clock = clock(1);
    clock.given(10);
    clock.sent(30);
    clock.sent(30);
    assert_eq!(clock.state().clock.bytes.total(), 50);
    clock.received(u64::MAX);
    assert_eq!(clock.state().clock.bytes.total(), 50 + ANSWERS);
    clock.expect(7);
    clock.received(100);
    assert_eq!(clock.state().clock.bytes.total(), 57 + ANSWERS);
}

#[test]
fn a_byte_now_and_then_is_below_the_least_rate() {
    let clock = clock(1000);
    for _ in 0..20 {
        sleep(LIMIT / 5);
        clock.delivered(1);
    }
    assert!(clock.is_over());
    clock.delivered(1_000_000);
    assert!(!clock.is_over());
}

#[test]
fn computing_adds_up_also_while_the_caller_is_waited_for() {
    let clock = clock(1000);
    clock.pause();
    for _ in 0..4 {
        assert!(clock.state().clock.occupy());
        assert!(!clock.state().clock.occupy());
        sleep(LIMIT / 2);
        clock.state().clock.let_go();
        // It would be well within the step.
        clock.delivered(1);
    }
    assert!(clock.is_over());
}

#[test]
fn no_limit_is_too_long() {
    let limits = Limits {
        call_timeout: Duration::MAX,
        turn_timeout: Duration::MAX,
        pause_timeout: Duration::MAX,
        ..Limits::default()
    };
    let clock = Arc::new(Deadline::new(&limits, Arc::default(), None));
    for begin in [Deadline::begin, |clock: &Deadline| clock.queue(Queue::Turn)] {
        begin(&clock);
        clock.delivered(u64::MAX);
        assert!(!clock.is_over());
        next_look(&clock);
        clock.pause();
        assert!(!clock.is_over());
    }
}
