//! Sizes and counts, as people write and read them.

use std::time::Duration;

use bytesize::ByteSize;

/// A number of bytes, with or without a unit: `1024`, `16KiB`, `1.5GB`.
pub fn size(text: &str) -> Result<u64, String> {
    // A number with a unit is not exact where it is large.
    match text.parse() {
        Ok(bytes) => Ok(bytes),
        Err(_) => Ok(text.parse::<ByteSize>()?.as_u64()),
    }
}

/// A time in seconds, or shorter ones in milliseconds.
pub fn span(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rounded = if millis < 1000 { millis } else { (millis + 500) / 1000 * 1000 };
    humantime::format_duration(Duration::from_millis(rounded)).to_string()
}

/// How many of them: `1 artifact`, `2 artifacts`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_exact_without_a_unit() {
        for (text, bytes) in
            [("0", 0), ("16KiB", 16384), ("1.5 KB", 1500), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "KiB", "1 apple"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_no_more_exact_than_a_reader_needs() {
        for (millis, shown) in [(0, "1ms"), (12, "12ms"), (1499, "1s"), (61_500, "1m 2s")] {
            assert_eq!(span(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "artifact"), "1 artifact");
        assert_eq!((count(0, "key"), count(2, "key")), ("0 keys".into(), "2 keys".into()));
    }
}
