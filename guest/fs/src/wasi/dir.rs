//! Directories. The calls here do not follow a link in the last component of a name, and every name
//! is a single component, so no link is followed.

use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{IntoFuture, poll_fn};
use core::pin::pin;
use core::task::Poll;

use artifact_store_backend::Instant;
use wasip3::filesystem::types::{
    Descriptor, DescriptorFlags, DirectoryEntry, OpenFlags, PathFlags,
};
use wit_bindgen::StreamResult;

use super::{Called, ErrorCode, Failure, File, Kind, Stat};
use crate::age;

/// How often a directory is read if its names change meanwhile.
const ATTEMPTS: usize = 16;

/// An open directory, and its path in the store for error messages.
pub struct Dir {
    handle: Descriptor,
    path: String,
}

/// The purpose of opening a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Also creating, renaming and removing entries.
    Change,
}

/// The names that were read from a directory.
pub struct Names {
    pub sorted: Vec<String>,
    /// How the reading ended: after a failure, names may be missing.
    pub ended: Called<()>,
}

impl Names {
    /// All names, except those that the host leaves out because they are not UTF-8.
    pub fn whole(self) -> Called<Vec<String>> {
        match self.ended {
            Err(failure) if !failure.left_out() => Err(failure),
            _ => Ok(self.sorted),
        }
    }
}

impl Dir {
    /// The granted directory.
    pub fn root(handle: Descriptor) -> Self {
        Self { handle, path: String::new() }
    }

    /// Opens the directory `name`.
    pub async fn open_dir(&self, name: &str, access: Access) -> Called<Self> {
        let flags = match access {
            Access::Read => DescriptorFlags::READ,
            Access::Change => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        };
        let opened = self.open(name, OpenFlags::DIRECTORY, flags).await;
        let handle = opened.map_err(self.failed("open", name))?;
        Ok(Self { handle, path: self.join(name) })
    }

    /// Opens the file `name` for reading. Call [`look`](Self::look) before, unless the host
    /// [does](super::looks): opening a pipe waits for its writer.
    pub async fn open_file(&self, name: &str) -> Called<File> {
        let opened = self.open(name, OpenFlags::empty(), DescriptorFlags::READ).await;
        Ok(File::new(opened.map_err(self.failed("open", name))?, self.join(name)))
    }

    /// Creates the file `name`, which must not exist, for writing.
    pub async fn create_file(&self, name: &str) -> Called<File> {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let opened = self.open(name, how, DescriptorFlags::READ | DescriptorFlags::WRITE).await;
        Ok(File::new(opened.map_err(self.failed("create", name))?, self.join(name)))
    }

    /// Creates the directory `name`.
    pub async fn create_dir(&self, name: &str) -> Called<()> {
        let created = self.handle.create_directory_at(name.into()).await;
        created.map_err(self.failed("create", name))
    }

    /// The attributes of this directory.
    pub async fn stat(&self) -> Called<Stat> {
        Ok(self.handle.stat().await.map_err(self.failed("stat", ""))?.into())
    }

    /// The attributes of `name`; `None` if it does not exist.
    pub async fn look(&self, name: &str) -> Called<Option<Stat>> {
        match self.handle.stat_at(PathFlags::empty(), name.into()).await {
            Ok(stat) => Ok(Some(stat.into())),
            Err(ErrorCode::NoEntry) => Ok(None),
            Err(code) => Err(self.failed("stat", name)(code)),
        }
    }

    /// Moves `name` to `new` in the directory `to`, replacing a file that is there.
    pub async fn rename(&self, name: &str, to: &Self, new: &str) -> Called<()> {
        let renamed = self.handle.rename_at(name.into(), &to.handle, new.into()).await;
        renamed.map_err(to.failed("publish", new))
    }

    /// Makes `new` in the directory `to` a second name of the file `name`; fails with `exist` if
    /// `new` exists.
    pub async fn link(&self, name: &str, to: &Self, new: &str) -> Called<()> {
        let (name, new_name) = (name.into(), new.into());
        let linked = self.handle.link_at(PathFlags::empty(), name, &to.handle, new_name).await;
        linked.map_err(to.failed("publish", new))
    }

    /// Removes the file or link `name`.
    pub async fn unlink(&self, name: &str) -> Called<()> {
        self.handle.unlink_file_at(name.into()).await.map_err(self.failed("remove", name))
    }

    /// Removes the file `name`, whose content is not needed. If this fails twice, the next sweep
    /// removes it; the caller has a more important error to report.
    pub async fn discard(&self, name: &str) {
        for _ in 0..2 {
            match self.unlink(name).await {
                Err(failure) if !failure.is_absent() => {}
                _ => break,
            }
        }
    }

    /// Makes the entries of this directory durable. A system that cannot sync a directory keeps the
    /// entries in order by itself, so this is not a failure. Windows is such a system and answers
    /// `access`; other systems answer that when a directory is opened.
    pub async fn sync(&self) -> Called<()> {
        use ErrorCode as Code;
        match self.handle.sync().await {
            Err(Code::Unsupported | Code::Invalid | Code::NotPermitted | Code::Access) => Ok(()),
            synced => synced.map_err(|code| self.failed("sync", "")(code)),
        }
    }

    /// The names in this directory for which `keep` is true.
    ///
    /// Some filesystems move a replaced name to the end of the directory: a reader sees it twice,
    /// or not at all. If names are being `replaced`, a directory that changes is therefore read
    /// again, and names that were seen once count. As always, a name may have been removed since.
    pub async fn names(&self, replaced: bool, keep: &dyn Fn(&str, Kind) -> bool) -> Names {
        let (mut sorted, mut ended, mut before) = (Vec::new(), None, None);
        let mut attempt = 0;
        loop {
            let now = match replaced {
                true => self.stat().await.map(|stat| stat.modified),
                false => Ok(None),
            };
            let now = match now {
                Ok(now) => now,
                Err(failure) => return Names { sorted, ended: Err(failure) },
            };
            let is_last = attempt == ATTEMPTS;
            match ended {
                None => {}
                // The host looks at each name that it finds, and one has just been removed.
                Some(Err(ErrorCode::NoEntry)) if !is_last => {}
                // Some hosts leave a name out and report this after all others.
                Some(Ok(()) | Err(ErrorCode::Other(_)))
                    if !is_last && may_have_changed(before, now) => {}
                Some(ended) => {
                    return Names { sorted, ended: ended.map_err(self.failed("list", "")) };
                }
            }
            before = now;
            ended = Some(self.read_names(keep, &mut sorted).await);
            // With a heap: the code of `sort` would be a fiftieth of the component.
            sorted = BinaryHeap::from(sorted).into_sorted_vec();
            sorted.dedup();
            attempt += 1;
        }
    }

    async fn read_names(
        &self,
        keep: &dyn Fn(&str, Kind) -> bool,
        names: &mut Vec<String>,
    ) -> core::result::Result<(), ErrorCode> {
        let (mut stream, outcome) = self.handle.read_directory();
        // Requested first, since the end of the names and the outcome come together.
        let mut outcome = pin!(outcome.into_future());
        let known = poll_fn(|cx| Poll::Ready(outcome.as_mut().poll(cx))).await;
        let mut batch = Vec::with_capacity(256);
        loop {
            let how;
            (how, batch) = stream.read(batch).await;
            names.extend(batch.drain(..).filter_map(|DirectoryEntry { type_, name }| {
                keep(&name, type_.into()).then_some(name)
            }));
            if let StreamResult::Dropped | StreamResult::Cancelled = how {
                break;
            }
        }
        match known {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => outcome.await,
        }
    }

    async fn open(
        &self,
        name: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> core::result::Result<Descriptor, ErrorCode> {
        self.handle.open_at(PathFlags::empty(), name.into(), how, flags).await
    }

    /// The path of `name` in the store; that of the directory itself if `name` is empty.
    pub fn join(&self, name: &str) -> String {
        match (&*self.path, name) {
            ("", "") => "/".into(),
            ("", name) => name.into(),
            (path, "") => path.into(),
            (path, name) => [path, "/", name].concat(),
        }
    }

    fn failed(&self, doing: &'static str, name: &str) -> impl FnOnce(ErrorCode) -> Failure {
        move |code| Failure { doing, path: self.join(name), code }
    }
}

/// Whether a directory may have changed between two looks at its modification time. Two changes in
/// quick succession may have the same time.
pub fn may_have_changed(before: Option<Instant>, after: Option<Instant>) -> bool {
    let time = |at: Instant| (at.seconds, at.nanoseconds);
    let (before, after) = (before.map(time), after.map(time));
    before != after || after.is_some_and(|at| age::is_just_now(at, time(super::now())))
}
