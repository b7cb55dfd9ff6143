use super::super::direct::Upload;
use super::super::outcome::under;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Streaming, Interface};
use super::STREAMS;
use super::expect::joined;
use crate::checksum::Checksum;

pub(super) const CHECKS: &[Check] = &[
    Check::new("bytes_that_do_not_fit_the_seal_are_not_stored", Streaming, &["write-1"], unfit)
        .needs(STREAMS)
        .direct(),
    Check::new("a_write_that_is_given_up_stores_nothing", Streaming, &["write-2"], given_up)
        .needs(STREAMS),
    Check::new("a_write_that_fails_leaves_what_was_there", Streaming, &["write-3"], leaves)
        .needs(STREAMS)
        .direct(),
    Check::new("the_seal_may_come_before_or_after_the_bytes", Streaming, &["write-4"], orders)
        .needs(STREAMS)
        .direct(),
    Check::new("bytes_beyond_the_seal_are_not_stored", Streaming, &["write-5"], beyond)
        .needs(STREAMS)
        .direct(),
    Check::new("a_write_returns_what_was_stored", Streaming, &["write-6"], returns)
        .needs(STREAMS)
        .direct(),
    Check::new("a_checksum_is_the_seals_or_the_write_fails", Streaming, &["write-7"], checksum)
        .needs(STREAMS)
        .direct(),
    Check::new("a_size_that_was_announced_is_kept", Streaming, &["options-1"], announced)
        .needs(STREAMS)
        .direct(),
    Check::new("nothing_is_visible_before_the_seal", Streaming, &["write-1"], invisible)
        .needs(STREAMS)
        .direct(),
    Check::new("a_slow_write_is_stored", Streaming, &["write-4"], slow).needs(STREAMS).direct(),
    Check::new("a_read_goes_on_over_an_overwrite", Streaming, &["read-10", "read-9"], under_way)
        .needs(STREAMS)
        .direct(),
    Check::new("a_read_is_of_one_generation", Streaming, &["read-9", "read-8"], generation)
        .needs(STREAMS),
    Check::new("a_read_ends_and_says_how", Streaming, &["read-11"], ends).needs(STREAMS).direct(),
    Check::new("a_reader_may_drop_the_stream", Streaming, &["read-13"], dropped).needs(STREAMS),
];

fn crc(data: &[u8]) -> u64 {
    let mut sum = Checksum::new();
    sum.update(data);
    sum.value()
}

/// Writes that have to fail, with and without an existing artifact.
fn fails(s: &Subject, upload: &Upload, cases: &[&str]) -> Verdict {
    s.begin();
    s.refused("new", s.write("new", upload.clone()), cases)?;
    s.absent("new")?;
    s.ok("k", s.put("k", "old"))?;
    s.refused("k", s.write("k", upload.clone()), cases)?;
    s.holds("k", "old")
}

fn unfit(s: &Subject) -> Verdict {
    let data = s.bytes(100_000, 1);
    for (sent, sealed) in [(3, 5), (0, 5), (99_999, 100_000), (65_536, 100_000)] {
        let upload = Upload::of(&data[..sent]).sealed(sealed, crc(&data[..sealed as usize]));
        fails(s, &upload, &["other"])?;
        fails(s, &upload.end_first(), &["other"])?;
    }
    Ok(())
}

fn given_up(s: &Subject) -> Verdict {
    const WHY: &str = "the caller had no more";
    for size in [0, 10, 1_000_000] {
        let upload = Upload::of(&s.bytes(size, 1)).given_up(WHY);
        for upload in [upload.clone(), upload.end_first()] {
            fails(s, &upload, &["other"])?;
            if let Err(kind) = s.write("new", upload) {
                let text = kind.to_string();
                s.check(text.contains(WHY), &format!("an error that says {WHY:?}"), text)?;
            }
        }
    }
    Ok(())
}

fn leaves(s: &Subject) -> Verdict {
    let (old, new) = (s.bytes(200_000, 1), s.bytes(300_000, 2));
    s.ok("k", s.write("k", Upload::of(&old)))?;
    for upload in [Upload::of(&new).given_up("why"), Upload::of(&new).sealed(1, 1)] {
        s.refused("k", s.write("k", upload), &["other"])?;
        s.holds("k", &old)?;
        if s.offers(Interface::Inventory) {
            let listed = s.list("", 0)?;
            s.check(listed == [("k".into(), 200_000)], "one artifact", format!("{listed:?}"))?;
        }
    }
    Ok(())
}

fn orders(s: &Subject) -> Verdict {
    for size in [0, 5, 70_000, 1_000_000] {
        let data = s.bytes(size, 1);
        for upload in [Upload::of(&data), Upload::of(&data).end_first()] {
            s.begin();
            s.ok("k", s.write("k", upload))?;
            s.holds("k", &data)?;
        }
    }
    Ok(())
}

fn beyond(s: &Subject) -> Verdict {
    let data = s.bytes(300_000, 1);
    for (sent, sealed) in [(5, 3), (5, 0), (100_000, 99_999), (300_000, 65_536)] {
        let upload = Upload::of(&data[..sent]).sealed(sealed, crc(&data[..sealed as usize]));
        fails(s, &upload, &["other"])?;
        fails(s, &upload.end_first(), &["other"])?;
    }
    Ok(())
}

fn returns(s: &Subject) -> Verdict {
    for size in [0, 9, 100_000] {
        let data = s.bytes(size, 1);
        let info = s.ok("k", s.write("k", Upload::of(&data).announced(size as u64)))?;
        let is_right =
            info.size == size as u64 && info.checksum.is_none_or(|sum| sum == crc(&data));
        let expected = format!("size {size}, checksum none or {:016x}", crc(&data));
        s.check(is_right, &expected, format!("size {}, {:x?}", info.size, info.checksum))?;
    }
    Ok(())
}

/// A backend that computes the checksum refuses a seal with a wrong one. A backend that does not
/// compute it stores the seal's, so that every reader detects the difference.
fn checksum(s: &Subject) -> Verdict {
    let data = b"123456789";
    let wrong = crc(data) ^ 1;
    s.ok("k", s.put("k", "old"))?;
    match s.write("k", Upload::of(data).sealed(9, wrong)) {
        Err(kind) => {
            s.refused::<()>("k", Err(kind), &["other", "corrupt"])?;
            s.holds("k", "old")
        }
        Ok(info) => {
            let mut infos = vec![info, s.ok("k", s.read("k", 0, Some(1)))?.info];
            if s.offers(Interface::Inventory) {
                infos.push(s.ok("k", s.stat("k"))?);
            }
            for sum in infos.iter().filter_map(|info| info.checksum) {
                let expected = format!("a failed write, or the checksum of the seal, {wrong:016x}");
                s.check(sum == wrong, &expected, format!("{sum:016x}"))?;
            }
            Ok(())
        }
    }
}

fn announced(s: &Subject) -> Verdict {
    s.ok("k", s.write("k", Upload::of(b"12345").announced(5)))?;
    for size in [0, 4, 6, 1_000_000] {
        fails(s, &Upload::of(b"abcde").announced(size), &["other"])?;
    }
    Ok(())
}

fn invisible(s: &Subject) -> Verdict {
    let data = s.bytes(200_000, 1);
    s.ok("k", s.put("k", "old"))?;
    for sent in [1, usize::MAX] {
        for key in ["k", "new"] {
            let look = || {
                s.holds("k", "old")?;
                s.absent("new")?;
                if s.offers(Interface::Inventory) {
                    let listed = s.list("", 0)?;
                    let expected = [("k".into(), 3)];
                    s.check(listed == expected, "the artifact `k` alone", format!("{listed:?}"))?;
                }
                Ok(())
            };
            s.ok(key, s.write_paused(key, Upload::of(&data), sent, look)?)?;
            s.holds(key, &data)?;
            s.ok("k", s.put("k", "old"))?;
            s.ok("new", s.delete("new"))?;
        }
    }
    Ok(())
}

fn slow(s: &Subject) -> Verdict {
    let data = s.bytes(300_000, 1);
    let wait = || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        Ok(())
    };
    for (at, upload) in [(0, Upload::of(&data)), (2, Upload::of(&data).end_first())] {
        s.ok("k", s.write_paused("k", upload, at, wait)?)?;
        s.holds("k", &data)?;
    }
    Ok(())
}

fn under_way(s: &Subject) -> Verdict {
    let (old, new) = (s.bytes(3_000_000, 1), s.bytes(3_000_000, 2));
    let changes: [&(dyn Fn() -> Verdict + Sync); 3] = [
        &|| s.ok("k", s.put("k", "short")),
        &|| s.ok("k", s.write("k", Upload::of(&new))).map(drop),
        &|| s.ok("k", s.delete("k")),
    ];
    for change in changes {
        s.begin();
        s.ok("k", s.write("k", Upload::of(&old)))?;
        let read = s.read_paused("k", 1000, change)?;
        let is_disturbed = !matches!(&read, Ok(read) if matches!(read.end, Some(Ok(()))));
        let rule = if is_disturbed { "read-10" } else { "read-9" };
        under(rule, s.sound("k", &old, read))?;
    }
    Ok(())
}

fn generation(s: &Subject) -> Verdict {
    const SIZE: usize = 200_000;
    s.ok("k", s.put("k", vec![0; SIZE]))?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for letter in 1..=20_u8 {
                let data = vec![letter; SIZE - usize::from(letter)];
                s.ok("k", s.write("k", Upload::of(&data)))?;
            }
            Ok(())
        });
        for _ in 0..30 {
            let read = s.ok("k", s.read("k", 0, None))?;
            let first = read.bytes.first().copied().unwrap_or_default();
            let size = SIZE - usize::from(first);
            let is_one = read.bytes.len() == size && read.bytes.iter().all(|byte| *byte == first);
            s.check(is_one, "the bytes of one generation", "a mix")?;
            let seen = format!("size {}", read.info.size);
            let is_of_it = read.info.size == size as u64;
            under(
                "read-8",
                s.check(is_of_it, &format!("the info of the bytes, size {size}"), seen),
            )?;
        }
        joined(writing)
    })
}

fn ends(s: &Subject) -> Verdict {
    for size in [0, 1, 8192, 1_000_000] {
        s.begin();
        let data = s.bytes(size, 1);
        s.ok("k", s.put("k", &data))?;
        s.sound("k", &data, s.read("k", 0, None))?;
    }
    Ok(())
}

fn dropped(s: &Subject) -> Verdict {
    let data = s.bytes(2_000_000, 1);
    s.ok("k", s.write("k", Upload::of(&data)))?;
    for bytes in [0, 1, 10, 8192, 500_000] {
        for _ in 0..4 {
            let read = s.ok("k", s.read_some("k", bytes))?;
            s.same("k", &data[..bytes], &read.bytes[..bytes.min(read.bytes.len())])?;
        }
    }
    s.holds("k", &data)
}
