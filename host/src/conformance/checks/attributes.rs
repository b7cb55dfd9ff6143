use super::super::direct::Upload;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Attributes as Group, Interface, Stop};
use super::STREAMS;
use crate::bindings::types::Info;
use crate::{Attributes, ErrorKind};

pub(super) const CHECKS: &[Check] = &[
    Check::new("attributes_come_back", Group, &["attribute-4"], come_back).needs(STREAMS),
    Check::new("an_artifact_without_attributes_has_none", Group, &["attribute-4"], none)
        .needs(STREAMS),
    Check::new("attributes_that_are_not_kept_are_refused", Group, &["options-2"], kept)
        .needs(STREAMS),
    Check::new(
        "attributes_that_are_not_allowed_are_refused",
        Group,
        &["options-3", "attribute-1", "attribute-2", "attribute-3"],
        refused,
    )
    .needs(STREAMS)
    .direct(),
];

/// Stores `data` with these attributes, which not every backend keeps.
fn store(s: &Subject, key: &str, data: &[u8], attributes: &Attributes) -> Verdict<Info> {
    let answer = s.write(key, Upload::of(data).attributes(attributes));
    if matches!(answer, Err(ErrorKind::Unsupported(_))) {
        return Err(Stop::NotOffered("attributes".into()));
    }
    s.ok(key, answer)
}

fn has(s: &Subject, expected: &Attributes, info: Info) -> Verdict {
    let seen = Attributes::answered(info.attributes);
    let is_right = seen.as_ref() == Ok(expected);
    let seen = seen.map_or_else(|why| why, |seen| format!("the attributes {{{seen}}}"));
    s.check(is_right, &format!("the attributes {{{expected}}}"), seen)
}

/// Every answer about the artifact has these attributes.
fn stated(s: &Subject, key: &str, expected: &Attributes) -> Verdict {
    has(s, expected, s.ok(key, s.read(key, 0, None))?.info)?;
    if s.offers(Interface::Inventory) {
        has(s, expected, s.ok(key, s.stat(key))?)?;
    }
    Ok(())
}

fn come_back(s: &Subject) -> Verdict {
    let some = Attributes::new().with("content-type", "text/plain; charset=utf-8");
    let long = Attributes::new().with("x", "y".repeat(2047));
    let all = Attributes::new()
        .with("content-type", "application/octet-stream")
        .with("content-encoding", "gzip")
        .with("content-disposition", "attachment; filename=\"a b.txt\"")
        .with("content-language", "de")
        .with("cache-control", "no-cache")
        .with("build", "17")
        .with("build-2", "")
        .with("who", "Zoë, 中文 😀 %41 =?utf-8?q?x?= \"quoted\" a\\b");
    for (n, attributes) in [some, long, all, Attributes::new()].iter().enumerate() {
        for (key, size) in [("k", 10), ("large", 300_000)] {
            let data = s.bytes(size, n as u64);
            has(s, attributes, store(s, key, &data, attributes)?)?;
            stated(s, key, attributes)?;
            s.holds(key, data)?;
        }
    }
    Ok(())
}

fn none(s: &Subject) -> Verdict {
    let some = Attributes::new().with("content-type", "text/plain").with("build", "17");
    store(s, "k", b"x", &some)?;
    s.ok("k", s.put("k", "y"))?;
    stated(s, "k", &Attributes::new())?;
    s.ok("k", s.write("k", Upload::of(b"z")))?;
    stated(s, "k", &Attributes::new())
}

fn kept(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "old"))?;
    let upload = Upload::of(b"new").attributes(&Attributes::new().with("build", "17"));
    match s.write("k", upload) {
        Ok(_) => s.holds("k", "new"),
        Err(kind) => {
            s.refused::<()>("k", Err(kind), &["unsupported"])?;
            s.holds("k", "old")
        }
    }
}

fn refused(s: &Subject) -> Verdict {
    store(s, "k", b"old", &Attributes::new().with("build", "17"))?;
    let much = Attributes::new().with("a", "x".repeat(1500)).with("b", "x".repeat(547));
    for attributes in [
        Attributes::new().with("", "x"),
        Attributes::new().with("Build", "x"),
        Attributes::new().with("1st", "x"),
        Attributes::new().with("a_b", "x"),
        Attributes::new().with("a", "line\nbreak"),
        Attributes::new().with("a", "\u{85}"),
        Attributes::new().with("a", " x"),
        Attributes::new().with("content-type", "é"),
        Attributes::new().with("a".repeat(129), "x"),
        much,
    ] {
        let answer = s.write("k", Upload::of(b"never").attributes(&attributes));
        s.refused("k", answer, &["other"])?;
        s.holds("k", "old")?;
    }
    Ok(())
}
