//! When a write is sealed below.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use super::super::super::below::{Below, Contents};
use super::super::super::direct::Upload;
use super::super::super::subject::{Subject, Verdict};
use crate::checksum::Checksum;

/// For how long the store below is watched for a seal that comes too early.
const WATCH: Duration = Duration::from_millis(150);

const SIZES: [usize; 3] = [0, 10, 200_000];

fn checksum(data: &[u8]) -> u64 {
    let mut sum = Checksum::new();
    sum.update(data);
    sum.value()
}

/// Writes that are given up, cut, or sealed for another size.
pub(super) fn unsealed(s: &Subject) -> Verdict {
    let below = s.below()?;
    s.ok("k", s.put("k", "old"))?;
    let before = below.contents()?;
    for key in ["new", "k"] {
        for size in SIZES {
            let data = s.bytes(size, 1);
            let whole = Upload::of(&data);
            let size = size as u64;
            let longer = whole.clone().sealed(size + 1, checksum(&data));
            let mut uploads = vec![whole.clone().given_up("the caller gave up"), longer];
            if let Some(shorter) = size.checked_sub(1) {
                let cut = &data[..data.len() - 1];
                uploads.push(whole.clone().sealed(shorter, checksum(cut)));
                uploads.push(whole.clone().sealed(shorter, checksum(&data)));
            }
            for upload in uploads {
                for upload in [upload.clone(), upload.end_first()] {
                    s.begin();
                    let answer = s.write(key, upload);
                    s.check(answer.is_err(), "a write that fails", "ok")?;
                    below.has(&before)?;
                }
            }
            // Its bytes end, and nothing more is heard of the caller.
            for chunks in [0, 1, usize::MAX] {
                s.begin();
                s.write_dropped(key, whole.clone(), chunks);
                below.has(&before)?;
            }
        }
    }
    stays(&below, &before)
}

/// The bytes come to their end, and the seal comes late or never.
pub(super) fn order(s: &Subject) -> Verdict {
    let below = s.below()?;
    s.ok("k", s.put("k", "old"))?;
    for key in ["new", "k"] {
        for size in SIZES {
            let data = s.bytes(size, 1);
            let late = Upload::of(&data).end_late();
            let before = below.contents()?;
            for upload in [late.clone().given_up("the caller gave up"), late] {
                s.begin();
                let is_seen = Cell::new(false);
                let is_sealed = upload.end.is_ok();
                let watch = || {
                    is_seen.set(true);
                    stays(&below, &before)
                };
                let written = s.write_paused(key, upload, 0, watch)?;
                if !is_seen.get() && written.is_ok() {
                    return Err(s.fail("an answer after the seal", "ok before it"));
                }
                match is_sealed {
                    true => drop(s.ok(key, written)?),
                    false => {
                        s.check(written.is_err(), "a write that fails", "ok")?;
                        below.has(&before)?;
                    }
                }
            }
            s.holds(key, &data)?;
            s.ok("k", s.put("k", "old"))?;
            s.ok("new", s.delete("new"))?;
        }
    }
    Ok(())
}

/// Nothing may change below for a while.
fn stays(below: &Below<'_>, before: &Contents) -> Verdict {
    let begun = Instant::now();
    loop {
        below.has(before)?;
        if begun.elapsed() > WATCH {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
}
