use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::attributes::Attributes;
use crate::bindings::{inventory, streams, types};
use crate::checksum::Checksum;
use crate::setters::setters;

/// Size, checksum, time, version and attributes of a stored artifact.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// let info = store.put("digits", "123456789")?;
/// assert_eq!((info.size, info.checksum), (9, Some(0xAE8B14860A799888)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Size in bytes.
    pub size: u64,
    /// CRC-64/NVME of its bytes; `None` if the backend keeps no checksum.
    pub checksum: Option<u64>,
    /// When it was last put; `None` if the backend does not know.
    pub modified: Option<SystemTime>,
    /// A text that names this generation of the artifact: [`Mode::Replace`] compares it. `None` if
    /// the backend cannot tell generations apart.
    pub version: Option<String>,
    /// What was stored with the artifact beside its bytes.
    pub attributes: Attributes,
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
    /// When it was last put; `None` if the listing does not tell.
    pub modified: Option<SystemTime>,
    /// The version of the listed generation; `None` if the listing does not tell.
    pub version: Option<String>,
}

/// What to do if the key already has an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Replace the artifact.
    #[default]
    Overwrite,
    /// Fail with [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists). Of several
    /// concurrent calls exactly one succeeds.
    Create,
    /// Replace the artifact if it still has this [version](Info::version), and otherwise fail with
    /// [`ErrorKind::ConditionFailed`](crate::ErrorKind::ConditionFailed). Of several concurrent
    /// calls with one version at most one succeeds.
    Replace(String),
}

/// How to store an artifact. By default an existing artifact is replaced.
///
/// ```
/// use artifact_store::WriteOptions;
///
/// let options = WriteOptions::default().create(true).size(3);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// What to do if the key already has an artifact.
    pub mode: Mode,
    /// The size in bytes, if it is known: some backends store faster then. The write fails if the
    /// size turns out to be another.
    pub size: Option<u64>,
    /// What to store with the artifact beside its bytes. A backend that keeps no attributes fails
    /// with [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    pub attributes: Attributes,
}

setters!(WriteOptions { mode: Mode, attributes: Attributes } some { size: u64 });

impl WriteOptions {
    /// The same in [`Mode::Create`], or in [`Mode::Overwrite`].
    #[must_use]
    pub fn create(self, create: bool) -> Self {
        self.mode(if create { Mode::Create } else { Mode::Overwrite })
    }

    /// The same in [`Mode::Replace`] for this version.
    #[must_use]
    pub fn if_version(self, version: impl Into<String>) -> Self {
        self.mode(Mode::Replace(version.into()))
    }

    /// Whether these are what `put` of the contract does.
    pub(crate) fn are_plain(&self) -> bool {
        self.mode == Mode::Overwrite && self.attributes.is_empty()
    }
}

/// Which part of an artifact to read. By default all of it.
///
/// ```
/// use artifact_store::ReadOptions;
///
/// let tail = ReadOptions::default().offset(4096);
/// let last = ReadOptions::default().suffix(512);
/// # let _ = (tail, last);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Offset of the first byte. An offset equal to the size reads no bytes; a larger one is an
    /// error.
    pub offset: u64,
    /// The largest number of bytes to read; `None` reads to the end.
    pub length: Option<u64>,
    /// How many of the artifact's last bytes to read; `offset` then counts from the first of them.
    /// If the artifact has fewer, all of it. `None` reads from the start.
    pub suffix: Option<u64>,
}

setters!(ReadOptions { offset: u64 } some { length: u64, suffix: u64 });

impl ReadOptions {
    /// Where the part begins in an artifact of `size` bytes; `None` if that is beyond its end.
    pub(crate) fn begin(self, size: u64) -> Option<u64> {
        let from = self.suffix.map_or(0, |suffix| size.saturating_sub(suffix));
        from.checked_add(self.offset).filter(|begin| *begin <= size)
    }
}

impl Info {
    pub(crate) fn of(written: &Checksum) -> Self {
        Self { checksum: Some(written.value()), ..Self::of_size(written.size()) }
    }

    pub(crate) fn of_size(size: u64) -> Self {
        Self { size, checksum: None, modified: None, version: None, attributes: Attributes::new() }
    }
}

/// What a backend answered, if it keeps the rules of the contract.
impl TryFrom<types::Info> for Info {
    type Error = String;

    fn try_from(info: types::Info) -> Result<Self, String> {
        let types::Info { size, checksum, modified, version, attributes } = info;
        let attributes = Attributes::answered(attributes)?;
        Ok(Self {
            size,
            checksum,
            modified: modified.and_then(time),
            version: valid(version)?,
            attributes,
        })
    }
}

impl TryFrom<inventory::Entry> for Entry {
    type Error = String;

    fn try_from(entry: inventory::Entry) -> Result<Self, String> {
        let inventory::Entry { key, size, modified, version } = entry;
        let modified = modified.and_then(time);
        Ok(Self { key, size, modified, version: valid(version)? })
    }
}

impl From<Info> for types::Info {
    fn from(info: Info) -> Self {
        let Info { size, checksum, modified, version, attributes } = info;
        let modified = modified.and_then(instant);
        Self { size, checksum, modified, version, attributes: attributes.list() }
    }
}

impl From<Entry> for inventory::Entry {
    fn from(entry: Entry) -> Self {
        let Entry { key, size, modified, version } = entry;
        Self { key, size, modified: modified.and_then(instant), version }
    }
}

impl From<types::Mode> for Mode {
    fn from(mode: types::Mode) -> Self {
        match mode {
            types::Mode::Overwrite => Self::Overwrite,
            types::Mode::Create => Self::Create,
            types::Mode::Replace(version) => Self::Replace(version),
        }
    }
}

impl TryFrom<streams::WriteOptions> for WriteOptions {
    type Error = String;

    fn try_from(options: streams::WriteOptions) -> Result<Self, String> {
        let streams::WriteOptions { mode, size, attributes } = options;
        Ok(Self { mode: mode.into(), size, attributes: Attributes::answered(attributes)? })
    }
}

impl From<&Mode> for types::Mode {
    fn from(mode: &Mode) -> Self {
        match mode {
            Mode::Overwrite => Self::Overwrite,
            Mode::Create => Self::Create,
            Mode::Replace(version) => Self::Replace(version.clone()),
        }
    }
}

/// A version that keeps version-3.
fn valid(version: Option<String>) -> Result<Option<String>, String> {
    /// The longest version in bytes.
    const MOST: usize = 256;
    match version {
        Some(version)
            if version.is_empty()
                || version.len() > MOST
                || version.chars().any(char::is_control) =>
        {
            Err(format!("{} is not a version", crate::text::quoted(&version)))
        }
        version => Ok(version),
    }
}

/// A time as the contract has it; `None` if it lies beyond what that can tell.
pub(crate) fn instant(time: SystemTime) -> Option<types::Instant> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Some(types::Instant {
            seconds: i64::try_from(after.as_secs()).ok()?,
            nanoseconds: after.subsec_nanos(),
        }),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).ok()?.checked_neg()?;
            match before.subsec_nanos() {
                0 => Some(types::Instant { seconds, nanoseconds: 0 }),
                nanos => Some(types::Instant {
                    seconds: seconds.checked_sub(1)?,
                    nanoseconds: 1_000_000_000 - nanos,
                }),
            }
        }
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
