use super::super::direct::Upload;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Limits};
use super::STREAMS;

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_large_put_is_stored_or_too_large", Limits, &["get-1"], large_put).direct(),
    Check::new("a_large_stream_is_stored", Limits, &["read-6"], large_stream)
        .needs(STREAMS)
        .direct(),
    Check::new("many_calls_leave_nothing_behind", Limits, &["instance-1"], many)
        .direct()
        .on_one_instance(),
];

/// An artifact that is larger than the backend accepts is refused as a whole.
fn large_put(s: &Subject) -> Verdict {
    let data = s.bytes(24 << 20, 1);
    match s.put("k", &data) {
        Ok(()) => s.holds("k", &data),
        Err(kind) => {
            s.refused::<()>("k", Err(kind), &["too-large", "no-space"])?;
            s.absent("k")
        }
    }
}

fn large_stream(s: &Subject) -> Verdict {
    let data = s.bytes(48 << 20, 1);
    match s.write("k", Upload::of(&data)) {
        Ok(_) => s.sound("k", &data, s.read("k", 0, None)),
        Err(kind) => {
            s.refused::<()>("k", Err(kind), &["too-large", "no-space"])?;
            s.absent("k")
        }
    }
}

/// Handles that an instance does not close run out at some time.
fn many(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "x"))?;
    for round in 0..400 {
        s.begin();
        s.note(&format!("`k` holds \"x\"; it and an absent key were read {round} times"));
        s.holds("k", "x")?;
        s.absent("absent")?;
    }
    Ok(())
}
