//! The same store for code without an executor. Each call runs on the calling thread. It also works
//! inside a tokio runtime, where it blocks the thread like any file operation.
//!
//! If the system does not answer, for example because a file server is gone, the call holds its
//! thread beyond every deadline: a thread cannot be taken out of a system call. The async store
//! gives such a call up.

mod transfer;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backend::create_dir;
use crate::budget::{Together, on_this_thread};
use crate::chunk::CHUNK;
use crate::error::{ErrorKind, Operation, Result};
use crate::serving::{RunBy, Running, Serving};
use crate::verbs::{self, Pages};
use crate::{
    Backend, Entry, Finding, Info, Interface, ListOptions, ListPage, LoadedBackend, Mode,
    ReadOptions, SwapOptions, Swept, WriteOptions,
};

pub use transfer::{ArtifactReader, ArtifactWriter};

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
    pub(crate) fn serve(backend: LoadedBackend) -> Self {
        Self { serving: Serving::new(backend) }
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
        self.serving.loaded()
    }

    /// The store below the outermost layer: see [`crate::ArtifactStore::below`].
    #[must_use]
    pub fn below(&self) -> Option<Self> {
        self.serving.backend().below.clone().map(|serving| Self { serving })
    }

    /// Whether the backend offers this interface; see [`crate::ArtifactStore::offers`].
    #[must_use]
    pub fn offers(&self, interface: Interface) -> bool {
        self.serving.backend().offers(interface)
    }

    /// Stores `data` and replaces an artifact that is there; see [`crate::ArtifactStore::put`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn put(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        self.put_with(key, data, WriteOptions::default())
    }

    /// Stores `data` only if the key has no artifact; see [`crate::ArtifactStore::put_new`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn put_new(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        self.put_with(key, data, WriteOptions::default().create(true))
    }

    /// Stores `data` only if the artifact still has this version; see
    /// [`crate::ArtifactStore::put_if`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn put_if(&self, key: &str, data: impl Into<Bytes>, version: &str) -> Result<Info> {
        self.put_with(key, data, WriteOptions::default().if_version(version))
    }

    /// Stores `data` as `options` say; see [`crate::ArtifactStore::put_with`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn put_with(
        &self,
        key: &str,
        data: impl Into<Bytes>,
        options: WriteOptions,
    ) -> Result<Info> {
        let data = data.into();
        self.now(Operation::Put, key, async move |call| call.put(data, options).await)
    }

    /// Reads the whole artifact; see [`crate::ArtifactStore::get`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn get(&self, key: &str) -> Result<Bytes> {
        self.get_with(key, ReadOptions::default()).map(|(_, data)| data)
    }

    /// Reads a part, and the info of the whole artifact; see [`crate::ArtifactStore::get_with`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn get_with(&self, key: &str, options: ReadOptions) -> Result<(Info, Bytes)> {
        self.now(Operation::Get, key, async move |call| call.get(options).await)
    }

    /// Stores the artifact under another key, too; see [`crate::ArtifactStore::copy`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn copy(&self, source: &str, target: &str) -> Result<Info> {
        self.copy_with(source, target, Mode::Overwrite)
    }

    /// The same as `mode` says; see [`crate::ArtifactStore::copy_with`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn copy_with(&self, source: &str, target: &str, mode: Mode) -> Result<Info> {
        let backend = self.serving.backend();
        on_this_thread(verbs::copy(backend, source, target, mode, RunBy::Caller))
    }

    /// Removes the artifact; see [`crate::ArtifactStore::delete`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.now(Operation::Delete, key, async |call| call.delete().await)
    }

    /// Removes the artifact in this version only; see [`crate::ArtifactStore::delete_if`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn delete_if(&self, key: &str, version: &str) -> Result<()> {
        self.now(Operation::Delete, key, async |call| call.delete_if(version).await)
    }

    /// The artifact's size, checksum and time; see [`crate::ArtifactStore::stat`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn stat(&self, key: &str) -> Result<Info> {
        self.now(Operation::Stat, key, async |call| call.stat().await)
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

    /// One page in the order of the keys; see [`crate::ArtifactStore::list_page`].
    ///
    /// # Errors
    ///
    /// The same errors.
    pub fn list_page(&self, prefix: &str, options: ListOptions) -> Result<ListPage> {
        on_this_thread(verbs::list_page(&self.serving.backend(), prefix, options, RunBy::Caller))
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
        self.now(Operation::Sweep, "", async move |call| call.sweep(older_than).await)
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

    /// One call on this thread, together with those that a layer makes.
    fn now<R>(
        &self,
        operation: Operation,
        key: &str,
        work: impl AsyncFnOnce(Running) -> Result<R>,
    ) -> Result<R> {
        let backend = self.serving.backend();
        let work = pin!(work(Running::new(backend.call(operation, key))));
        match backend.below {
            Some(_) => on_this_thread(Together::new(work)),
            None => on_this_thread(work),
        }
    }
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
