use super::super::direct::Upload;
use super::super::outcome::under;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::RoundTrip, Interface};
use super::{INVENTORY, STREAMS};
use crate::checksum::Checksum;

pub(super) const CHECKS: &[Check] = &[
    Check::new("an_artifact_of_any_size_comes_back", RoundTrip, &["get-1"], any_size),
    Check::new("an_empty_artifact_is_an_artifact", RoundTrip, &["store-2"], empty).direct(),
    Check::new("each_interface_finds_what_another_stored", RoundTrip, &["store-1"], shared)
        .direct(),
    Check::new("a_streamed_artifact_comes_back", RoundTrip, &["read-6", "read-11"], streamed)
        .needs(STREAMS),
    Check::new("get_of_an_absent_key_is_not_found", RoundTrip, &["get-2"], get_absent),
    Check::new("read_of_an_absent_key_is_not_found", RoundTrip, &["read-1"], read_absent)
        .needs(STREAMS),
    Check::new("stat_of_an_absent_key_is_not_found", RoundTrip, &["stat-2"], stat_absent)
        .needs(INVENTORY),
    Check::new("a_delete_of_an_absent_key_is_ok", RoundTrip, &["delete-1"], delete_absent),
    Check::new("what_was_deleted_is_gone", RoundTrip, &["delete-2"], deleted),
    Check::new("stat_tells_the_size", RoundTrip, &["stat-1"], stat_size).needs(INVENTORY),
    Check::new("a_checksum_is_that_of_the_payload", RoundTrip, &["info-2"], checksum),
    Check::new("a_time_is_well_formed", RoundTrip, &["instant-1"], time).direct(),
];

fn any_size(s: &Subject) -> Verdict {
    let edges = [512, 4 << 10, 8 << 10, 64 << 10, 256 << 10, 1 << 20];
    let sizes = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
    for size in [0, 1, 2, 100].into_iter().chain(sizes) {
        s.begin();
        let data = s.bytes(size, size as u64);
        s.ok("k", s.put("k", &data))?;
        s.holds("k", &data)?;
    }
    Ok(())
}

fn empty(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", ""))?;
    s.holds("k", "")?;
    if s.offers(Interface::Streams) {
        s.sound("k", b"", s.read("k", 0, None))?;
        s.ok("w", s.write("w", Upload::of(b"")))?;
        s.holds("w", "")?;
    }
    if s.offers(Interface::Inventory) {
        let size = s.ok("k", s.stat("k"))?.size;
        s.check(size == 0, "size 0", format!("size {size}"))?;
        let listed = s.list("k", 0)?;
        s.check(listed == [("k".into(), 0)], "[(\"k\", 0)]", format!("{listed:?}"))?;
    }
    s.ok("k", s.delete("k"))?;
    s.absent("k")
}

fn shared(s: &Subject) -> Verdict {
    let optional = [Interface::Streams, Interface::Inventory];
    if !optional.iter().any(|interface| s.offers(*interface)) {
        return Err(super::super::Stop::NotOffered("streams or inventory".into()));
    }
    for (at, size) in [(0, 0), (1, 5), (2, 70_000)] {
        s.begin();
        let data = s.bytes(size, at);
        s.ok("put", s.put("put", &data))?;
        if s.offers(Interface::Streams) {
            s.sound("put", &data, s.read("put", 0, None))?;
            s.ok("written", s.write("written", Upload::of(&data)))?;
            s.holds("written", &data)?;
        }
        if s.offers(Interface::Inventory) {
            s.ok("put", s.stat("put"))?;
            let listed = s.list("put", 0)?;
            s.check(
                listed == [("put".into(), size as u64)],
                &format!("[(\"put\", {size})]"),
                format!("{listed:?}"),
            )?;
        }
    }
    s.ok("put", s.delete("put"))?;
    if s.offers(Interface::Streams) {
        s.refused("put", s.read("put", 0, None), &["not-found"])?;
    }
    if s.offers(Interface::Inventory) {
        s.refused("put", s.stat("put"), &["not-found"])?;
    }
    Ok(())
}

fn streamed(s: &Subject) -> Verdict {
    let edges = [8 << 10, 64 << 10, 256 << 10, 2 << 20];
    let sizes = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
    for size in [0, 1].into_iter().chain(sizes).chain([5_000_000]) {
        s.begin();
        let data = s.bytes(size, size as u64);
        s.ok("k", s.write("k", Upload::of(&data)))?;
        let read = s.ok("k", s.read("k", 0, None))?;
        if let Some(end) = read.end {
            under("read-11", s.ok("k", end))?;
        }
        s.same("k", &data, &read.bytes)?;
    }
    Ok(())
}

/// Neighbours of the key exist.
fn neighbours(s: &Subject) -> Verdict {
    for key in ["ab", "a/b", "A"] {
        s.ok(key, s.put(key, "x"))?;
    }
    Ok(())
}

fn get_absent(s: &Subject) -> Verdict {
    s.absent("a")?;
    neighbours(s)?;
    s.absent("a")
}

fn read_absent(s: &Subject) -> Verdict {
    neighbours(s)?;
    for (offset, length) in [(0, None), (0, Some(0)), (7, None), (0, Some(1))] {
        s.refused("a", s.read("a", offset, length), &["not-found"])?;
    }
    Ok(())
}

fn stat_absent(s: &Subject) -> Verdict {
    s.refused("a", s.stat("a"), &["not-found"])?;
    neighbours(s)?;
    s.refused("a", s.stat("a"), &["not-found"])
}

fn delete_absent(s: &Subject) -> Verdict {
    s.ok("never/was", s.delete("never/was"))?;
    s.ok("k", s.put("k", "x"))?;
    s.ok("k", s.delete("k"))?;
    s.ok("k", s.delete("k"))
}

fn deleted(s: &Subject) -> Verdict {
    for round in ["first", "second"] {
        s.ok("k", s.put("k", round))?;
        s.ok("k", s.delete("k"))?;
        s.absent("k")?;
        if s.offers(Interface::Inventory) {
            s.refused("k", s.stat("k"), &["not-found"])?;
        }
    }
    Ok(())
}

fn stat_size(s: &Subject) -> Verdict {
    for size in [0, 1, 9, 1000, 100_000] {
        s.begin();
        s.ok("k", s.put("k", s.bytes(size, 1)))?;
        let seen = s.ok("k", s.stat("k"))?.size;
        s.check(seen == size as u64, &format!("size {size}"), format!("size {seen}"))?;
    }
    Ok(())
}

fn checksum(s: &Subject) -> Verdict {
    for data in [&b"123456789"[..], b"", &s.bytes(100_000, 1)] {
        s.begin();
        let mut right = Checksum::new();
        right.update(data);
        let mut infos = Vec::new();
        s.ok("k", s.put("k", data))?;
        if s.offers(Interface::Inventory) {
            infos.push(s.ok("k", s.stat("k"))?);
        }
        if s.offers(Interface::Streams) {
            infos.push(s.ok("k", s.read("k", 0, None))?.info);
            infos.push(s.ok("k", s.write("k", Upload::of(data)))?);
            infos.push(s.ok("k", s.read("k", 0, Some(1)))?.info);
        }
        if infos.is_empty() {
            return Err(super::super::Stop::NotOffered("streams or inventory".into()));
        }
        for seen in infos.iter().filter_map(|info| info.checksum) {
            let expected = format!("none or {:016x}", right.value());
            s.check(seen == right.value(), &expected, format!("{seen:016x}"))?;
        }
    }
    Ok(())
}

fn time(s: &Subject) -> Verdict {
    let mut infos = Vec::new();
    s.ok("k", s.put("k", "x"))?;
    if s.offers(Interface::Inventory) {
        infos.push(s.ok("k", s.stat("k"))?);
    }
    if s.offers(Interface::Streams) {
        infos.push(s.ok("k", s.write("k", Upload::of(b"x")))?);
        infos.push(s.ok("k", s.read("k", 0, None))?.info);
    }
    if infos.is_empty() {
        return Err(super::super::Stop::NotOffered("streams or inventory".into()));
    }
    for time in infos.iter().filter_map(|info| info.modified) {
        let seen = format!("{} s and {} ns", time.seconds, time.nanoseconds);
        s.check(time.nanoseconds < 1_000_000_000, "nanoseconds below 1 000 000 000", seen)?;
        // The backend may confuse milliseconds and seconds.
        let seen = format!("{} s after 1970", time.seconds);
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        let days = now.abs_diff(time.seconds.max(0).unsigned_abs()) / 86_400;
        s.check(days <= 366, "a time within a year from now", seen)?;
    }
    Ok(())
}
