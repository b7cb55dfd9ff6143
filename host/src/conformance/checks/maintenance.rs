use std::collections::BTreeMap;

use super::super::direct::Upload;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Maintenance, Interface, Stop};
use super::MAINTENANCE;
use super::expect::joined;
use crate::bindings::maintenance::{Finding, FindingKind};

pub(super) const CHECKS: &[Check] = &[
    Check::new("an_audit_reports_no_sound_artifact", Maintenance, &["audit-2"], sound)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("an_audit_changes_nothing", Maintenance, &["audit-1"], unchanged)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("what_is_foreign_is_reported_once", Maintenance, &["audit-3"], foreign)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("an_audit_finds_damage", Maintenance, &["audit-4"], damage)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("an_audit_is_paged_as_a_listing", Maintenance, &["audit-5"], paged)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("a_sweep_leaves_what_is_young", Maintenance, &["sweep-1"], young)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("a_sweep_removes_temporaries_only", Maintenance, &["sweep-2"], only)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("a_write_that_is_swept_away_fails_or_is_whole", Maintenance, &["sweep-3"], swept)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("a_sweep_can_be_repeated", Maintenance, &["sweep-4"], repeated)
        .needs(MAINTENANCE)
        .direct(),
    Check::new("a_sweep_counts_what_it_removed", Maintenance, &["sweep-5"], counted)
        .needs(MAINTENANCE)
        .direct(),
];

fn audit(s: &Subject, limit: u32) -> Verdict<Vec<Finding>> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    let mut cursors = std::collections::HashSet::new();
    loop {
        let page = s.ok("", s.audit(cursor.as_deref(), limit))?;
        let seen = page.items.len();
        let fits = limit == 0 || seen <= limit as usize;
        s.check(fits, &format!("{limit} findings at most"), format!("{seen}"))?;
        found.extend(page.items);
        let Some(next) = page.next else { return Ok(found) };
        let is_new = cursors.insert(next.clone());
        s.check(is_new, "an audit that ends", format!("the cursor {next:?} again"))?;
        cursor = Some(next);
    }
}

fn temporaries(s: &Subject) -> Verdict<usize> {
    let found = audit(s, 0)?;
    Ok(found.iter().filter(|finding| finding.kind == FindingKind::Temporary).count())
}

fn fill(s: &Subject) -> Verdict {
    for key in ["a", "b/c", "😀", &"long".repeat(200)] {
        s.ok("", s.put(key, key))?;
    }
    s.ok("", s.put("empty", ""))
}

fn intact(s: &Subject) -> Verdict {
    for key in ["a", "b/c", "😀", &"long".repeat(200)] {
        s.holds(key, key)?;
    }
    s.holds("empty", "")
}

/// Unfinished writes, as a crash leaves them; some backends keep no trace of them.
fn leave_temporaries(s: &Subject) {
    if s.offers(Interface::Streams) {
        for _ in 0..3 {
            s.write_dropped("unfinished", Upload::of(&s.bytes(200_000, 1)), 2);
        }
    }
}

fn sound(s: &Subject) -> Verdict {
    let found = audit(s, 0)?;
    s.check(found.is_empty(), "an empty store is in order", shown(&found))?;
    fill(s)?;
    let found = audit(s, 0)?;
    s.check(found.is_empty(), "a store with sound artifacts is in order", shown(&found))
}

fn shown(found: &[Finding]) -> String {
    format!("{found:?}")
}

fn unchanged(s: &Subject) -> Verdict {
    fill(s)?;
    leave_temporaries(s);
    let names = |found: Vec<Finding>| -> Vec<String> {
        let mut names: Vec<_> = found.into_iter().map(|finding| finding.name).collect();
        names.sort();
        names
    };
    let first = names(audit(s, 0)?);
    let second = names(audit(s, 0)?);
    s.check(first == second, &format!("{first:?}"), format!("{second:?}"))?;
    intact(s)
}

/// Foreign files in the directory of the store.
fn leave_files(s: &Subject) -> Verdict {
    let dir = s.dir.as_ref().ok_or_else(|| Stop::NotOffered("a directory".into()))?;
    for name in ["notes.txt", "Thumbs.db", "README"] {
        let written = std::fs::write(dir.join(name), "mine");
        written.map_err(|_| Stop::NotOffered("a directory to write to".into()))?;
    }
    s.note("the files notes.txt, Thumbs.db and README are put in the directory of the store");
    Ok(())
}

fn foreign(s: &Subject) -> Verdict {
    fill(s)?;
    leave_files(s)?;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for finding in audit(s, 0)? {
        s.check(
            finding.kind == FindingKind::Foreign,
            "foreign items and nothing else",
            format!("{finding:?}"),
        )?;
        *times.entry(finding.name).or_default() += 1;
    }
    let is_right = times.len() == 3 && times.values().all(|times| *times == 1);
    s.check(is_right, "each of the three files once", format!("{times:?}"))
}

fn damage(s: &Subject) -> Verdict {
    s.ok("", s.put("k", s.bytes(2000, 1)))?;
    let dir = s.dir.as_ref().ok_or_else(|| Stop::NotOffered("a directory".into()))?;
    let mut dirs = vec![dir.clone()];
    let mut damaged = 0;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => dirs.push(path),
                path => damaged += usize::from(std::fs::write(path, "").is_ok()),
            }
        }
    }
    if damaged == 0 {
        return Err(Stop::NotOffered("files in its directory".into()));
    }
    s.note("its file is cut to nothing");
    let found = audit(s, 0)?;
    let is_found = found.iter().any(|finding| finding.kind != FindingKind::Temporary);
    s.check(is_found, "a finding of damage", shown(&found))
}

fn paged(s: &Subject) -> Verdict {
    fill(s)?;
    leave_files(s)?;
    for limit in [1, 2, u32::MAX] {
        let found = audit(s, limit)?;
        s.check(found.len() == 3, "three findings", shown(&found))?;
    }
    let wrong = s.audit(Some("no cursor"), 0);
    s.refused("", wrong, &["other"])
}

fn streams(s: &Subject) -> Verdict {
    let missing = || Stop::NotOffered("streams".into());
    s.offers(Interface::Streams).then_some(()).ok_or_else(missing)
}

fn young(s: &Subject) -> Verdict {
    streams(s)?;
    let data = s.bytes(300_000, 1);
    for age in [3600, u64::MAX] {
        let sweep = || {
            let report = s.ok("", s.sweep(age))?;
            let seen = format!("{} removed", report.removed);
            s.check(report.removed == 0, "0 removed", seen)
        };
        s.ok("k", s.write_paused("k", Upload::of(&data), 2, sweep)?)?;
        s.holds("k", &data)?;
    }
    Ok(())
}

fn only(s: &Subject) -> Verdict {
    fill(s)?;
    leave_temporaries(s);
    if s.dir.is_some() {
        leave_files(s)?;
    }
    for age in [3600, 0] {
        s.ok("", s.sweep(age))?;
        intact(s)?;
    }
    let left = temporaries(s)?;
    s.check(left == 0, "no temporary after a sweep with age 0", format!("{left}"))?;
    for name in ["notes.txt", "Thumbs.db", "README"] {
        let path = s.dir.as_ref().map(|dir| dir.join(name));
        let is_there = path.is_none_or(|path| path.exists());
        s.check(is_there, &format!("the foreign file {name}"), "it is gone")?;
    }
    Ok(())
}

fn swept(s: &Subject) -> Verdict {
    streams(s)?;
    let data = s.bytes(300_000, 1);
    for key in ["k", "new"] {
        s.ok("k", s.put("k", "old"))?;
        let sweep = || s.ok("", s.sweep(0)).map(drop);
        match s.write_paused(key, Upload::of(&data), 2, sweep)? {
            Ok(_) => s.holds(key, &data)?,
            Err(_) if key == "k" => s.holds("k", "old")?,
            Err(_) => s.absent("new")?,
        }
    }
    Ok(())
}

fn repeated(s: &Subject) -> Verdict {
    leave_temporaries(s);
    std::thread::scope(|scope| {
        let sweeps: Vec<_> =
            (0..3).map(|_| scope.spawn(|| s.ok("", s.sweep(0)).map(drop))).collect();
        sweeps.into_iter().try_for_each(joined)
    })?;
    let report = s.ok("", s.sweep(0))?;
    s.check(report.removed == 0, "0 removed", format!("{} removed", report.removed))
}

fn counted(s: &Subject) -> Verdict {
    fill(s)?;
    leave_temporaries(s);
    let there = temporaries(s)?;
    let report = s.ok("", s.sweep(3600))?;
    s.check(report.removed == 0, "0 removed", format!("{} removed", report.removed))?;
    let kept = report.kept;
    s.check(kept == there as u64, &format!("{there} kept"), format!("{kept} kept"))?;
    let removed = s.ok("", s.sweep(0))?.removed;
    s.check(removed == there as u64, &format!("{there} removed"), format!("{removed} removed"))?;
    let removed = s.ok("", s.sweep(0))?.removed;
    s.check(removed == 0, "0 removed the second time", format!("{removed} removed"))
}
