//! A store below that fails: a layer passes the failure on, or has one of its own.

use super::super::super::direct::{Download, Upload};
use super::super::super::outcome::under;
use super::super::super::subject::{Answer, Subject, Verdict};
use crate::bindings::inventory::Page;
use crate::error::ErrorKind;
use crate::serving::{Fault, Given};

const ALL: [Given; 5] =
    [Given::Unavailable, Given::AccessDenied, Given::NoSpace, Given::Corrupt, Given::Other];

/// An answer: a trap, a broken contract or none at all is no answer to a failure below.
fn answered<T>(s: &Subject, key: &str, answer: Answer<T>) -> Verdict<Answer<T>> {
    match answer {
        Err(kind) if kind.is_fault() => {
            let seen = s.trace().error_shown(&kind);
            Err(s.fail_about(&[key], "an error of the contract", seen))
        }
        answer => Ok(answer),
    }
}

/// An error that is not `not-found`, or what is right all the same.
fn failed_or<T>(
    s: &Subject,
    key: &str,
    answer: Answer<T>,
    is_right: impl FnOnce(T) -> bool,
) -> Verdict {
    match answered(s, key, answer)? {
        Err(ErrorKind::NotFound) => {
            let expected = "the failure below, or another error than not-found";
            under("error-3", Err(s.fail_about(&[key], expected, "err(not-found)")))
        }
        Err(_) => Ok(()),
        Ok(answer) => {
            let is_right = is_right(answer);
            let seen = "ok with another answer than without the failure";
            let failed = || s.fail_about(&[key], "the failure below, or what is right", seen);
            under("get-1", if is_right { Ok(()) } else { Err(failed()) })
        }
    }
}

pub(super) fn reads(s: &Subject) -> Verdict {
    for size in [10, 300_000] {
        let data = s.bytes(size, 1);
        s.ok("k", s.put("k", &data))?;
        for given in ALL {
            s.begin();
            s.fail_below(Some(Fault::Refuse(given)));
            failed_or(s, "k", s.get("k"), |bytes| bytes == data)?;
            failed_or(s, "k", s.read("k", 0, None), |read| is_whole(&read, &data, &data))?;
            failed_or(s, "k", s.stat("k"), |info| info.size == data.len() as u64)?;
            s.fail_below(None);
            s.holds("k", &data)?;
        }
    }
    Ok(())
}

/// Whether a read did not end well, or brought the bytes that were due and states their artifact.
fn is_whole(read: &Download, due: &[u8], whole: &[u8]) -> bool {
    let is_ok = matches!(read.end, Some(Ok(())));
    !is_ok || (read.bytes.starts_with(due) && read.info.size == whole.len() as u64)
}

pub(super) fn broken(s: &Subject) -> Verdict {
    for size in [10, 300_000] {
        let data = s.bytes(size, 1);
        s.ok("k", s.put("k", &data))?;
        for fault in [Fault::Cut, Fault::Overstate] {
            s.begin();
            s.fail_below(Some(fault));
            failed_or(s, "k", s.get("k"), |bytes| bytes == data)?;
            let half = size / 2;
            for (offset, length, due) in [
                (0, None, &data[..]),
                (half as u64, None, &data[half..]),
                (0, Some(half as u64), &data[..half]),
            ] {
                let answer = answered(s, "k", s.read("k", offset, length))?;
                let is_sound = answer.as_ref().is_ok_and(|read| !is_whole(read, due, &data));
                let seen = "ok, although the read below failed";
                s.check(!is_sound, "an error, by the call or by its future", seen)?;
            }
            s.fail_below(None);
            s.holds("k", &data)?;
        }
    }
    Ok(())
}

pub(super) fn changes(s: &Subject) -> Verdict {
    let (old, new) = (s.bytes(1000, 1), s.bytes(200_000, 2));
    for given in ALL {
        for fault in [Fault::Refuse(given), Fault::Lose(given)] {
            for change in [Change::Put, Change::Write, Change::Delete] {
                for key in ["k", "absent"] {
                    s.begin();
                    s.ok("k", s.put("k", &old))?;
                    s.ok("absent", s.delete("absent"))?;
                    s.fail_below(Some(fault));
                    let answer = match change {
                        Change::Put => s.put(key, &new),
                        Change::Write => s.write(key, Upload::of(&new)).map(drop),
                        Change::Delete => s.delete(key),
                    };
                    let answer = answered(s, key, answer)?;
                    s.fail_below(None);
                    s.drop_instances();
                    let before = (key == "k").then_some(&old);
                    let after = (!matches!(change, Change::Delete)).then_some(&new);
                    is_settled(s, key, answer, before, after)?;
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Change {
    Put,
    Write,
    Delete,
}

/// What the key has must be what the answer to a change says.
fn is_settled(
    s: &Subject,
    key: &str,
    answer: Answer<()>,
    before: Option<&Vec<u8>>,
    after: Option<&Vec<u8>>,
) -> Verdict {
    let seen = match s.get(key) {
        Ok(bytes) => Some(bytes),
        Err(ErrorKind::NotFound) => None,
        Err(kind) => return s.ok(key, Err(kind)),
    };
    let (is_old, is_new) = (seen.as_ref() == before, seen.as_ref() == after);
    let (rule, is_right, expected) = match answer {
        Ok(()) => ("change-2", is_new, "the change, since it was ok"),
        Err(ErrorKind::Unavailable(_)) => {
            ("change-5", is_old || is_new, "the old or the new state")
        }
        Err(_) => ("change-4", is_old, "the state before the change that failed"),
    };
    let text = match (is_old, is_new, &seen) {
        (true, ..) => "the state before it",
        (_, true, _) => "the state after it",
        (_, _, None) => "no artifact",
        _ => "other bytes",
    };
    under(rule, if is_right { Ok(()) } else { Err(s.fail_about(&[key], expected, text)) })
}

pub(super) fn listing(s: &Subject) -> Verdict {
    let keys = ["a", "b", "c"];
    for key in keys {
        s.ok(key, s.put(key, key))?;
    }
    for given in ALL {
        s.begin();
        let first = s.ok("", s.page("", None, 1))?;
        s.fail_below(Some(Fault::Refuse(given)));
        complete(s, None, 0)?;
        if let Some(next) = first.next.as_deref() {
            complete(s, Some(next), first.entries.len())?;
        }
        s.fail_below(None);
        let listed = s.list("", 0)?.len();
        s.check(listed == keys.len(), "all artifacts", format!("{listed}"))?;
    }
    Ok(())
}

/// A listing that goes on here, behind so many of the three artifacts, fails or has the others.
fn complete(s: &Subject, cursor: Option<&str>, before: usize) -> Verdict {
    let (mut next, mut seen) = (cursor.map(str::to_owned), before);
    for _ in 0..10 {
        let page = answered(s, "", s.page("", next.as_deref(), 0))?;
        let Ok(Page { entries, next: following }) = page else { return Ok(()) };
        seen += entries.len();
        next = following;
        if next.is_none() {
            break;
        }
    }
    s.check(seen >= 3, "the failure below, or all artifacts", format!("ok with {seen} of 3"))
}
