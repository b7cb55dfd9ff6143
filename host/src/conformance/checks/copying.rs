use super::super::direct::Upload;
use super::super::outcome::under;
use super::super::subject::{Answer, Subject, Verdict};
use super::super::{Check, Group::Copying, Interface, Stop};
use super::expect::joined;
use super::overwrite::damage;
use super::{COPYING, STREAMS};
use crate::bindings::types::Info;
use crate::{Attributes, Mode};

const BOTH: &[Interface] = &[COPYING[0], STREAMS[0]];

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_copy_has_the_bytes_of_its_source", Copying, &["copy-1"], bytes).needs(COPYING),
    Check::new("a_copy_has_the_attributes_of_its_source", Copying, &["copy-1"], attributes)
        .needs(BOTH),
    Check::new("the_info_of_a_copy_is_its_own", Copying, &["copy-2"], info).needs(BOTH),
    Check::new("a_copy_of_nothing_stores_nothing", Copying, &["copy-3"], absent).needs(COPYING),
    Check::new("a_copy_takes_the_place_of_another", Copying, &["copy-4", "put-1"], replaced)
        .needs(COPYING),
    Check::new("a_copy_only_creates_if_it_is_to", Copying, &["copy-4", "create-2"], created)
        .needs(COPYING),
    Check::new("a_copy_replaces_the_version_that_it_names", Copying, &["copy-4"], conditional)
        .needs(BOTH),
    Check::new("of_many_copies_that_create_one_wins", Copying, &["copy-4", "create-1"], race)
        .needs(COPYING),
    Check::new("an_artifact_can_be_copied_onto_itself", Copying, &["copy-5"], itself)
        .needs(COPYING),
    Check::new("a_copy_does_not_conceal_damage", Copying, &["copy-6"], damaged)
        .needs(COPYING)
        .direct(),
    Check::new("a_copy_leaves_its_source", Copying, &["copy-7"], source_stays).needs(COPYING),
    Check::new("a_copy_and_its_source_are_two_artifacts", Copying, &["key-4"], independent)
        .needs(COPYING),
    Check::new("a_copy_checks_both_keys", Copying, &["key-3"], keys).needs(COPYING).direct(),
];

/// A copy that the backend may not be able to make itself; then it must not have touched the target.
fn copy(s: &Subject, source: &str, target: &str, mode: &Mode) -> Verdict<Answer<Info>> {
    let before = s.get(target);
    let answer = s.copy(source, target, mode);
    if answer.as_ref().is_err_and(|kind| kind.name() == "unsupported") {
        match before {
            Ok(data) => s.holds(target, data)?,
            Err(_) => s.absent(target)?,
        }
        return Err(Stop::NotOffered("copies in this mode".into()));
    }
    Ok(answer)
}

fn overwrite(s: &Subject, source: &str, target: &str) -> Verdict<Info> {
    s.ok("", copy(s, source, target, &Mode::Overwrite)?)
}

fn bytes(s: &Subject) -> Verdict {
    for (n, size) in [(1, 0), (2, 10), (3, 70_000), (4, 300_000)] {
        let data = s.bytes(size, n);
        s.ok("k", s.put("k", &data))?;
        for target in ["t", "a/../b %41 é", "k/k"] {
            let info = overwrite(s, "k", target)?;
            let expected = format!("the size {size}");
            s.check(info.size == size as u64, &expected, info.size.to_string())?;
            s.holds(target, &data)?;
            if s.offers(Interface::Inventory) {
                let (source, copy) = (s.ok("k", s.stat("k"))?, s.ok(target, s.stat(target))?);
                for seen in [info.checksum, copy.checksum].into_iter().flatten() {
                    let is_right = source.checksum.is_none_or(|checksum| checksum == seen);
                    let expected = format!("the checksum {:?}", source.checksum);
                    s.check(is_right, &expected, format!("{seen}"))?;
                }
            }
        }
    }
    Ok(())
}

fn attributes(s: &Subject) -> Verdict {
    let some = Attributes::new().with("content-type", "text/plain").with("build", "17 é");
    let upload = |attributes| Upload::of(b"source").attributes(attributes);
    let stored = s.write("k", upload(&some));
    if stored.as_ref().is_err_and(|kind| kind.name() == "unsupported") {
        return Err(Stop::NotOffered("attributes".into()));
    }
    s.ok("k", stored)?;
    let other = Attributes::new().with("other", "of the target");
    for expected in [&some, &Attributes::new()] {
        s.ok("k", s.write("k", upload(expected)))?;
        s.ok("t", s.write("t", upload(&other)))?;
        let info = overwrite(s, "k", "t")?;
        for seen in [info, s.ok("t", s.read("t", 0, None))?.info] {
            let seen = Attributes::answered(seen.attributes);
            let is_right = seen.as_ref() == Ok(expected);
            let seen = seen.map_or_else(|why| why, |seen| format!("the attributes {{{seen}}}"));
            s.check(is_right, &format!("the attributes {{{expected}}}"), seen)?;
        }
    }
    Ok(())
}

fn info(s: &Subject) -> Verdict {
    for (n, size) in [(1, 0), (2, 3), (3, 300_000)] {
        s.ok("k", s.write("k", Upload::of(&s.bytes(size, n))))?;
        let answer = overwrite(s, "k", "t")?;
        let mut infos = vec![s.ok("t", s.read("t", 0, None))?.info];
        if s.offers(Interface::Inventory) {
            infos.push(s.ok("t", s.stat("t"))?);
        }
        for seen in infos {
            let of = |info: &Info| (info.size, info.version.clone());
            let expected = format!("the size and version {:?}", of(&answer));
            s.check(of(&seen) == of(&answer), &expected, format!("{:?}", of(&seen)))?;
        }
    }
    Ok(())
}

fn absent(s: &Subject) -> Verdict {
    s.refused("", copy(s, "absent", "t", &Mode::Overwrite)?, &["not-found"])?;
    s.absent("t")?;
    s.ok("t", s.put("t", "old"))?;
    s.refused("", copy(s, "absent", "t", &Mode::Overwrite)?, &["not-found"])?;
    s.holds("t", "old")?;
    s.refused("", copy(s, "absent", "absent", &Mode::Overwrite)?, &["not-found"])?;
    s.absent("absent")
}

fn replaced(s: &Subject) -> Verdict {
    for (n, size) in [(1, 5), (2, 0), (3, 300_000), (4, 2)] {
        let data = s.bytes(size, n);
        s.ok("k", s.put("k", &data))?;
        overwrite(s, "k", "t")?;
        s.holds("t", &data)?;
    }
    Ok(())
}

fn created(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "new"))?;
    s.ok("old", s.put("old", "old"))?;
    s.refused("", copy(s, "k", "old", &Mode::Create)?, &["already-exists"])?;
    s.holds("old", "old")?;
    s.ok("", copy(s, "k", "t", &Mode::Create)?)?;
    s.holds("t", "new")?;
    s.refused("", copy(s, "old", "t", &Mode::Create)?, &["already-exists"])?;
    s.holds("t", "new")
}

fn conditional(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "new"))?;
    let old = s.ok("t", s.write("t", Upload::of(b"old")))?.version;
    let old = Mode::Replace(old.ok_or_else(|| Stop::NotOffered("versions".into()))?);
    let answer = s.write("t", Upload::of(b"newer").replace("no such version"));
    if answer.is_err_and(|kind| kind.name() == "unsupported") {
        return Err(Stop::NotOffered("the mode `replace`".into()));
    }
    for (target, mode) in [("absent", &old), ("t", &Mode::Replace("other".into()))] {
        s.refused("", copy(s, "k", target, mode)?, &["condition-failed"])?;
    }
    s.absent("absent")?;
    s.holds("t", "old")?;
    s.ok("", copy(s, "k", "t", &old)?)?;
    s.holds("t", "new")?;
    s.ok("k", s.put("k", "newer"))?;
    s.refused("", copy(s, "k", "t", &old)?, &["condition-failed"])?;
    s.holds("t", "new")
}

fn race(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "source"))?;
    s.ok("", copy(s, "k", "first", &Mode::Create)?)?;
    for round in 0..8_u8 {
        let target = format!("t{round}");
        let won: Vec<bool> = std::thread::scope(|scope| {
            let copies: Vec<_> =
                (0..8).map(|_| scope.spawn(|| s.copy("k", &target, &Mode::Create))).collect();
            let mut won = Vec::new();
            for copy in copies {
                let answer = joined(copy);
                won.push(answer.is_ok());
                if answer.is_err() {
                    s.refused("", answer, &["already-exists"])?;
                }
            }
            Ok(won)
        })?;
        let winners = won.into_iter().filter(|won| *won).count();
        let seen = format!("{winners} copies were ok");
        under("create-1", s.check(winners == 1, "one copy of eight is ok", seen))?;
        s.holds(&target, "source")?;
    }
    Ok(())
}

fn itself(s: &Subject) -> Verdict {
    for size in [0, 10, 300_000] {
        let data = s.bytes(size, 1);
        s.ok("k", s.put("k", &data))?;
        overwrite(s, "k", "k")?;
        s.holds("k", &data)?;
        s.refused("k", s.copy("k", "k", &Mode::Create), &["already-exists", "unsupported"])?;
        s.holds("k", &data)?;
    }
    Ok(())
}

fn damaged(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "x"))?;
    if !s.offers(Interface::Inventory) || s.ok("k", s.stat("k"))?.checksum.is_none() {
        return Err(Stop::NotOffered("a checksum".into()));
    }
    for cut in [true, false] {
        damage(s, cut)?;
        s.ok("t", s.put("t", "sound"))?;
        match copy(s, "k", "t", &Mode::Overwrite)? {
            Ok(_) => s.refused("", s.get("t"), &["corrupt"])?,
            Err(kind) => {
                s.refused::<()>("", Err(kind), &["corrupt"])?;
                s.holds("t", "sound")?;
            }
        }
    }
    Ok(())
}

fn source_stays(s: &Subject) -> Verdict {
    let data = s.bytes(70_000, 1);
    s.ok("k", s.put("k", &data))?;
    overwrite(s, "k", "t")?;
    s.holds("k", &data)?;
    overwrite(s, "k", "t")?;
    s.holds("k", &data)
}

fn independent(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "first"))?;
    overwrite(s, "k", "t")?;
    s.ok("k", s.put("k", "second"))?;
    s.holds("t", "first")?;
    overwrite(s, "t", "u")?;
    s.ok("t", s.delete("t"))?;
    s.holds("u", "first")?;
    s.holds("k", "second")
}

fn keys(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "x"))?;
    let long = "x".repeat(1025);
    for wrong in ["", "a\nb", &long] {
        s.refused("", s.copy("k", wrong, &Mode::Overwrite), &["invalid-key"])?;
        s.refused("", s.copy(wrong, "k", &Mode::Overwrite), &["invalid-key"])?;
    }
    s.holds("k", "x")
}
