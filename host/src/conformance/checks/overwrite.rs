use super::super::direct::Upload;
use super::super::outcome::under;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Overwrite, Interface};
use super::STREAMS;
use super::expect::joined;

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_put_takes_the_place_of_another", Overwrite, &["put-1"], replaced),
    Check::new("a_put_can_be_repeated", Overwrite, &["put-2"], repeated),
    Check::new("a_reader_sees_the_old_or_the_new_bytes", Overwrite, &["change-3", "put-1"], whole),
    Check::new("an_info_is_of_one_generation", Overwrite, &["info-1"], info).needs(STREAMS),
    Check::new("a_damaged_artifact_can_be_replaced", Overwrite, &["put-3"], put_over_damage)
        .direct(),
    Check::new("a_damaged_artifact_can_be_deleted", Overwrite, &["delete-4"], delete_damage)
        .direct(),
    Check::new("damage_is_reported", Overwrite, &["get-3"], damage_reported).direct(),
];

fn replaced(s: &Subject) -> Verdict {
    for data in ["first", "", "a longer third", "4", "a longer fifth one"] {
        s.ok("k", s.put("k", data))?;
        s.holds("k", data)?;
    }
    let (long, short) = (s.bytes(300_000, 1), s.bytes(70_000, 2));
    for data in [&long, &short, &long] {
        s.ok("k", s.put("k", data))?;
        s.holds("k", data)?;
        if s.offers(Interface::Streams) {
            s.sound("k", data, s.read("k", 0, None))?;
        }
    }
    Ok(())
}

fn repeated(s: &Subject) -> Verdict {
    for _ in 0..3 {
        s.ok("k", s.put("k", "the same"))?;
        s.holds("k", "the same")?;
    }
    Ok(())
}

fn whole(s: &Subject) -> Verdict {
    const SIZE: usize = 300_000;
    s.ok("k", s.put("k", vec![0; SIZE]))?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for letter in 1..=40_u8 {
                s.ok("k", s.put("k", vec![letter; SIZE - usize::from(letter)]))?;
            }
            Ok(())
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..60 {
                        let data = under("put-1", s.ok("k", s.get("k")))?;
                        let first = data.first().copied().unwrap_or_default();
                        let is_whole = data.len() == SIZE - usize::from(first)
                            && data.iter().all(|byte| *byte == first);
                        s.check(is_whole, "one generation, whole", mixed(&data))?;
                    }
                    Ok(())
                })
            })
            .collect();
        let mut outcomes = readers.into_iter().chain([writing]);
        outcomes.try_for_each(joined)
    })
}

fn mixed(data: &[u8]) -> String {
    let changes = data.windows(2).filter(|pair| pair[0] != pair[1]).count();
    format!("{} bytes of {} generations", data.len(), changes + usize::from(!data.is_empty()))
}

fn info(s: &Subject) -> Verdict {
    for (at, size) in [(1, 10), (2, 100_000), (3, 3)] {
        let data = s.bytes(size, at);
        let stored = s.ok("k", s.write("k", Upload::of(&data)))?;
        let read = s.ok("k", s.read("k", 0, None))?;
        s.same("k", &data, &read.bytes)?;
        let mut infos = vec![stored.clone(), read.info];
        if s.offers(Interface::Inventory) {
            infos.push(s.ok("k", s.stat("k"))?);
        }
        for info in infos {
            // The host knows the checksum of a write even if the backend keeps none.
            let sums = info.checksum.zip(stored.checksum);
            let is_right = info.size == size as u64 && sums.is_none_or(|(a, b)| a == b);
            let expected = format!("size {size} and the checksum of the write");
            s.check(is_right, &expected, format!("{} and {:?}", info.size, info.checksum))?;
        }
    }
    Ok(())
}

/// Cuts all files of the store to half their size, or changes one byte of each; returns whether
/// there were any. The store contains only the artifact `k`.
pub(super) fn damage(s: &Subject, cut: bool) -> Verdict {
    s.ok("k", s.put("k", s.bytes(2000, 1)))?;
    let Some(dir) = &s.dir else {
        return Err(super::super::Stop::NotOffered("a directory".into()));
    };
    let mut dirs = vec![dir.clone()];
    let mut damaged = 0;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if let Ok(mut bytes) = std::fs::read(&path) {
                let middle = bytes.len() / 2;
                match bytes.get_mut(middle) {
                    Some(byte) if !cut => *byte ^= 1,
                    _ => bytes.truncate(middle),
                }
                damaged += usize::from(std::fs::write(&path, bytes).is_ok());
            }
        }
    }
    if damaged == 0 {
        return Err(super::super::Stop::NotOffered("files in its directory".into()));
    }
    s.note(if cut { "its file is cut to half" } else { "one byte of its file is changed" });
    Ok(())
}

fn put_over_damage(s: &Subject) -> Verdict {
    for cut in [true, false] {
        damage(s, cut)?;
        s.ok("k", s.put("k", "sound"))?;
        s.holds("k", "sound")?;
    }
    Ok(())
}

fn delete_damage(s: &Subject) -> Verdict {
    for cut in [true, false] {
        damage(s, cut)?;
        s.ok("k", s.delete("k"))?;
        s.absent("k")?;
    }
    Ok(())
}

fn damage_reported(s: &Subject) -> Verdict {
    s.ok("k", s.put("k", "x"))?;
    let keeps_checksum =
        s.offers(Interface::Inventory) && s.ok("k", s.stat("k"))?.checksum.is_some();
    if !keeps_checksum {
        return Err(super::super::Stop::NotOffered("a checksum".into()));
    }
    for cut in [true, false] {
        damage(s, cut)?;
        s.refused("k", s.get("k"), &["corrupt"])?;
        s.ok("k", s.delete("k"))?;
    }
    Ok(())
}
