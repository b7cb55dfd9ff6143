use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bindings::{inventory, types};
use crate::checksum::Checksum;
use crate::setters::setters;

/// Size, checksum and time of a stored artifact.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// let info = store.put("digits", "123456789")?;
/// assert_eq!((info.size, info.checksum), (9, Some(0xAE8B14860A799888)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Size in bytes.
    pub size: u64,
    /// CRC-64/NVME of its bytes; `None` if the backend keeps no checksum.
    pub checksum: Option<u64>,
    /// When it was last put; `None` if the backend does not know.
    pub modified: Option<SystemTime>,
}

/// One artifact of a listing.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// store.put("k", "12345")?;
/// for entry in store.list("") {
///     let artifact_store::Entry { key, size, .. } = entry?;
///     assert_eq!((key.as_str(), size), ("k", 5));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
}

/// How to store an artifact. By default an existing artifact is replaced.
///
/// ```
/// use artifact_store::WriteOptions;
///
/// let options = WriteOptions::default().create(true);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Store only if the key has no artifact. Of several concurrent calls exactly one succeeds.
    pub create: bool,
    /// The size in bytes, if it is known: some backends store faster then. The write fails if the
    /// size turns out to be another.
    pub size: Option<u64>,
}

setters!(WriteOptions { create: bool } some { size: u64 });

/// Which part of an artifact to read. By default all of it.
///
/// ```
/// use artifact_store::ReadOptions;
///
/// let tail = ReadOptions::default().offset(4096);
/// # let _ = tail;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Offset of the first byte. An offset equal to the size reads no bytes; a larger one is an
    /// error.
    pub offset: u64,
    /// The largest number of bytes to read; `None` reads to the end.
    pub length: Option<u64>,
}

setters!(ReadOptions { offset: u64 } some { length: u64 });

impl Info {
    pub(crate) fn of(written: &Checksum) -> Self {
        Self { size: written.size(), checksum: Some(written.value()), modified: None }
    }
}

impl From<types::Info> for Info {
    fn from(info: types::Info) -> Self {
        let modified = info.modified.and_then(time);
        Self { size: info.size, checksum: info.checksum, modified }
    }
}

impl From<inventory::Entry> for Entry {
    fn from(entry: inventory::Entry) -> Self {
        Self { key: entry.key, size: entry.size }
    }
}

/// `None` if this system cannot express the time that the backend names.
pub(crate) fn time(instant: types::Instant) -> Option<SystemTime> {
    if instant.nanoseconds >= 1_000_000_000 {
        return None;
    }
    let seconds = Duration::from_secs(instant.seconds.unsigned_abs());
    let time = match instant.seconds {
        0.. => UNIX_EPOCH.checked_add(seconds)?,
        _ => UNIX_EPOCH.checked_sub(seconds)?,
    };
    time.checked_add(Duration::from_nanos(instant.nanoseconds.into()))
}
