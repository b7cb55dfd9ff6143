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
    let names = dir.names(name::is_temporary).await.whole()?;
    if names.is_empty() {
        return Ok(report);
    }
    // Where there is no room for a file, the host's clock has to do.
    let now = storage_time(&dir).await.unwrap_or_else(wasi::now);
    let mut first_failure = None;
    for name in names {
        if let Err(error) = sweep_one(&dir, &name, age, now, &mut report).await {
            first_failure.get_or_insert(error);
        }
    }
    first_failure.map_or(Ok(report), Err)
}

/// The time by the clock that dates the files, which on a file server is another one than the
/// host's: one that is a day ahead must not take a file that is being written for an old one.
async fn storage_time(dir: &Dir) -> Option<Instant> {
    let name = wasi::temporary();
    let file = dir.create_file(&name).await.ok()?;
    let stat = file.stat().await;
    let _ = dir.unlink(&name).await;
    stat.ok()?.modified
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
