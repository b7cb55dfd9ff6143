//! Trees of files, to a store and from it.

mod clash;
mod down;
mod local;
mod twins;
mod up;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use artifact_store::{ErrorKind, Interface};
use clap::Args;

use super::report::Report;
use super::transfer::Named;
use crate::disk;
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::offload::Threads;
use crate::output::Standard;
use crate::progress::Progress;
use crate::store::{Opened, Purpose, StoreArguments};

const JOBS: u16 = 16;

/// A file that was modified so little before its artifact was put, or later, is compared: clocks
/// differ, and some filesystems count whole seconds.
const MARGIN: Duration = Duration::from_secs(2);

/// What `put -r`, `get -r` and `sync` have in common.
#[derive(Args, Clone)]
pub struct Options {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Compare the checksums of files and artifacts of the same size, whatever their times; two
    /// stores are always compared so
    #[arg(long)]
    pub checksum: bool,

    /// The number of files to copy at once [default: 16]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,

    /// Write one JSON object per line for each file that is copied or fails, and a summary
    ///
    /// {"type": "artifact", "key", "size", "state": "copied", "would-copy" or "failed", "error"};
    /// {"type": "failure", "error"} for a part of the source that cannot be read; and at the end
    /// {"type": "summary", "dry_run", "copied", "bytes", "would_copy", "would_copy_bytes", "present",
    /// "failed", "complete"}. A size is null where it is not known. With `sync --delete` a state can
    /// also be "deleted" or "would-delete", and the summary has "deleted" and "would_delete".
    #[arg(long)]
    pub json: bool,
}

impl Options {
    pub fn jobs(&self) -> usize {
        self.jobs.unwrap_or(JOBS).into()
    }

    /// The options are for trees alone, which `what` asks for.
    pub fn check_unused(&self, what: &str) -> Result<(), Usage> {
        let given = [
            ("--dry-run", self.dry_run),
            ("--checksum", self.checksum),
            ("--jobs", self.jobs.is_some()),
            ("--json", self.json),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(Usage(format!("{name} needs {what}, which copies a tree"))),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    /// From the directory to the store.
    Up,
    Down,
}

/// What to copy, and how.
pub struct How {
    pub direction: Direction,
    pub root: PathBuf,
    /// What the keys of the tree begin with.
    pub prefix: String,
    /// Downwards, of the tree: these artifacts alone.
    pub keys: Option<Vec<String>>,
    pub options: Options,
    /// Remove what only the target has.
    pub delete: bool,
    /// Store what links of the tree lead to.
    pub follow: bool,
    /// An empty source is a failure.
    pub needs_some: bool,
}

/// A tree at work.
struct Tree<'a> {
    store: Named,
    how: &'a How,
    interrupt: &'a Interrupt,
    progress: RefCell<Progress>,
    threads: Threads,
}

/// The prefix of a tree's keys: a directory, also where its `/` is left out.
pub fn prefix_of(mut prefix: String) -> String {
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

/// Copies a tree; the exit code.
pub async fn run(arguments: &StoreArguments, how: How, interrupt: &Interrupt) -> Result<u8> {
    let out = Standard::open()?.and_goes_on();
    interrupt.or(check(arguments, &how)).await?;
    let purpose = match how.direction {
        Direction::Down => Purpose::Read,
        Direction::Up if how.options.dry_run => Purpose::Rehearse,
        Direction::Up => Purpose::Write,
    };
    let name = arguments.shown();
    let cannot = if how.keys.is_some() { "cannot get" } else { "cannot copy the tree" };
    let opened = async { arguments.open_for(purpose).await.context(cannot) };
    let Opened { store, made } = interrupt.or(opened).await?;
    let message = if how.direction == Direction::Up { "put" } else { "get" };
    let tree = Tree {
        store: Named { name, store },
        how: &how,
        interrupt,
        progress: RefCell::new(Progress::new(message, None)),
        threads: Threads::default(),
    };
    let Options { json, dry_run, .. } = how.options;
    let keys = how.keys.as_deref().unwrap_or_default();
    let mut report = Report::new(out, json, dry_run).deleting(how.delete).in_order(keys);
    let begun = Instant::now();
    match how.direction {
        Direction::Up => tree.up(&mut report).await?,
        Direction::Down => tree.down(&mut report).await?,
    }
    drop(tree);
    if report.has_copied() {
        made.keep();
    }
    report.finish(begun.elapsed()).await
}

impl Tree<'_> {
    fn key(&self, name: &str) -> String {
        [&self.how.prefix, name].concat()
    }

    /// Whether the file has the bytes of the artifact, as far as checksums tell.
    async fn is_alike(&self, root: &Path, name: &str, size: u64) -> Result<bool> {
        if !self.store.store.offers(Interface::Inventory) {
            return Ok(false);
        }
        let info = match self.store.store.stat(&self.key(name)).await {
            Ok(info) => info,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound | ErrorKind::Corrupt(_) => Ok(false),
                    _ => self.store.blame(Err(error)),
                };
            }
        };
        let Some(checksum) = info.checksum.filter(|_| info.size == size) else { return Ok(false) };
        let (path, follow) = (root.join(name), self.how.follow);
        let found = self.threads.run(move || local::checksum(&path, follow)).await??;
        Ok(found == checksum)
    }
}

/// Whether the times tell that the file is as it was when the artifact was put, or got.
fn is_settled(direction: Direction, file: Option<SystemTime>, put: Option<SystemTime>) -> bool {
    let Some((file, put)) = file.zip(put) else { return false };
    match direction {
        // Within a second that is counted as a whole, the file may have changed again.
        Direction::Up => {
            let margin = file.checked_add(MARGIN);
            file == put && !is_whole(file) || margin.is_some_and(|margin| put > margin)
        }
        // The file was given this time, of which some filesystems keep the second.
        Direction::Down => file == put || is_whole(file) && seconds(file) == seconds(put),
    }
}

/// The time that the file of an artifact is given, so that it is not looked at again. A service may
/// count whole seconds: as long as one lasts, another artifact may come with the same time.
fn lasting(put: Option<SystemTime>) -> Option<SystemTime> {
    put.filter(|put| {
        !is_whole(*put) || SystemTime::now().duration_since(*put).is_ok_and(|age| age > MARGIN)
    })
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whether it may have been counted in seconds.
fn is_whole(time: SystemTime) -> bool {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos() == 0
}

/// Whether the tree can be read, and neither it nor one of its files is a part of the store.
async fn check(arguments: &StoreArguments, how: &How) -> Result<()> {
    let root = how.root.clone();
    if how.direction == Direction::Up {
        let cannot = || format!("cannot read `{}`", how.root.display());
        let found = disk::look(arguments.patience(), move || fs::metadata(root)).await;
        if !found.with_context(cannot)?.with_context(cannot)?.is_dir() {
            bail!("{}: it is no directory, and so no tree", cannot());
        }
    }
    if let Some(keys) = &how.keys {
        let files = keys.iter().map(|key| how.root.join(key)).collect();
        return check_outside(arguments, files).await;
    }
    let (root, dirs) = (how.root.clone(), arguments.own_dirs().await?);
    let look = move || dirs.iter().try_for_each(|dir| check_apart(&root, dir));
    Ok(disk::look(arguments.patience(), look).await??)
}

/// A tree and a store in each other would copy, or delete, themselves.
fn check_apart(root: &Path, dir: &Path) -> Result<(), Usage> {
    let (Ok(tree), Ok(store)) = (real(root), real(dir)) else { return Ok(()) };
    let (inner, outer) = match () {
        () if store.starts_with(&tree) => (dir, root),
        () if tree.starts_with(&store) => (root, dir),
        () => return Ok(()),
    };
    let (root, dir) = (root.display(), dir.display());
    let text = format!(
        "the tree `{root}` and the directory of the store `{dir}` have to be apart, and `{}` is in `{}`",
        inner.display(),
        outer.display()
    );
    Err(Usage(text))
}

/// A file in the directory of the store would be one of the store's own.
pub async fn check_outside(arguments: &StoreArguments, paths: Vec<PathBuf>) -> Result<()> {
    let dirs = arguments.own_dirs().await?;
    let look = move || {
        dirs.iter().find_map(|dir| {
            let store = real(dir).ok()?;
            let is_inside = |path: &&PathBuf| real(path).is_ok_and(|path| path.starts_with(&store));
            let path = paths.iter().find(is_inside)?;
            let (path, dir) = (path.display(), dir.display());
            Some(Usage(format!("`{path}` would be in the directory of the store, `{dir}`")))
        })
    };
    let inside = disk::look(arguments.patience(), look).await?;
    inside.map_or(Ok(()), |usage| Err(usage.into()))
}

/// Where a path leads, also if its end is not there yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = std::path::absolute(path)?;
            match (path.parent(), path.file_name()) {
                (Some(above), Some(name)) => {
                    let above = real(above)?;
                    let path = above.join(name);
                    // What a link leads to would be made.
                    fs::read_link(&path).map_or(Ok(path), |target| real(&above.join(target)))
                }
                _ => Err(error),
            }
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_settle_only_what_is_clear() {
        let at = |millis| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        for (file, put, up, down) in [
            (at(5400), at(5400), true, true),
            // What a service stored in this second it says to be of its beginning.
            (at(5000), at(5000), false, true),
            (at(5400), at(5000), false, false),
            (at(5000), at(5400), false, true),
            (at(5100), at(5400), false, false),
            (at(5000), at(7000), false, false),
            (at(5000), at(7001), true, false),
            (at(9000), at(5000), false, false),
            (at(5000), None, false, false),
            (None, at(5000), false, false),
        ] {
            assert_eq!(is_settled(Direction::Up, file, put), up, "{file:?} {put:?}");
            assert_eq!(is_settled(Direction::Down, file, put), down, "{file:?} {put:?}");
        }
    }

    #[test]
    fn a_file_is_given_only_a_time_that_no_other_artifact_will_have() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(SystemTime::now()));
        let old = now - Duration::from_secs(5);
        for time in [old, now + Duration::from_nanos(1)] {
            assert_eq!(lasting(Some(time)), Some(time));
        }
        for time in [now, now - Duration::from_secs(1), now + Duration::from_secs(3600)] {
            assert_eq!(lasting(Some(time)), None, "{time:?}");
        }
    }
}
