//! Removing the temporaries of unfinished writes.

use artifact_store_backend::{Instant, Result};

use crate::age;
use crate::bindings::SweepReport;
use crate::name;
use crate::shard;
use crate::wasi::{self, Access, Dir, Kind, Stat};

/// A file that is created to learn the time. Its name is always the same: a sweep that is killed
/// leaves at most this one, and the next sweep removes it, whatever its age.
const PROBE: &str = "00000000000000000000000000000000";

/// Removes the temporaries that were last written to at least `age` seconds ago. If one cannot be
/// removed, the others still are; the first such failure is returned at the end.
pub async fn sweep(age: u64) -> Result<SweepReport> {
    let mut report = SweepReport { removed: 0, bytes: 0, kept: 0 };
    let root = wasi::root()?;
    let Some(mut dir) = shard::open(root, name::TEMPORARIES, Access::Read).await? else {
        return Ok(report);
    };
    let names = dir.names(false, &|name, _| name::is_temporary(name)).await.whole()?;
    if names.is_empty() {
        return Ok(report);
    }
    // Learning the time of the storage takes a change. Nothing is changed if no temporary is old,
    // neither by the host's clock nor by the time of the last change here.
    let mut clocks = [Some(wasi::now()), dir.stat().await?.modified];
    let mut removes = false;
    let mut first_failure = None;
    loop {
        report.kept = 0;
        let mut is_any_over = false;
        for name in &names {
            let stat = match dir.look(name).await {
                Ok(Some(stat)) if stat.kind == Kind::File => stat,
                // Its writer or another sweep has removed it, or it is not a temporary.
                Ok(_) => continue,
                Err(failure) => {
                    first_failure.get_or_insert(failure);
                    continue;
                }
            };
            let is_over =
                name == PROBE || clocks.iter().flatten().any(|now| is_over(&stat, age, *now));
            is_any_over |= is_over;
            if !(is_over && removes) {
                report.kept += 1;
                continue;
            }
            match dir.unlink(name).await {
                Ok(()) => {
                    report.removed += 1;
                    report.bytes = report.bytes.saturating_add(stat.size);
                }
                Err(failure) if failure.is_absent() => {}
                Err(failure) => {
                    first_failure.get_or_insert(failure);
                }
            }
        }
        if removes || !is_any_over {
            return first_failure.map_or(Ok(report), |failure| Err(failure.into()));
        }
        let Some(opened) = shard::open(root, name::TEMPORARIES, Access::Change).await? else {
            return Ok(report);
        };
        (dir, removes, first_failure) = (opened, true, None);
        // If there is no room for a file, the host's clock is used.
        let time = if age > 0 { storage_time(&dir).await } else { None };
        clocks = [time.or_else(|| Some(wasi::now())), None];
    }
}

/// Whether a temporary was last written to at least `age` seconds before `now`.
fn is_over(stat: &Stat, age: u64, now: Instant) -> bool {
    let time = |at: Instant| (at.seconds, at.nanoseconds);
    stat.modified.is_some_and(|at| age::seconds(time(at), time(now)) >= age)
}

/// The time of the clock that dates the files. On a file server this is not the host's clock: if
/// that is a day ahead, a file that is being written must not count as old.
async fn storage_time(dir: &Dir) -> Option<Instant> {
    for _ in 0..4 {
        match dir.create_file(PROBE).await {
            Ok(file) => {
                let stat = file.stat().await;
                dir.discard(PROBE).await;
                return stat.ok()?.modified;
            }
            // The file of another sweep, which may have been killed.
            Err(failure) if failure.is_taken() => dir.discard(PROBE).await,
            Err(_) => break,
        }
    }
    None
}
