//! Removing what unfinished writes left.

use crate::age;
use crate::component::{Instant, SweepReport};
use crate::name;
use crate::shard;
use crate::wasi::{self, Access, Dir, Kind, Result};

/// Removes the temporaries whose last write is `age` seconds or more ago. One that cannot be
/// removed does not keep the others; the first such failure is reported at the end.
pub async fn sweep(age: u64) -> Result<SweepReport> {
    let mut report = SweepReport { removed: 0, bytes: 0, kept: 0 };
    let Some(dir) = shard::open(name::TEMPORARIES, Access::Change).await? else {
        return Ok(report);
    };
    let now = wasi::now();
    let mut first_failure = None;
    for name in dir.names(name::is_temporary).await? {
        if let Err(error) = sweep_one(&dir, &name, age, now, &mut report).await {
            first_failure.get_or_insert(error);
        }
    }
    first_failure.map_or(Ok(report), Err)
}

async fn sweep_one(
    dir: &Dir,
    name: &str,
    age: u64,
    now: Instant,
    report: &mut SweepReport,
) -> Result<()> {
    let Some(stat) = dir.look(name).await?.filter(|stat| stat.kind == Kind::File) else {
        return Ok(());
    };
    let time = |at: Instant| (at.seconds, at.nanoseconds);
    let is_old = stat.modified.is_some_and(|at| age::seconds(time(at), time(now)) >= age);
    if !is_old {
        report.kept += 1;
        return Ok(());
    }
    match dir.unlink(name).await {
        Ok(()) => {
            report.removed += 1;
            report.bytes = report.bytes.saturating_add(stat.size);
            Ok(())
        }
        // Its writer or another sweep was faster.
        Err(failure) if failure.is_absent() => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}
