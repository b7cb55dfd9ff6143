//! The bytes of an artifact as they go and come.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Info;
use crate::budget::on_this_thread;
use crate::error::Result;

/// [`crate::ArtifactWriter`] as a [`std::io::Write`].
///
/// ```
/// use std::io::Write;
///
/// # let dir = tempfile::tempdir()?;
/// let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// let mut writer = store.writer("log", Default::default())?;
/// writeln!(writer, "first line")?;
/// writer.commit()?;
/// assert_eq!(store.get("log")?, "first line\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an artifact is stored by `commit`"]
pub struct ArtifactWriter(pub(super) crate::ArtifactWriter);

impl ArtifactWriter {
    /// Writes a chunk without copying it; see [`crate::ArtifactWriter::write_chunk`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn write_chunk(&mut self, chunk: impl Into<Bytes>) -> Result<()> {
        self.here(|writer| on_this_thread(writer.write_chunk(chunk)))
    }

    /// Stores what was written; see [`crate::ArtifactWriter::commit`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn commit(self) -> Result<Info> {
        on_this_thread(self.0.commit())
    }

    /// Discards the write; see [`crate::ArtifactWriter::abort`].
    pub fn abort(self) {
        on_this_thread(self.0.abort());
    }
}

impl ArtifactWriter {
    /// Does `work`; until the next call, the caller's pause is counted.
    fn here<R>(&mut self, work: impl FnOnce(&mut crate::ArtifactWriter) -> R) -> R {
        let done = work(&mut self.0);
        self.0.pause();
        done
    }
}

impl Write for ArtifactWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.here(|writer| on_this_thread(writer.write(bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.here(|writer| on_this_thread(writer.flush()))
    }
}

/// [`crate::ArtifactReader`] as a [`std::io::Read`].
///
/// ```
/// use std::io::Read;
///
/// # let dir = tempfile::tempdir()?;
/// let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
/// store.put("digits", "0123456789")?;
/// let mut text = String::new();
/// store.read("digits", Default::default())?.read_to_string(&mut text)?;
/// assert_eq!(text, "0123456789");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArtifactReader(pub(super) crate::ArtifactReader);

impl ArtifactReader {
    /// The info of the whole artifact, also if only a range is read.
    #[must_use]
    pub fn info(&self) -> &Info {
        self.0.info()
    }

    /// Whether the end of a whole artifact shows that its bytes are those that were put; see
    /// [`crate::ArtifactReader::verifies`].
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.0.verifies()
    }

    /// The next bytes; see [`crate::ArtifactReader::next_chunk`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.here(|reader| on_this_thread(reader.next_chunk()))
    }
}

impl ArtifactReader {
    /// Does `work`; until the next call, the caller's pause is counted.
    fn here<R>(&mut self, work: impl FnOnce(&mut crate::ArtifactReader) -> R) -> R {
        let done = work(&mut self.0);
        self.0.pause();
        done
    }
}

impl Read for ArtifactReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.here(|reader| on_this_thread(reader.read(into)))
    }
}
