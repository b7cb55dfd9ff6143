//! Compiled code on the disk. What is run is compared with a digest first, in the very memory
//! that it is run from.

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

/// The most bytes of all entries together. Beyond it the oldest go.
const ROOM: u64 = 512 << 20;

/// The time of an entry is that of its last use, give or take this.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What an entry's name ends with, and that of one that is being written.
const ENTRY: &str = "code";
const UNFINISHED: &str = "part";

/// A writer takes no longer than this.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Where compiled code is kept for the next start: [`EngineBuilder::cache`](crate::EngineBuilder::cache).
///
/// Code from the cache is run outside of any sandbox, as this user. A folder is used only where no
/// other user can write to it: it belongs to this user, each one above it to this user or the
/// system, and no other user may write to any of them. Else components are compiled at each start,
/// and a `tracing` event says why.
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
    /// In the user's folder for what can be made again: `artifact-store/code` in
    /// `$XDG_CACHE_HOME`, `~/.cache`, or what the system has in its place.
    #[default]
    Default,
    /// In this folder, which is made where it is absent.
    Dir(PathBuf),
    /// Nowhere: each start compiles.
    Off,
}

impl Cache {
    /// Where code is kept, or would be by the next process.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Dir(folder) => std::path::absolute(folder).ok(),
            Self::Default | Self::Off => folder::defaults().next(),
        }
    }
}

/// The entries in a folder that only this user can write to.
#[derive(Debug)]
pub(super) struct Entries {
    folder: PathBuf,
    room: u64,
}

impl Entries {
    /// None where the cache is off or there is no such folder, which is told.
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

    /// Hands the code for `id` to `run`, where it is there and sound.
    pub(super) fn find<T>(
        &self,
        id: &Id,
        run: impl FnOnce(Profile, &[u8]) -> Option<T>,
    ) -> Option<T> {
        let path = self.path(id);
        let bytes = match self.read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    debug!(entry = %path.display(), %error, "cached code is not used");
                }
                return None;
            }
        };
        let found = entry::open(&bytes, id).and_then(|(profile, code)| run(profile, code));
        if found.is_none() {
            warn!(entry = %path.display(), "cached code is damaged; the component is compiled again");
        }
        found
    }

    /// Keeps the code for `id`, in the place of what there is. Where that fails, the next start
    /// compiles again.
    pub(super) fn keep(&self, id: &Id, profile: &Profile, code: &[u8]) {
        let head = entry::head(id, profile, code);
        let size = (head.len() + code.len()) as u64;
        if size > self.room {
            return debug!(size, "compiled code is too large for the cache");
        }
        let kept = self.make_room(size).and_then(|()| {
            let name = RandomState::new().hash_one(std::process::id());
            let part = self.folder.join(format!("{name:016x}.{UNFINISHED}"));
            let written = write(&part, &head, code);
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

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.custom_flags(flags.bits().cast_signed());
        }
        let mut file = options.open(path)?;
        let metadata = file.metadata()?;
        if !folder::is_own(&metadata) || metadata.len() > self.room {
            return Err(io::Error::other("it is not a file that only this user can write to"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        (&mut file).take(self.room).read_to_end(&mut bytes)?;
        if metadata.modified()?.elapsed().is_ok_and(|age| age > DAY) {
            // Those that are in use stay longest.
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(bytes)
    }

    /// Removes the oldest entries until `size` more bytes fit.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            // It may be gone.
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

/// Writes a file that is new, and only this user's to read and write.
fn write(path: &Path, head: &[u8], code: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(head)?;
    file.write_all(code)
}

#[cfg(test)]
mod tests;
