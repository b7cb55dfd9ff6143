//! The same store for code without an executor. Each call runs on the calling thread. It also works
//! inside a tokio runtime, where it blocks the thread like any file operation.
//!
//! If the system does not answer, for example because a file server is gone, the call holds its
//! thread beyond every deadline: a thread cannot be taken out of a system call. The async store
//! gives such a call up.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::backend::create_dir;
use crate::budget::on_this_thread;
use crate::chunk::CHUNK;
use crate::error::{ErrorKind, Operation, Result};
use crate::serving::{Loaded, RunBy, Running, Serving};
use crate::verbs::Pages;
use crate::{
    Backend, Entry, Finding, Info, Interface, LoadedBackend, ReadOptions, SwapOptions, Swept,
    WriteOptions,
};

/// A store of artifacts: the blocking form of [`crate::ArtifactStore`], which documents each call.
/// Clones share the backend.
///
/// ```
/// use artifact_store::blocking::ArtifactStore;
///
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path())?;
/// store.put("builds/app-1.2", "bytes")?;
/// assert_eq!(store.get("builds/app-1.2")?, "bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ArtifactStore {
    serving: Arc<Serving>,
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactStore").field("backend", &self.backend()).finish()
    }
}

/// Both stores share the backend: a swap in one is a swap in the other.
impl From<crate::ArtifactStore> for ArtifactStore {
    fn from(store: crate::ArtifactStore) -> Self {
        Self { serving: store.serving }
    }
}

impl ArtifactStore {
    /// Opens the built-in filesystem backend; see [`crate::ArtifactStore::open_dir`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn open_dir(dir: impl AsRef<Path>) -> Result<Self> {
        on_this_thread(create_dir(dir.as_ref()))?;
        Self::open(Backend::fs(dir))
    }

    /// Loads a backend; see [`crate::ArtifactStore::open`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn open(backend: Backend) -> Result<Self> {
        Ok(Self { serving: Serving::new(on_this_thread(backend.load())?) })
    }

    /// The store of a backend that is already loaded.
    #[cfg(feature = "conformance")]
    pub(crate) fn serve(backend: Arc<Loaded>) -> Self {
        Self { serving: Serving::new(LoadedBackend(backend)) }
    }

    /// Opens the store `name` of a configuration file; see
    /// [`crate::ArtifactStore::open_configured`].
    ///
    /// # Errors
    ///
    /// The same errors.
    #[cfg(feature = "config")]
    pub fn open_configured(file: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open(on_this_thread(crate::config::backend(file.as_ref(), name))?)
    }

    /// Opens the store `name` of a configuration file and follows changes of the file; see
    /// [`crate::ArtifactStore::open_watched`].
    ///
    /// # Errors
    ///
    /// The same errors.
    #[cfg(feature = "config")]
    pub fn open_watched(
        file: impl AsRef<Path>,
        name: &str,
        options: SwapOptions,
    ) -> Result<(Self, crate::Watch)> {
        let opening = crate::config::open_watched(file.as_ref(), name, options);
        let (serving, watch) = on_this_thread(opening)?;
        Ok((Self { serving }, watch))
    }

    /// Replaces the backend while it serves; see [`crate::ArtifactStore::swap`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn swap(&self, backend: Backend, options: SwapOptions) -> Result<LoadedBackend> {
        Ok(self.swap_loaded(on_this_thread(backend.load_successor())?, options))
    }

    /// Replaces the backend by one that is already loaded; see
    /// [`crate::ArtifactStore::swap_loaded`].
    pub fn swap_loaded(&self, backend: LoadedBackend, options: SwapOptions) -> LoadedBackend {
        self.serving.swap(backend, options)
    }

    /// The backend that serves now.
    #[must_use]
    pub fn backend(&self) -> LoadedBackend {
        LoadedBackend(self.serving.backend())
    }

    /// Whether the backend offers this interface; see [`crate::ArtifactStore::offers`].
    #[must_use]
    pub fn offers(&self, interface: Interface) -> bool {
        self.serving.backend().pool.offers(interface)
    }

    /// Stores `data` and replaces an artifact that is there; see [`crate::ArtifactStore::put`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn put(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        on_this_thread(
            running(&self.serving.backend(), Operation::Put, key).put(data.into(), false),
        )
    }

    /// Stores `data` only if the key has no artifact; see [`crate::ArtifactStore::put_new`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn put_new(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        on_this_thread(running(&self.serving.backend(), Operation::Put, key).put(data.into(), true))
    }

    /// Reads the whole artifact; see [`crate::ArtifactStore::get`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn get(&self, key: &str) -> Result<Bytes> {
        on_this_thread(running(&self.serving.backend(), Operation::Get, key).get())
    }

    /// Removes the artifact; see [`crate::ArtifactStore::delete`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn delete(&self, key: &str) -> Result<()> {
        on_this_thread(running(&self.serving.backend(), Operation::Delete, key).delete())
    }

    /// The artifact's size, checksum and time; see [`crate::ArtifactStore::stat`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn stat(&self, key: &str) -> Result<Info> {
        on_this_thread(running(&self.serving.backend(), Operation::Stat, key).stat())
    }

    /// All artifacts whose keys begin with `prefix`; see [`crate::ArtifactStore::list`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let store = artifact_store::blocking::ArtifactStore::open_dir(dir.path())?;
    /// store.put("a/1", "x")?;
    /// for entry in store.list("a/") {
    ///     assert_eq!(entry?.key, "a/1");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list(&self, prefix: &str) -> Listing {
        Listing(Pages::new(self.serving.backend(), prefix))
    }

    /// Everything in the store that is not a sound artifact; see [`crate::ArtifactStore::audit`].
    pub fn audit(&self) -> Audit {
        Audit(Pages::new(self.serving.backend(), ""))
    }

    /// Removes what crashed writers have left; see [`crate::ArtifactStore::sweep`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn sweep(&self, older_than: Duration) -> Result<Swept> {
        on_this_thread(running(&self.serving.backend(), Operation::Sweep, "").sweep(older_than))
    }

    /// Stores all that `reader` yields; see [`crate::ArtifactStore::write`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn write(&self, key: &str, mut reader: impl Read, options: WriteOptions) -> Result<Info> {
        let mut writer = self.writer(key, options)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return writer.commit(),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let error = writer.0.error(ErrorKind::Io(error));
                    writer.abort();
                    return Err(error);
                }
            };
            let written = writer.write_all(&buffer[..read]);
            written.map_err(|e| writer.0.io_error(e))?;
        }
    }

    /// A writer whose commit stores the artifact; see [`crate::ArtifactStore::writer`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn writer(&self, key: &str, options: WriteOptions) -> Result<ArtifactWriter> {
        let backend = self.serving.backend();
        Ok(ArtifactWriter(crate::ArtifactWriter::new(backend, key, options, RunBy::Caller)?))
    }

    /// Begins to read an artifact or a part of it; see [`crate::ArtifactStore::read`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn read(&self, key: &str, options: ReadOptions) -> Result<ArtifactReader> {
        let opening =
            crate::ArtifactReader::open(self.serving.backend(), key, options, RunBy::Caller);
        Ok(ArtifactReader(on_this_thread(opening)?))
    }
}

fn running(backend: &Arc<Loaded>, operation: Operation, key: &str) -> Running {
    Running::new(backend.call(operation, key))
}

/// The entries of a listing, made by [`ArtifactStore::list`]. Errors, and what follows one, are
/// those of [`crate::Listing::next`].
pub struct Listing(Pages<Entry>);

impl Iterator for Listing {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        on_this_thread(poll_fn(|cx| self.0.poll_next(RunBy::Caller, cx)))
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("prefix", &self.0.prefix()).finish_non_exhaustive()
    }
}

/// The findings of an audit, made by [`ArtifactStore::audit`]. Errors, and what follows one, are
/// those of [`crate::Audit::next`].
pub struct Audit(Pages<Finding>);

impl Iterator for Audit {
    type Item = Result<Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        on_this_thread(poll_fn(|cx| self.0.poll_next(RunBy::Caller, cx)))
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

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
pub struct ArtifactWriter(crate::ArtifactWriter);

impl ArtifactWriter {
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
pub struct ArtifactReader(crate::ArtifactReader);

impl ArtifactReader {
    /// The info of the whole artifact, also if only a range is read.
    #[must_use]
    pub fn info(&self) -> &Info {
        self.0.info()
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
