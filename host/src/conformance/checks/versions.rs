use std::collections::BTreeSet;

use super::super::direct::Upload;
use super::super::subject::{Answer, Subject, Verdict};
use super::super::{Check, Group::Versions, Interface, Stop};
use super::STREAMS;
use super::expect::joined;
use crate::bindings::types::Info;

pub(super) const CHECKS: &[Check] = &[
    Check::new("another_payload_has_another_version", Versions, &["version-1"], differ)
        .needs(STREAMS),
    Check::new("all_answers_state_one_version", Versions, &["version-2"], agree).needs(STREAMS),
    Check::new("a_version_is_a_short_text", Versions, &["version-3"], short)
        .needs(STREAMS)
        .direct(),
    Check::new("a_replace_stores_over_its_version", Versions, &["replace-1"], stores)
        .needs(STREAMS),
    Check::new("a_replace_of_another_version_fails", Versions, &["replace-1"], refuses)
        .needs(STREAMS),
    Check::new("a_replace_that_is_not_offered_stores_nothing", Versions, &["replace-3"], offers)
        .needs(STREAMS),
    Check::new("of_many_replaces_one_wins", Versions, &["replace-2"], race).needs(STREAMS),
    Check::new("no_replace_is_lost", Versions, &["replace-2"], counter)
        .needs(STREAMS)
        .with_other(counter_with_other),
];

/// Stores `data` and returns the version, which not every backend has.
pub(super) fn store(s: &Subject, key: &str, data: &[u8]) -> Verdict<String> {
    let info = s.ok(key, s.write(key, Upload::of(data)))?;
    info.version.ok_or_else(|| Stop::NotOffered("versions".into()))
}

fn replace(s: &Subject, key: &str, data: &[u8], version: &str) -> Verdict<Answer<Info>> {
    let answer = s.write(key, Upload::of(data).replace(version));
    if answer.as_ref().is_err_and(|kind| kind.name() == "unsupported") {
        return Err(Stop::NotOffered("the mode `replace`".into()));
    }
    Ok(answer)
}

fn differ(s: &Subject) -> Verdict {
    let mut seen = BTreeSet::new();
    for n in 0..4 {
        let version = store(s, "k", &s.bytes(2000, n))?;
        let is_new = seen.insert(version.clone());
        s.check(is_new, "a version that no other payload had", format!("{version:?} again"))?;
    }
    s.ok("k", s.put("k", "by put"))?;
    let info = s.ok("k", s.read("k", 0, None))?.info;
    let is_new = info.version.as_ref().is_some_and(|version| !seen.contains(version));
    s.check(is_new, "another version after a put", format!("{:?}", info.version))
}

fn agree(s: &Subject) -> Verdict {
    for (n, size) in [(1, 0), (2, 3), (3, 300_000)] {
        let version = Some(store(s, "k", &s.bytes(size, n))?);
        let mut seen = vec![s.ok("k", s.read("k", 0, None))?.info.version];
        if size > 0 {
            seen.push(s.ok("k", s.read("k", 1, Some(1)))?.info.version);
        }
        if s.offers(Interface::Inventory) {
            seen.push(s.ok("k", s.stat("k"))?.version);
        }
        for seen in seen {
            s.check(seen == version, &format!("{version:?}"), format!("{seen:?}"))?;
        }
    }
    Ok(())
}

fn short(s: &Subject) -> Verdict {
    for data in [&b""[..], b"x"] {
        let version = store(s, "k", data)?;
        let is_fine = (1..=256).contains(&version.len()) && !version.chars().any(char::is_control);
        s.check(is_fine, "1 to 256 bytes without control characters", format!("{version:?}"))?;
    }
    Ok(())
}

fn stores(s: &Subject) -> Verdict {
    let first = store(s, "k", b"first")?;
    let second = s.ok("k", replace(s, "k", b"second", &first)?)?.version;
    s.holds("k", "second")?;
    let second = second.ok_or_else(|| s.fail("a version", "none after a replace"))?;
    s.ok("k", replace(s, "k", b"", &second)?)?;
    s.holds("k", "")?;
    s.ok("k", s.delete("k"))
}

fn refuses(s: &Subject) -> Verdict {
    let first = store(s, "k", b"first")?;
    let refused = |key: &str, version: &str| {
        s.refused(key, replace(s, key, b"never", version)?, &["condition-failed"])
    };
    refused("absent", &first)?;
    s.absent("absent")?;
    let second = store(s, "k", b"second")?;
    let cut = &second[..second.floor_char_boundary(second.len() / 2)];
    let other = format!("{second}x");
    for version in [&first, "", cut, &other, "*", "\"", "é"] {
        refused("k", version)?;
        s.holds("k", "second")?;
    }
    s.ok("k", s.delete("k"))?;
    refused("k", &second)?;
    s.absent("k")?;
    // That of another key is none of this one.
    let other = store(s, "other", b"second, elsewhere")?;
    let third = store(s, "k", b"third")?;
    if other != third {
        refused("k", &other)?;
        s.holds("k", "third")?;
    }
    Ok(())
}

fn offers(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "old"))?;
    for key in ["k", "absent"] {
        let answer = s.write(key, Upload::of(b"never").replace("no such version"));
        s.refused(key, answer, &["condition-failed", "unsupported"])?;
    }
    s.holds("k", "old")?;
    s.absent("absent")
}

fn race(s: &Subject) -> Verdict {
    for round in 0..8_u8 {
        s.begin();
        let key = format!("k{round}");
        let version = store(s, &key, b"first")?;
        drop(replace(s, &key, b"never", "no such version")?);
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8_u8)
                .map(|n| {
                    let (key, version) = (&*key, &*version);
                    let upload = Upload::of(&vec![n; 1000]).replace(version);
                    scope.spawn(move || (n, s.write(key, upload)))
                })
                .collect();
            let mut winners = Vec::new();
            for writer in writers {
                let (n, answer) = joined(writer);
                match answer {
                    Ok(_) => winners.push(n),
                    Err(kind) => s.refused::<()>(&key, Err(kind), &["condition-failed"])?,
                }
            }
            Ok(winners)
        })?;
        let seen = format!("{} replaces were ok", winners.len());
        s.check(winners.len() == 1, "one replace of eight is ok", seen)?;
        s.holds(&key, vec![winners[0]; 1000])?;
    }
    Ok(())
}

fn counter(s: &Subject) -> Verdict {
    count(&[s, s, s, s])
}

fn counter_with_other(s: &Subject, other: &Subject) -> Verdict {
    count(&[s, other, s, other])
}

/// Each adds to a number under one key until it has done so a few times.
fn count(subjects: &[&Subject]) -> Verdict {
    const TIMES: u64 = 5;
    let s = subjects[0];
    let version = store(s, "counter", b"0")?;
    drop(replace(s, "counter", b"0", &version)?);
    std::thread::scope(|scope| {
        let adders: Vec<_> = subjects.iter().map(|s| scope.spawn(move || add(s, TIMES))).collect();
        adders.into_iter().try_for_each(joined)
    })?;
    s.holds("counter", (TIMES * subjects.len() as u64).to_string())
}

fn add(s: &Subject, times: u64) -> Verdict {
    let mut done = 0;
    while done < times {
        let read = s.ok("counter", s.read("counter", 0, None))?;
        let number: u64 = std::str::from_utf8(&read.bytes)
            .ok()
            .and_then(|it| it.parse().ok())
            .ok_or_else(|| s.fail("a number", format!("{:?}", read.bytes)))?;
        let version = read.info.version.ok_or_else(|| s.fail("a version", "none"))?;
        let next = (number + 1).to_string();
        match s.write("counter", Upload::of(next.as_bytes()).replace(&version)) {
            Ok(_) => done += 1,
            Err(kind) => s.refused::<()>("counter", Err(kind), &["condition-failed"])?,
        }
    }
    Ok(())
}
