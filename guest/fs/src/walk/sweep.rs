//! Removing what unfinished writes left, and directories in which there is nothing.

use alloc::vec::Vec;

use artifact_store_backend::{Error, Instant, Result};

use super::window::View;
use super::{Step, Walk};
use crate::bindings::SweepReport;
use crate::claim::At;
use crate::delete::{REMOVED, is_deletion};
use crate::folder::{self, Opened};
use crate::name::{self, Folder, TEMPORARIES};
use crate::wasi::{self, Access, Called, Dir, Kind, Stat, by_anybody};
use crate::{age, durable, header, read, versions};

/// A file that is made to learn the time. Its name is always the same, so that a sweep that is
/// killed leaves one at most, and the next sweep removes that, whatever its age.
const PROBE: &str = "00000000000000000000000000000000";

/// Removes the temporaries whose last write is `age` seconds or more ago, and the directories that
/// have been empty for so long. Changes that have claimed an artifact are finished before. What
/// cannot be removed does not keep the others; the first such failure is reported at the end.
pub fn sweep(age: u64) -> Result<SweepReport> {
    folder::is_of_this_layout()?;
    let report = SweepReport { removed: 0, bytes: 0, kept: 0 };
    let Some(dir) = folder::open(TEMPORARIES, Access::Read)? else { return Ok(report) };
    // Nothing is changed where nothing is old, neither by the host's clock nor by the time of the
    // last change here.
    let clocks = [Some(wasi::now()), dir.stat()?.modified];
    let mut sweep = Sweep {
        age,
        clocks,
        dir,
        removes: false,
        is_announced: false,
        first_failure: None,
        report,
    };
    sweep.temporaries()?;
    sweep.folders()?;
    sweep.first_failure.map_or(Ok(sweep.report), Err)
}

struct Sweep {
    age: u64,
    /// What the time may be.
    clocks: [Option<Instant>; 2],
    /// That of the temporaries.
    dir: Opened,
    /// Whether that may be changed, and the time is known.
    removes: bool,
    /// Whether everybody was told that something is removed.
    is_announced: bool,
    first_failure: Option<Error>,
    report: SweepReport,
}

impl Sweep {
    fn temporaries(&mut self) -> Result<()> {
        let items = super::temporaries(&self.dir)?;
        let names = || items.iter().map(|item| &*item.order);
        loop {
            let knew = self.removes;
            self.report.kept = 0;
            let mut damaged = Vec::new();
            for name in names() {
                if let Some(version) = name::claimed(name) {
                    damaged.extend(self.claim(name, version)?.map(|stat| (name, stat)));
                }
            }
            for name in names().filter(|name| name::is_temporary(name)) {
                self.temporary(name)?;
            }
            // What they named was as old, and has gone.
            for (name, stat) in damaged {
                self.unlink(name, &stat);
            }
            // Once more with the time of the storage.
            if self.removes == knew {
                return Ok(());
            }
        }
    }

    /// Finishes the change that has made a claim. The claim itself, if it does not say which change
    /// that is.
    fn claim(&mut self, name: &str, version: &str) -> Result<Option<Stat>> {
        let Some(stat) = self.old(name)? else { return Ok(None) };
        if stat.kind != Kind::File {
            return Ok(None);
        }
        let is_past = match read::open_in(&self.dir, name, header::LIKELY_LEN) {
            Ok(Some(found)) => self.finish(&found.header.key, version, name),
            Ok(None) => return Ok(None),
            Err(Error::Corrupt(_)) => return Ok(Some(stat)),
            // A later version of this backend finishes it.
            Err(Error::Unsupported(_)) => Ok(false),
            Err(error) => Err(error),
        };
        match is_past {
            Ok(true) => self.unlink(name, &stat),
            // A dead claim stays as long as its generation.
            Ok(false) => self.report.kept += 1,
            Err(error) => drop(self.first_failure.get_or_insert(error)),
        }
        Ok(None)
    }

    fn finish(&self, key: &str, version: &str, claim: &str) -> Result<bool> {
        let place = name::place(key);
        let Some(dir) = folder::open(&place.dir, Access::Change)? else { return Ok(true) };
        let at = At { key, place: &place, dir: &dir, temporaries: &self.dir };
        at.finish(version, claim)
    }

    fn temporary(&mut self, name: &str) -> Result<()> {
        let Some(stat) = self.old(name)? else { return Ok(()) };
        match stat.kind {
            Kind::File => {
                if versions::are_used()? {
                    self.announce()?;
                }
                self.unlink(name, &stat);
            }
            Kind::Directory if is_deletion(&self.dir, name).unwrap_or(false) => {
                let removed = remove_deletion(&self.dir, name);
                self.count(removed);
            }
            // Of somebody else.
            Kind::Directory | Kind::Other => {}
        }
        Ok(())
    }

    /// What is known of something in this directory, if it is to be removed.
    fn old(&mut self, name: &str) -> Result<Option<Stat>> {
        let stat = match self.dir.look(name) {
            Ok(Some(stat)) if stat.kind != Kind::Other => stat,
            // Its writer or another sweep was faster, or it is none.
            Ok(_) => return Ok(None),
            Err(failure) => {
                self.first_failure.get_or_insert(failure.into());
                return Ok(None);
            }
        };
        if name != PROBE && !self.is_over(stat.modified)? {
            self.report.kept += 1;
            return Ok(None);
        }
        self.prepare()?;
        Ok(Some(stat))
    }

    fn unlink(&mut self, name: &str, stat: &Stat) {
        // What has another name keeps its bytes.
        let bytes = if name::is_temporary(name) || stat.links == 1 { stat.size } else { 0 };
        let removed = self.dir.unlink(name).map(|()| bytes);
        self.count(removed);
    }

    fn count(&mut self, removed: Called<u64>) {
        match removed {
            Ok(bytes) => {
                self.report.removed += 1;
                self.report.bytes = self.report.bytes.saturating_add(bytes);
            }
            Err(failure) if failure.is_absent() => {}
            Err(failure) => {
                self.first_failure.get_or_insert(failure.into());
            }
        }
    }

    fn announce(&mut self) -> Result<()> {
        if !self.is_announced {
            durable::announce(&self.dir)?;
            self.is_announced = true;
        }
        Ok(())
    }

    fn folders(&mut self) -> Result<()> {
        let mut walk = Walk::new(View::Folders, Folder::default(), usize::MAX);
        loop {
            let (folder, since) = match walk.step(0)? {
                Step::End => return Ok(()),
                Step::Empty(folder, since) => (folder, since),
                Step::Item(_) | Step::Folded(_) | Step::Unlisted(..) => continue,
            };
            if !self.is_over(since)? {
                continue;
            }
            self.announce()?;
            let (above, name) = folder.path.rsplit_once('/').unwrap_or(("", &folder.path));
            let Some(above) = folder::open(above, Access::Change)? else { continue };
            match by_anybody(above.remove_dir(name)) {
                // Somebody has put something there, unless it is a failure.
                Err(failure) if !failure.is_not_empty() => {
                    self.first_failure.get_or_insert(failure.into());
                }
                _ => {}
            }
        }
    }

    /// Whether something that was last changed then is old enough.
    fn is_over(&mut self, changed: Option<Instant>) -> Result<bool> {
        let Some(changed) = changed else { return Ok(false) };
        let time = |at: Instant| (at.seconds, at.nanoseconds);
        let age = self.age;
        let is_over = |clocks: &[Option<Instant>; 2]| {
            let mut clocks = clocks.iter().flatten();
            clocks.any(|now| age::seconds(time(changed), time(*now)) >= age)
        };
        if is_over(&self.clocks) {
            self.prepare()?;
        }
        Ok(is_over(&self.clocks))
    }

    /// Learns the time of the storage, which takes a change, before anything is removed.
    fn prepare(&mut self) -> Result<()> {
        if !self.removes
            && let Some(dir) = folder::open(TEMPORARIES, Access::Change)?
        {
            (self.dir, self.removes) = (dir, true);
            // Where there is no room for a file, the host's clock has to do.
            let time = if self.age > 0 { storage_time(&self.dir) } else { None };
            self.clocks = [time.or_else(|| Some(wasi::now())), None];
        }
        Ok(())
    }
}

/// Removes the directory of a deletion, with the artifact that was moved there.
fn remove_deletion(dir: &Dir, name: &str) -> Called<u64> {
    let deletion = dir.open_dir(name, Access::Change)?;
    let moved = deletion.look(REMOVED)?;
    deletion.discard(REMOVED);
    dir.remove_dir(name)?;
    Ok(moved.map_or(0, |stat| stat.size))
}

/// The time by the clock that dates the files, which on a file server is another one than the
/// host's: one that is a day ahead must not take a file that is being written for an old one.
fn storage_time(dir: &Dir) -> Option<Instant> {
    for _ in 0..4 {
        match dir.create_file(PROBE) {
            Ok(file) => {
                let stat = file.stat();
                dir.discard(PROBE);
                return stat.ok()?.modified;
            }
            // Of another sweep, which may have been killed.
            Err(failure) if failure.is_taken() => dir.discard(PROBE),
            Err(_) => break,
        }
    }
    None
}
