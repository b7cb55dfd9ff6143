use super::super::direct::Upload;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Instances, Interface};
use super::STREAMS;

pub(super) const CHECKS: &[Check] = &[
    Check::new("nothing_is_lost_with_an_instance", Instances, &["instance-1"], kept).direct(),
    Check::new("an_old_instance_knows_nothing_old", Instances, &["instance-1"], |_| Ok(()))
        .with_other(stale)
        .direct(),
    Check::new(
        "an_instance_dropped_in_a_write_stores_nothing",
        Instances,
        &["instance-3", "change-5"],
        dropped,
    )
    .needs(STREAMS)
    .direct(),
    Check::new("after_a_dropped_instance_all_goes_on", Instances, &["change-5"], goes_on)
        .needs(STREAMS)
        .direct(),
];

fn kept(s: &Subject) -> Verdict {
    s.ok("gone", s.put("gone", "x"))?;
    s.ok("gone", s.delete("gone"))?;
    s.ok("k", s.put("k", "kept"))?;
    s.drop_instances();
    s.holds("k", "kept")?;
    s.absent("gone")?;
    s.ok("k", s.put("k", "again"))?;
    s.drop_instances();
    s.holds("k", "again")?;
    if s.offers(Interface::Inventory) {
        s.drop_instances();
        let listed = s.list("", 0)?;
        s.check(listed == [("k".into(), 5)], "[(\"k\", 5)]", format!("{listed:?}"))?;
    }
    Ok(())
}

/// What one instance has learned is changed by another one.
fn stale(s: &Subject, other: &Subject) -> Verdict {
    s.ok("k", s.put("k", "old"))?;
    s.holds("k", "old")?;
    other.ok("k", other.put("k", "newer"))?;
    s.holds("k", "newer")?;
    s.absent("absent")?;
    other.ok("absent", other.put("absent", "now there"))?;
    s.holds("absent", "now there")?;
    other.ok("k", other.delete("k"))?;
    s.absent("k")?;
    if s.offers(Interface::Inventory) {
        other.ok("third", other.put("third", ""))?;
        let mut listed: Vec<_> = s.list("", 0)?.into_iter().map(|(key, _)| key).collect();
        listed.sort();
        s.check(listed == ["absent", "third"], "[absent, third]", format!("{listed:?}"))?;
    }
    Ok(())
}

fn dropped(s: &Subject) -> Verdict {
    let data = s.bytes(400_000, 1);
    s.ok("k", s.put("k", "old"))?;
    for chunks in [0, 1, 4, usize::MAX] {
        for key in ["k", "new"] {
            for upload in [Upload::of(&data), Upload::of(&data).end_first()] {
                // The seal was sent, so the write may have succeeded.
                let is_open = upload.end_first && chunks == usize::MAX;
                s.write_dropped(key, upload, chunks);
                if is_open {
                    continue;
                }
                s.holds("k", "old")?;
                s.absent("new")?;
            }
        }
        s.ok("k", s.put("k", "old"))?;
        s.ok("new", s.delete("new"))?;
    }
    if s.offers(Interface::Inventory) {
        let listed = s.list("", 0)?;
        s.check(listed == [("k".into(), 3)], "[(\"k\", 3)]", format!("{listed:?}"))?;
    }
    Ok(())
}

fn goes_on(s: &Subject) -> Verdict {
    let data = s.bytes(300_000, 1);
    for round in 0..5 {
        s.write_dropped("k", Upload::of(&data), round);
        s.ok("k", s.write("k", Upload::of(&data)))?;
        s.holds("k", &data)?;
        s.ok("k", s.delete("k"))?;
        s.absent("k")?;
    }
    Ok(())
}
