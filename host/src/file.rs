//! Reading a file that a user names: as a whole, within a limit, and without waiting.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// The bytes that are read before the caller looks at them.
const HEAD: usize = 256;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    System(#[from] io::Error),
    /// Not a regular file; the text says what it is.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    #[error("it has {found} bytes; the limit is {limit}")]
    TooLarge { found: u64, limit: u64 },
    #[error("it could not be read within {}", crate::text::span(*.0))]
    TooSlow(Duration),
}

impl From<Unreadable> for io::Error {
    fn from(error: Unreadable) -> Self {
        let kind = match error {
            Unreadable::System(error) => return error,
            Unreadable::NotAFile(_) => io::ErrorKind::InvalidInput,
            Unreadable::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Unreadable::TooSlow(_) => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// The bytes of a regular file that people write: a configuration, certificates.
///
/// # Errors
///
/// The file cannot be read, is not a regular file, or is larger than such a file can be.
#[cfg(any(feature = "config", feature = "encrypt", feature = "network"))]
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    const LIMIT: u64 = 4 << 20;
    const TIME: Duration = Duration::from_secs(30);
    Ok(read_if(path, LIMIT, TIME, |_| Ok::<_, Unreadable>(()))?)
}

/// The bytes of the regular file at `path`, at most `limit` of them. `look` sees the first bytes
/// before the others are read.
pub(crate) fn read_if<E: From<Unreadable>>(
    path: &Path,
    limit: u64,
    time: Duration,
    look: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let begun = Instant::now();
    let (mut file, size) = open(path)?;
    let too_large = |found| Err(Unreadable::TooLarge { found, limit });
    if size > limit {
        too_large(size)?;
    }
    let mut bytes = Vec::new();
    append(&mut file, HEAD as u64, &mut bytes)?;
    look(&bytes)?;
    // A file that is being written may have grown since; files of `/proc` and `/sys` state no size.
    let rest = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(bytes.len());
    let no_memory = |_| Unreadable::from(io::Error::from(io::ErrorKind::OutOfMemory));
    bytes.try_reserve_exact(rest).map_err(no_memory)?;
    while append(&mut file, 1 << 20, &mut bytes)? > 0 {
        if bytes.len() as u64 > limit {
            too_large(bytes.len() as u64)?;
        }
        if begun.elapsed() > time {
            Err(Unreadable::TooSlow(time))?;
        }
    }
    Ok(bytes)
}

/// Reads at most `most` more bytes.
fn append(file: &mut File, most: u64, bytes: &mut Vec<u8>) -> Result<usize, Unreadable> {
    Ok(file.take(most).read_to_end(bytes)?)
}

/// Opens a regular file and returns its size. Other files are not opened, since that may wait for
/// another process or act on a device. The open itself does not wait either, in case another file
/// takes its place in between.
fn open(path: &Path) -> Result<(File, u64), Unreadable> {
    refuse_special(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    refuse_special(&metadata)?;
    Ok((file, metadata.len()))
}

fn refuse_special(metadata: &Metadata) -> Result<(), Unreadable> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(Unreadable::NotAFile("a directory"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Err(Unreadable::NotAFile("a named pipe"));
        }
        if kind.is_socket() {
            return Err(Unreadable::NotAFile("a socket"));
        }
        if kind.is_block_device() || kind.is_char_device() {
            return Err(Unreadable::NotAFile("a device"));
        }
    }
    Err(Unreadable::NotAFile("a special file"))
}
