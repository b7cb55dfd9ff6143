//! The time by which requests are signed: that of the service, where the clock here is wrong. The
//! host and the component behind the backend `s3` compile this same file.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// Services refuse a signature whose time differs from theirs by more than 15 minutes; a
/// difference of less than this is not worth a correction.
const TOLERATED: i64 = 5 * 60;

/// This machine's clock, and by how many seconds the service's is ahead of it.
#[derive(Debug, Default)]
pub struct Clock {
    ahead: AtomicI64,
}

impl Clock {
    /// The time of the service, where the clock here shows `here`.
    pub fn time(&self, here: Timestamp) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        here.checked_add(ahead).unwrap_or(here)
    }

    /// Takes over the time in the header `Date` of a refusal. The seconds by which the clock here
    /// has to be corrected, where requests were signed by another time so far: then it is worth
    /// sending the request again.
    pub fn learn(&self, date: Option<&str>, here: Timestamp) -> Option<i64> {
        let zoned = DateTimeParser::new().parse_zoned(date?).ok()?;
        let ahead = zoned.timestamp().as_second().checked_sub(here.as_second())?;
        let before = self.ahead.load(Ordering::Relaxed);
        let is_other = ahead.abs_diff(before) > TOLERATED.unsigned_abs();
        is_other.then(|| {
            self.ahead.store(ahead, Ordering::Relaxed);
            ahead
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_corrected_once_and_only_where_it_is_wrong() {
        let here = Timestamp::from_second(1_445_412_480).unwrap();
        for (date, ahead) in [
            ("Wed, 21 Oct 2015 07:28:00 GMT", None),
            ("Wed, 21 Oct 2015 07:24:00 GMT", None),
            ("Wed, 21 Oct 2015 07:48:00 GMT", Some(20 * 60)),
            ("Wed, 21 Oct 2015 07:08:00 GMT", Some(-20 * 60)),
            ("Thu, 21 Oct 2055 07:28:00 GMT", Some(14_610 * 86_400)),
            ("yesterday", None),
            ("", None),
        ] {
            let clock = Clock::default();
            assert_eq!(clock.learn(Some(date), here), ahead, "{date}");
            assert_eq!(clock.time(here).as_second() - here.as_second(), ahead.unwrap_or(0));
            assert_eq!(clock.learn(Some(date), here), None, "{date}");
        }
        assert_eq!(Clock::default().learn(None, here), None);
    }
}
