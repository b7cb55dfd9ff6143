use super::super::outcome::under;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Ranges};
use super::STREAMS;
use crate::transfer::opening::AT_ONCE;

pub(super) const CHECKS: &[Check] = &[
    Check::new("an_offset_beyond_the_end_is_invalid", Ranges, &["read-2"], beyond).needs(STREAMS),
    Check::new("an_offset_at_the_end_gives_nothing", Ranges, &["read-3"], at_end).needs(STREAMS),
    Check::new("a_length_of_0_gives_nothing", Ranges, &["read-4"], nothing).needs(STREAMS),
    Check::new("a_length_beyond_the_end_is_cut", Ranges, &["read-5"], cut).needs(STREAMS),
    Check::new("a_part_is_that_part", Ranges, &["read-6", "read-7"], parts).needs(STREAMS),
    Check::new("all_due_bytes_are_sent", Ranges, &["read-7"], due).needs(STREAMS),
    Check::new("only_few_bytes_need_no_stream", Ranges, &["contents-1"], few).needs(STREAMS),
    Check::new("the_info_of_a_part_is_of_the_whole", Ranges, &["read-8"], info).needs(STREAMS),
];

const DATA: &str = "01234";

/// Reads a part of `01234`. A backend may send more than the length; its caller cuts.
fn part(s: &Subject, offset: u64, length: Option<u64>, expected: &str) -> Verdict {
    let read = s.ok("", s.read("five", offset, length))?;
    if let Some(end) = read.end {
        s.ok("", end)?;
    }
    let due = due_of(&read.bytes, length);
    let is_short = due.len() < expected.len() && expected.as_bytes().starts_with(due);
    let same = s.same("", expected.as_bytes(), due);
    if is_short {
        under("read-7", same)?
    } else {
        same?
    }
    // Additional bytes have to be those that follow.
    let (from, all) = (offset as usize, DATA.as_bytes());
    let follows = all[from..].starts_with(&read.bytes);
    s.check(follows, "only bytes of the artifact from the offset on", "other bytes")
}

fn due_of(bytes: &[u8], length: Option<u64>) -> &[u8] {
    let due = length.map_or(bytes.len(), |length| usize::try_from(length).unwrap_or(usize::MAX));
    &bytes[..due.min(bytes.len())]
}

fn five(s: &Subject) -> Verdict {
    s.ok("", s.put("five", DATA))
}

fn beyond(s: &Subject) -> Verdict {
    five(s)?;
    s.ok("", s.put("empty", ""))?;
    for (key, offset, length) in [
        ("five", 6, None),
        ("five", 6, Some(0)),
        ("five", 7, Some(1)),
        ("five", u64::MAX, Some(1)),
        ("five", u64::MAX, Some(u64::MAX)),
        ("empty", 1, None),
        ("empty", 1, Some(0)),
    ] {
        s.refused("", s.read(key, offset, length), &["invalid-range"])?;
    }
    Ok(())
}

fn at_end(s: &Subject) -> Verdict {
    five(s)?;
    for length in [None, Some(0), Some(1), Some(u64::MAX)] {
        part(s, 5, length, "")?;
    }
    s.ok("", s.put("empty", ""))?;
    for length in [None, Some(0), Some(1)] {
        s.sound("", b"", s.read("empty", 0, length))?;
    }
    Ok(())
}

fn nothing(s: &Subject) -> Verdict {
    five(s)?;
    (0..=5).try_for_each(|offset| part(s, offset, Some(0), ""))
}

fn cut(s: &Subject) -> Verdict {
    five(s)?;
    part(s, 4, Some(10), "4")?;
    part(s, 0, Some(6), "01234")?;
    part(s, 1, Some(u64::MAX), "1234")?;
    part(s, 5, Some(u64::MAX), "")?;
    part(s, 3, Some(i64::MAX as u64), "34")?;
    part(s, 0, Some(u64::from(u32::MAX) + 1), "01234")
}

fn parts(s: &Subject) -> Verdict {
    five(s)?;
    for offset in 0..=5 {
        part(s, offset, None, &DATA[offset as usize..])?;
        for length in 0..=5 - offset {
            let expected = &DATA[offset as usize..(offset + length) as usize];
            part(s, offset, Some(length), expected)?;
        }
    }
    Ok(())
}

fn due(s: &Subject) -> Verdict {
    let data = s.bytes(600_000, 1);
    s.ok("", s.put("large", &data))?;
    for (offset, length) in [
        (0, 8192),
        (8191, 2),
        (0, 262_144),
        (1, 262_144),
        (262_143, 2),
        (300_000, 299_999),
        (599_999, 1),
        (65_535, 131_073),
    ] {
        let read = s.ok("", s.read("large", offset, Some(length)))?;
        let expected = &data[offset as usize..(offset + length) as usize];
        s.same("", expected, due_of(&read.bytes, Some(length)))?;
    }
    Ok(())
}

/// A read of more bytes than may come without a stream fails if they do.
fn few(s: &Subject) -> Verdict {
    let data = s.bytes(AT_ONCE + 2, 1);
    s.ok("", s.put("large", &data))?;
    for (offset, length) in [(0, None), (1, None), (1, Some(AT_ONCE as u64)), (2, Some(1))] {
        let read = s.ok("", s.read("large", offset, length))?;
        let expected = due_of(&data[offset as usize..], length);
        s.same("", expected, due_of(&read.bytes, length))?;
    }
    Ok(())
}

fn info(s: &Subject) -> Verdict {
    five(s)?;
    let whole = s.ok("", s.read("five", 0, None))?.info;
    for (offset, length) in [(0, Some(2)), (2, None), (5, None), (1, Some(0))] {
        let info = s.ok("", s.read("five", offset, length))?.info;
        let is_whole = info.size == 5 && info.checksum == whole.checksum;
        s.check(is_whole, "size 5 and the checksum of all", format!("size {}", info.size))?;
    }
    Ok(())
}
