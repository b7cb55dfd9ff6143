//! The age of a write, with clocks that jump and files with wrong times.

/// A point in time: seconds since 1970, plus nanoseconds.
pub type Time = (i64, u32);

/// The whole seconds from `written` to `now`; 0 if `written` is in the future.
pub fn seconds(written: Time, now: Time) -> u64 {
    let begun = now.0.saturating_sub(written.0);
    let whole = if now.1 < written.1 { begun.saturating_sub(1) } else { begun };
    u64::try_from(whole).unwrap_or(0)
}

/// The largest distance, in nanoseconds, of two changes to which a filesystem gives the same time:
/// many count in ticks of 10 ms.
const TICK: i64 = 16_000_000;

/// Whether another write may still get the same time as the one at `written`.
pub fn is_just_now(written: Time, now: Time) -> bool {
    let seconds = now.0.saturating_sub(written.0);
    let more = i64::from(now.1) - i64::from(written.1);
    (-1..=1).contains(&seconds) && (seconds * 1_000_000_000 + more).abs() < TICK
}

#[cfg(test)]
mod tests {
    use super::{is_just_now, seconds};

    #[test]
    fn a_tick_is_just_now_whichever_clock_is_ahead() {
        for (written, is_just) in [
            ((10, 0), true),
            ((9, 990_000_000), true),
            ((9, 900_000_000), false),
            ((10, 10_000_000), true),
            ((10, 20_000_000), false),
            ((i64::MIN, 0), false),
            ((i64::MAX, u32::MAX), false),
        ] {
            assert_eq!(is_just_now(written, (10, 0)), is_just, "{written:?}");
        }
    }

    #[test]
    fn an_age_counts_whole_seconds_and_is_never_negative() {
        assert_eq!(seconds((10, 0), (10, 0)), 0);
        assert_eq!(seconds((10, 500_000_000), (12, 499_999_999)), 1);
        assert_eq!(seconds((10, 500_000_000), (12, 500_000_000)), 2);
        assert_eq!(seconds((-1, 500_000_000), (0, 500_000_000)), 1);
        assert_eq!(seconds((11, 0), (10, 999_999_999)), 0);
    }

    #[test]
    fn absurd_times_do_no_harm() {
        assert_eq!(seconds((i64::MAX, u32::MAX), (i64::MIN, 0)), 0);
        assert_eq!(seconds((i64::MIN, 0), (i64::MAX, u32::MAX)), i64::MAX as u64);
        assert_eq!(seconds((0, 0), (i64::MAX, 0)), i64::MAX as u64);
    }
}
