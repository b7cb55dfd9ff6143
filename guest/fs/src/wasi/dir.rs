//! Directories. No call here follows a link in the last place of a path. Every path is a single
//! name, so that none is followed at all, unless the host [follows none](crate::settings::looks) either.

use alloc::string::String;
use alloc::vec::Vec;
use core::future::{IntoFuture, poll_fn};
use core::pin::pin;
use core::task::Poll;

use artifact_store_backend::{Instant, Result};
use wit_bindgen::{StreamResult, block_on};

use super::bindings::types::{Descriptor, DescriptorFlags, DirectoryEntry, OpenFlags, PathFlags};
use super::{Called, ErrorCode, Failure, File, Kind, Stat};
use crate::{age, name};

/// How often a directory is read where its names change while it is read.
const ATTEMPTS: usize = 16;

/// After how many names, seen once or often, it is not read again.
const MANY: usize = 200_000;

/// How many names are read at once.
const BATCH: usize = 1024;

/// How many names show what a directory is.
const SOME: usize = 256;

/// An open directory, and its path in the store for error messages.
pub struct Dir {
    handle: Descriptor,
    path: String,
}

/// What a directory is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// To make, rename and remove entries, too.
    Change,
}

/// Takes the names in a directory, as they come.
pub trait Names {
    /// Some names of `dir` and what they stand for.
    fn take(&mut self, dir: &Dir, names: Vec<(String, Kind)>) -> Result<()>;

    /// The directory has been read once, and may be read again: what was seen once counts.
    fn settle(&mut self) {}
}

impl Dir {
    /// The granted directory.
    pub fn root(handle: Descriptor) -> Self {
        Self { handle, path: String::new() }
    }

    /// Opens the directory `name`.
    pub fn open_dir(&self, name: &str, access: Access) -> Called<Self> {
        let flags = match access {
            Access::Read => DescriptorFlags::READ,
            Access::Change => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        };
        let opened = self.open(name, OpenFlags::DIRECTORY, flags);
        let handle = opened.map_err(self.failed("open", name))?;
        Ok(Self { handle, path: self.join(name) })
    }

    /// Opens the file `name` for reading. Call [`look`](Self::look) before, unless the host
    /// [does](crate::settings::looks): to open a pipe waits for its writer.
    pub fn open_file(&self, name: &str) -> Called<File> {
        let opened = self.open(name, OpenFlags::empty(), DescriptorFlags::READ);
        Ok(File::new(opened.map_err(self.failed("open", name))?, self.join(name)))
    }

    /// Creates the file `name`, which must not exist, for writing.
    pub fn create_file(&self, name: &str) -> Called<File> {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let opened = self.open(name, how, DescriptorFlags::READ | DescriptorFlags::WRITE);
        Ok(File::new(opened.map_err(self.failed("create", name))?, self.join(name)))
    }

    /// Creates the directory `name`.
    pub fn create_dir(&self, name: &str) -> Called<()> {
        let created = self.handle.create_directory_at(name);
        created.map_err(self.failed("create", name))
    }

    /// What is known of this directory itself.
    pub fn stat(&self) -> Called<Stat> {
        Ok(self.handle.stat().map_err(self.failed("look at", ""))?.into())
    }

    /// What lies under `name`; none where nothing does.
    pub fn look(&self, name: &str) -> Called<Option<Stat>> {
        match self.handle.stat_at(PathFlags::empty(), name) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(ErrorCode::NoEntry) => Ok(None),
            Err(code) => Err(self.failed("look at", name)(code)),
        }
    }

    /// Moves `name` to `new` in the directory `to`, in place of a file that is there.
    pub fn rename(&self, name: &str, to: &Self, new: &str) -> Called<()> {
        let renamed = self.handle.rename_at(name, &to.handle, new);
        renamed.map_err(to.failed("publish", new))
    }

    /// As [`rename`](Self::rename), to remove `name` from here.
    pub fn take(&self, name: &str, to: &Self, new: &str) -> Called<()> {
        let renamed = self.handle.rename_at(name, &to.handle, new);
        renamed.map_err(self.failed("remove", name))
    }

    /// Makes `new` in the directory `to` a second name of the file `name`; fails with
    /// `exist` where there is something.
    pub fn link(&self, name: &str, to: &Self, new: &str) -> Called<()> {
        let linked = self.handle.link_at(PathFlags::empty(), name, &to.handle, new);
        linked.map_err(to.failed("publish", new))
    }

    /// Removes the file or link `name`.
    pub fn unlink(&self, name: &str) -> Called<()> {
        self.handle.unlink_file_at(name).map_err(self.failed("remove", name))
    }

    /// Removes the empty directory `name`.
    pub fn remove_dir(&self, name: &str) -> Called<()> {
        let removed = self.handle.remove_directory_at(name);
        removed.map_err(self.failed("remove", name))
    }

    /// Removes the file `name`, whose content nobody will miss. Where this fails twice it is litter
    /// for the next sweep, and whoever removes it has something better to tell.
    pub fn discard(&self, name: &str) {
        self.discard_if_there(name);
    }

    /// As [`discard`](Self::discard); whether the file was there.
    pub fn discard_if_there(&self, name: &str) -> bool {
        for attempt in 0..2 {
            match self.unlink(name) {
                Ok(()) => break,
                Err(failure) if failure.is_absent() => return attempt > 0,
                Err(_) => {}
            }
        }
        true
    }

    /// Makes the entries of this directory durable. Where the system cannot sync a directory
    /// it keeps the entries in order by itself, and that is no failure. Windows is one of
    /// them and says `access`; elsewhere that comes when a directory is opened.
    pub fn sync(&self) -> Called<()> {
        use ErrorCode as Code;
        match self.handle.sync() {
            Err(Code::Unsupported | Code::Invalid | Code::NotPermitted | Code::Access) => Ok(()),
            synced => synced.map_err(|code| self.failed("sync", "")(code)),
        }
    }

    /// Hands all names in this directory to `to`. How that went comes apart: where it went wrong,
    /// other names may be left. Some hosts leave out names that are not UTF-8, and say so then.
    ///
    /// Some filesystems move a name that is replaced to the end of the directory: a reader sees it
    /// twice, or not at all. So where names are being `replaced` a directory that changes is read
    /// again. A name that is handed out may have gone, as always.
    pub fn names(&self, replaced: bool, to: &mut impl Names) -> Result<Called<()>> {
        let (mut ended, mut before) = (None, None);
        let (mut attempt, mut seen) = (0, 0);
        loop {
            let now = match replaced {
                true => self.stat().map(|stat| stat.modified),
                false => Ok(None),
            };
            let now = match now {
                Ok(now) => now,
                Err(failure) => return Ok(Err(failure)),
            };
            let is_last = attempt == ATTEMPTS || seen > MANY;
            match ended {
                None => {}
                // The host looks at each name that it finds, and one has just been removed.
                Some(Err(ErrorCode::NoEntry)) if !is_last => {}
                // Some hosts leave a name out and say so, after all others.
                Some(Ok(()) | Err(ErrorCode::Other(_)))
                    if !is_last && may_have_changed(before, now) => {}
                Some(ended) => return Ok(ended.map_err(self.failed("list", ""))),
            }
            before = now;
            ended = Some(self.read_names(to, &mut seen)?);
            to.settle();
            attempt += 1;
        }
    }

    fn read_names(
        &self,
        to: &mut impl Names,
        seen: &mut usize,
    ) -> Result<core::result::Result<(), ErrorCode>> {
        let (mut stream, outcome) = self.handle.read_directory();
        // Asked for at first, since that there are no more names and how it went comes together.
        let mut outcome = pin!(outcome.into_future());
        block_on(async {
            let known = poll_fn(|cx| Poll::Ready(outcome.as_mut().poll(cx))).await;
            loop {
                let (how, batch) = stream.read(Vec::with_capacity(BATCH)).await;
                *seen += batch.len();
                to.take(self, entries(batch))?;
                if let StreamResult::Dropped | StreamResult::Cancelled = how {
                    break;
                }
            }
            Ok(match known {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => outcome.await,
            })
        })
    }

    /// Some names in this directory, or none where it is empty. Where they cannot be read, who
    /// needs all of them says why.
    pub fn some_names(&self) -> Vec<(String, Kind)> {
        let (mut stream, _) = self.handle.read_directory();
        let (_, batch) = block_on(stream.read(Vec::with_capacity(SOME)));
        entries(batch)
    }

    fn open(
        &self,
        name: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> core::result::Result<Descriptor, ErrorCode> {
        self.handle.open_at(PathFlags::empty(), name, how, flags)
    }

    /// The path of `name` in the store, or of the directory itself where it is empty.
    pub fn join(&self, name: &str) -> String {
        match (&*self.path, name) {
            ("", "") => "/".into(),
            (path, "") => path.into(),
            (path, name) => name::join(path, name),
        }
    }

    fn failed(&self, doing: &'static str, name: &str) -> impl FnOnce(ErrorCode) -> Failure {
        move |code| self.failure(doing, name, code)
    }

    /// Apart, so that it is in the component once and not with each call of the system.
    #[cold]
    #[inline(never)]
    fn failure(&self, doing: &'static str, name: &str, code: ErrorCode) -> Failure {
        Failure { doing, path: self.join(name), code }
    }
}

fn entries(batch: Vec<DirectoryEntry>) -> Vec<(String, Kind)> {
    batch.into_iter().map(|entry| (entry.name, entry.type_.into())).collect()
}

/// Whether a directory may have changed between two looks at the time of its last change. Two changes
/// that are close together may have the same time.
pub fn may_have_changed(before: Option<Instant>, after: Option<Instant>) -> bool {
    let time = |at: Instant| (at.seconds, at.nanoseconds);
    let (before, after) = (before.map(time), after.map(time));
    before != after || after.is_some_and(|at| age::is_just_now(at, time(super::now())))
}
