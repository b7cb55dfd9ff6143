//! Compiled code on the disk. Before it is run, its checksum is verified. From a local filesystem it
//! is then mapped, so that processes share it, and only what is used of it is read; what a file
//! server holds could go while it runs, and is verified in the very memory that it is run from.

mod entry;
mod folder;

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(super) use entry::Id;
pub(super) use folder::defaults;
use sha2::{Digest, Sha256};
use tracing::{debug, warn};

use super::profile::Profile;
use crate::budget::is_local;

/// The most bytes of all entries together. Beyond it the oldest entries are removed.
const ROOM: u64 = 512 << 20;

/// The modification time of an entry is that of its last use, up to this error.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The suffixes of entries, and of entries that are being written.
const ENTRY: &str = "code";
const UNFINISHED: &str = "part";

/// A writer takes less time than this.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Where compiled code is kept for the next start:
/// [`EngineBuilder::cache`](crate::EngineBuilder::cache).
///
/// Code from the cache runs outside of any sandbox, as this user. A folder is used only if no other
/// user can write to it: it belongs to this user, each folder above it belongs to this user or the
/// system, and no other user may write to any of them. Otherwise components are compiled at each
/// start, and a `tracing` event says why.
///
/// ```
/// use artifact_store::{Cache, Engine};
///
/// # let dir = tempfile::tempdir()?;
/// let engine = Engine::builder().cache(Cache::Dir(dir.path().into())).build()?;
/// # let _ = engine;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cache {
    /// In the user's cache folder: `artifact-store/code` in `$XDG_CACHE_HOME`, `~/.cache`, or the
    /// equivalent of the system.
    #[default]
    Default,
    /// In this folder, which is created if it is absent.
    Dir(PathBuf),
    /// No cache: each start compiles.
    Off,
}

impl Cache {
    /// The folder where code is kept, or would be kept by the next process.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Dir(folder) => std::path::absolute(folder).ok(),
            Self::Default | Self::Off => folder::defaults().next(),
        }
    }
}

/// Sound code of an entry.
pub(super) enum Code<'a> {
    /// The beginning of this file.
    File(&'a Path),
    Bytes(&'a [u8]),
}

/// The entries in a folder that only this user can write to.
#[derive(Debug)]
pub(super) struct Entries {
    folder: PathBuf,
    room: u64,
}

impl Entries {
    /// `None` if the cache is off or the folder cannot be used, which is logged.
    pub(super) fn open(cache: &Cache) -> Option<Self> {
        if *cache == Cache::Off {
            return None;
        }
        let folder = cache.folder()?;
        match folder::prepare(&folder) {
            Ok(folder) => Some(Self { folder, room: ROOM }),
            Err(error) => {
                let folder = folder.display();
                match cache {
                    Cache::Dir(_) => warn!(%folder, %error, "compiled code is not cached"),
                    _ => debug!(%folder, %error, "compiled code is not cached"),
                }
                None
            }
        }
    }

    /// Passes the code for `id` to `run`, if it is there and sound.
    pub(super) fn find<T>(
        &self,
        id: &Id,
        run: impl FnOnce(Profile, Code<'_>) -> Option<T>,
    ) -> Option<T> {
        let path = self.path(id);
        let found = match self.sound(&path, id) {
            Ok(Some((profile, None))) => run(profile, Code::File(&path)),
            Ok(Some((profile, Some(code)))) => run(profile, Code::Bytes(&code)),
            Ok(None) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                debug!(entry = %path.display(), %error, "cached code is not used");
                return None;
            }
        };
        if found.is_none() {
            warn!(entry = %path.display(), "cached code is damaged; the component is compiled again");
        }
        found
    }

    /// What is known of the code in an entry, and the code if its file cannot be relied on later;
    /// `None` if it is damaged.
    fn sound(&self, path: &Path, id: &Id) -> io::Result<Option<(Profile, Option<Vec<u8>>)>> {
        let (mut file, size) = self.open_entry(path)?;
        if is_local(&file) {
            return Ok(entry::verify(&file, size, id)?.map(|(profile, _)| (profile, None)));
        }
        let mut bytes = Vec::new();
        (&mut file).take(size).read_to_end(&mut bytes)?;
        let found = entry::verify(&*bytes, size, id)?;
        Ok(found.map(|(profile, code)| {
            bytes.truncate(usize::try_from(code).unwrap_or(usize::MAX));
            (profile, Some(bytes))
        }))
    }

    /// Stores the code for `id`, replacing an entry that is there. If this fails, the next start
    /// compiles again.
    pub(super) fn keep(&self, id: &Id, profile: &Profile, code: &[u8]) {
        let tail = entry::tail(id, profile, code);
        let size = (code.len() + tail.len()) as u64;
        if size > self.room {
            return debug!(size, "compiled code is too large for the cache");
        }
        let kept = self.make_room(size).and_then(|()| {
            let name = RandomState::new().hash_one(std::process::id());
            let part = self.folder.join(format!("{name:016x}.{UNFINISHED}"));
            let written = write(&part, code, &tail);
            written.and_then(|()| std::fs::rename(&part, self.path(id))).inspect_err(|_| {
                let _ = std::fs::remove_file(&part);
            })
        });
        if let Err(error) = kept {
            debug!(folder = %self.folder.display(), %error, "compiled code is not cached");
        }
    }

    fn path(&self, id: &Id) -> PathBuf {
        let name = Sha256::new().chain_update(id.component).chain_update(id.engine).finalize();
        self.folder.join(format!("{name:x}.{ENTRY}"))
    }

    /// Opens an entry, and tells its size.
    fn open_entry(&self, path: &Path) -> io::Result<(File, u64)> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.custom_flags(flags.bits().cast_signed());
        }
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        if !folder::is_own(&metadata) || metadata.len() > self.room {
            return Err(io::Error::other("it is not a file that only this user can write to"));
        }
        if metadata.modified()?.elapsed().is_ok_and(|age| age > DAY) {
            // Entries that are used stay longest.
            let _ = file.set_modified(SystemTime::now());
        }
        Ok((file, metadata.len()))
    }

    /// Removes the oldest entries until `size` more bytes fit.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            // It may have been removed.
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified()?;
            match ending {
                Some(ENTRY) => entries.push((used, metadata.len(), path)),
                Some(UNFINISHED) if used.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = std::fs::remove_file(path);
                }
                _ => {}
            }
        }
        entries.sort();
        let mut taken: u64 = entries.iter().map(|(_, size, _)| size).sum();
        for (_, entry, path) in entries {
            if taken.saturating_add(size) <= self.room {
                break;
            }
            // Another process may have removed it.
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => taken -= entry,
            }
        }
        Ok(())
    }
}

/// Writes a new file that only this user may read and write.
fn write(path: &Path, code: &[u8], tail: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(code)?;
    file.write_all(tail)
}

#[cfg(test)]
mod tests;
