use super::super::direct::Upload;
use super::super::subject::{Answer, Subject, Verdict};
use super::super::{Check, Group::Versions, Interface, Stop};
use super::expect::joined;
use super::versions::store;
use super::{CONDITIONAL, STREAMS};

const BOTH: &[Interface] = &[CONDITIONAL[0], STREAMS[0]];

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_delete_if_removes_its_version", Versions, &["delete-if-2"], removes).needs(BOTH),
    Check::new("a_delete_if_of_another_version_fails", Versions, &["delete-if-1"], refuses)
        .needs(BOTH),
    Check::new("a_delete_if_of_an_absent_key_is_ok", Versions, &["delete-if-2"], absent)
        .needs(CONDITIONAL),
    Check::new("a_delete_if_leaves_other_keys", Versions, &["delete-if-5"], neighbours).needs(BOTH),
    Check::new("a_delete_if_checks_the_key", Versions, &["key-3"], keys)
        .needs(CONDITIONAL)
        .direct(),
    Check::new("of_a_delete_if_and_a_replace_one_wins", Versions, &["delete-if-3"], race)
        .needs(BOTH),
    Check::new("a_delete_if_removes_no_later_put", Versions, &["delete-if-3"], overtaken)
        .needs(BOTH),
];

/// A deletion that the backend may not be able to decide; then it must not have removed anything.
fn delete_if(s: &Subject, key: &str, version: &str) -> Verdict<Answer<()>> {
    let before = s.get(key);
    let answer = s.delete_if(key, version);
    if answer.as_ref().is_err_and(|kind| kind.name() == "unsupported") {
        match before {
            Ok(data) => s.holds(key, data)?,
            Err(_) => s.absent(key)?,
        }
        return Err(Stop::NotOffered("deletions of one version".into()));
    }
    Ok(answer)
}

fn removes(s: &Subject) -> Verdict {
    for (n, size) in [(1, 3), (2, 0), (3, 300_000)] {
        let version = store(s, "k", &s.bytes(size, n))?;
        s.ok("k", delete_if(s, "k", &version)?)?;
        s.absent("k")?;
        // As a retry would.
        s.ok("k", delete_if(s, "k", &version)?)?;
        s.absent("k")?;
    }
    let last = store(s, "k", b"last")?;
    s.holds("k", "last")?;
    s.ok("k", delete_if(s, "k", &last)?)?;
    s.absent("k")
}

fn refuses(s: &Subject) -> Verdict {
    let first = store(s, "k", b"first")?;
    let second = store(s, "k", b"second")?;
    let cut = &second[..second.floor_char_boundary(second.len() / 2)];
    let longer = format!("{second}x");
    for version in [&first, "", cut, &longer, "*", "\"", "é"] {
        s.refused("k", delete_if(s, "k", version)?, &["condition-failed"])?;
        s.holds("k", "second")?;
    }
    let other = store(s, "other", b"second, elsewhere")?;
    if other != second {
        s.refused("k", delete_if(s, "k", &other)?, &["condition-failed"])?;
        s.holds("k", "second")?;
    }
    s.ok("k", s.delete("k"))?;
    let third = store(s, "k", b"third")?;
    if second != third {
        s.refused("k", delete_if(s, "k", &second)?, &["condition-failed"])?;
    }
    s.holds("k", "third")
}

fn absent(s: &Subject) -> Verdict {
    for key in ["absent", "absent/too"] {
        s.ok(key, delete_if(s, key, "no such version")?)?;
        s.absent(key)?;
    }
    s.ok("absent", s.put("absent", "no more"))?;
    s.holds("absent", "no more")
}

fn neighbours(s: &Subject) -> Verdict {
    let version = store(s, "k", b"k")?;
    let others = ["k/k", "k/", "K", "kk", "k "];
    for other in others {
        s.ok(other, s.put(other, other))?;
    }
    s.ok("k", delete_if(s, "k", &version)?)?;
    s.absent("k")?;
    others.into_iter().try_for_each(|other| s.holds(other, other))
}

fn keys(s: &Subject) -> Verdict {
    for wrong in ["", "a\nb", &"x".repeat(1025)] {
        s.refused("", s.delete_if(wrong, "v"), &["invalid-key"])?;
    }
    Ok(())
}

/// The first change of one version may end the writes that run then.
fn begin(s: &Subject) -> Verdict {
    let version = store(s, "first", b"of all")?;
    s.ok("first", delete_if(s, "first", &version)?)
}

/// A replace that was acknowledged stays, and only one of the changes of a generation is made.
fn race(s: &Subject) -> Verdict {
    begin(s)?;
    for round in 0..8_u8 {
        s.begin();
        let key = format!("k{round}");
        let version = store(s, &key, b"first")?;
        let replaced = std::thread::scope(|scope| {
            let (key, version) = (&*key, &*version);
            let deletions: Vec<_> =
                (0..3).map(|_| scope.spawn(move || s.delete_if(key, version))).collect();
            let upload = Upload::of(b"second").replace(version);
            let replace = scope.spawn(move || s.write(key, upload));
            for answer in deletions.into_iter().map(joined) {
                if answer.is_err() {
                    s.refused(key, answer, &["condition-failed"])?;
                }
            }
            let answer = joined(replace);
            let is_made = answer.is_ok();
            if !is_made {
                s.refused(key, answer, &["condition-failed", "unsupported"])?;
            }
            Ok(is_made)
        })?;
        if replaced { s.holds(&key, "second")? } else { s.absent(&key)? }
    }
    Ok(())
}

/// What is put while its key's older generation is deleted is there at the end.
fn overtaken(s: &Subject) -> Verdict {
    begin(s)?;
    for round in 0..8_u8 {
        s.begin();
        let key = format!("k{round}");
        let version = store(s, &key, b"first")?;
        std::thread::scope(|scope| {
            let (key, version) = (&*key, &*version);
            let deletion = scope.spawn(move || s.delete_if(key, version));
            let put = scope.spawn(move || s.put(key, "second"));
            let answer = joined(deletion);
            if answer.is_err() {
                s.refused(key, answer, &["condition-failed"])?;
            }
            s.ok(key, joined(put))
        })?;
        s.holds(&key, "second")?;
    }
    Ok(())
}
