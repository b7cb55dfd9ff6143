use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::backend::create_dir;
use crate::chunk::CHUNK;
use crate::error::{ErrorKind, Operation, Result};
use crate::serving::{RunBy, Serving};
use crate::{
    ArtifactReader, ArtifactWriter, Audit, Backend, Info, Interface, Listing, LoadedBackend,
    ReadOptions, SwapOptions, Swept, WriteOptions,
};

/// A store of artifacts, served by a sandboxed backend. Clones share the backend.
///
/// Its futures work on any executor, and do not block it: what changes a store, and what has to
/// wait for the disk, is done on threads of this crate's own. A [`get`](Self::get),
/// [`stat`](Self::stat) or [`read`](Self::read) of the built-in backend that finds all it needs in
/// the system's memory, and no more than 1 MiB, is done by whoever polls it: that takes some 15 µs,
/// and 40 more for each MiB. To wake another thread takes 20 µs.
///
/// A dropped future does not stop a call that has begun: it ends by itself, so that a dropped
/// `put` or `delete` may still take effect.
///
/// Keys have 1 to 1024 bytes of UTF-8 and no control characters, and are compared byte for
/// byte; any other fails with [`ErrorKind::InvalidKey`] before the backend sees it.
///
/// ```
/// use artifact_store::ArtifactStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let store = ArtifactStore::open_dir(dir.path()).await?;
/// store.put("builds/app-1.2", "bytes").await?;
/// assert_eq!(store.get("builds/app-1.2").await?, "bytes");
/// store.delete("builds/app-1.2").await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ArtifactStore {
    pub(crate) serving: Arc<Serving>,
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactStore").field("backend", &self.backend()).finish()
    }
}

impl ArtifactStore {
    /// Opens the built-in filesystem backend on `dir`, which is created if it is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`] where the directory cannot be created or opened.
    pub async fn open_dir(dir: impl AsRef<Path>) -> Result<Self> {
        Self::make_dir(dir.as_ref()).await?;
        Self::open(Backend::fs(dir)).await
    }

    /// Makes a directory for a store, where it is absent, and opens none: for a backend that is
    /// granted it. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`] where it cannot be created.
    pub async fn make_dir(dir: impl AsRef<Path>) -> Result<()> {
        create_dir(dir.as_ref()).await
    }

    /// Loads a backend: its component is compiled (or taken from the cache of compiled code),
    /// checked against the contract, and instantiated once to see that it can be.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`] says why the component is no backend, or which granted directory
    /// cannot be opened, or is too near to another one; [`ErrorKind::Trap`] and [`ErrorKind::Timeout`] how it failed to start;
    /// [`ErrorKind::Unavailable`] that the process may have no more threads or open files.
    pub async fn open(backend: Backend) -> Result<Self> {
        Ok(Self { serving: Serving::new(backend.load().await?) })
    }

    /// Opens the store `name` of a configuration file, as that says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], and as [`open`](Self::open).
    #[cfg(feature = "config")]
    pub async fn open_configured(file: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open(crate::config::backend(file.as_ref(), name).await?).await
    }

    /// Opens the store `name` of a configuration file, and keeps it in step with that until the
    /// [`Watch`](crate::Watch) is dropped: where the configuration of this store is edited, or
    /// the component's file is replaced, the new backend is loaded beside the one that serves,
    /// and [swapped](Self::swap) in when it has proved itself. Until then, and where it does
    /// not, the old one serves; [`Watch::status`](crate::Watch::status) says why.
    ///
    /// Contents are compared, not times: what was only touched changes nothing. A file is best
    /// replaced by renaming another one over it. One that is rewritten in place is taken when it
    /// can be loaded and has come to rest; only a `digest` in the configuration tells for sure that
    /// it is whole.
    ///
    /// # Errors
    ///
    /// As [`open_configured`](Self::open_configured); what is wrong later comes from the watch.
    #[cfg(feature = "config")]
    pub async fn open_watched(
        file: impl AsRef<Path>,
        name: &str,
        options: SwapOptions,
    ) -> Result<(Self, crate::Watch)> {
        let (serving, watch) = crate::config::open_watched(file.as_ref(), name, options).await?;
        Ok((Self { serving }, watch))
    }

    /// Loads `backend`, as [`open`](Self::open) does, while the present one goes on to serve, and
    /// puts it in its place: calls that begin afterwards, on this store and all its clones, are
    /// its own, and those in flight finish with the old one. So do readers, writers and listings
    /// that are open.
    ///
    /// What it returns is the backend that served before, which can be
    /// [swapped in again](Self::swap_loaded) at once.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); then nothing has changed.
    pub async fn swap(&self, backend: Backend, options: SwapOptions) -> Result<LoadedBackend> {
        Ok(self.swap_loaded(backend.load_successor().await?, options))
    }

    /// Puts a loaded backend in the place of the present one, which is returned.
    pub fn swap_loaded(&self, backend: LoadedBackend, options: SwapOptions) -> LoadedBackend {
        self.serving.swap(backend, options)
    }

    /// The backend that serves now.
    #[must_use]
    pub fn backend(&self) -> LoadedBackend {
        LoadedBackend(self.serving.backend())
    }

    /// Whether the backend that serves now offers this optional interface. Where it does not, the
    /// calls that need it fail with [`ErrorKind::Unsupported`].
    ///
    /// ```
    /// use artifact_store::{Interface, blocking::ArtifactStore};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let store = ArtifactStore::open_dir(dir.path())?;
    /// assert!(store.offers(Interface::Inventory));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn offers(&self, interface: Interface) -> bool {
        self.serving.backend().pool.offers(interface)
    }

    /// Stores `data` under `key` and replaces what was there, atomically. When this returns
    /// ok it is durable and every later call sees it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSpace`], [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`] and
    /// others as the backend reports them: what was there before is still there.
    /// [`ErrorKind::TooLarge`] where the backend has no streams and `data` exceeds
    /// [`Limits::buffer`](crate::Limits::buffer). After [`ErrorKind::Timeout`] it is unknown
    /// whether the old or the new artifact is there; a retry is safe.
    pub async fn put(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        let data = data.into();
        let call = self.serving.call(Operation::Put, key);
        call.start(RunBy::Worker, move |call| async move { call.put(data, false).await }).await
    }

    /// Like [`put`](Self::put), but only if there is no artifact under `key`; of several at
    /// once exactly one succeeds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where there is one; [`ErrorKind::Unsupported`] where the
    /// backend has no streams; else as [`put`](Self::put).
    pub async fn put_new(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        let data = data.into();
        let call = self.serving.call(Operation::Put, key);
        call.start(RunBy::Worker, move |call| async move { call.put(data, true).await }).await
    }

    /// The whole artifact, compared with its checksum before it is returned.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::TooLarge`] above
    /// [`Limits::buffer`](crate::Limits::buffer), see [`read`](Self::read) for those;
    /// [`ErrorKind::Corrupt`] where the stored bytes are not the ones that were put.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        let call = self.serving.call(Operation::Get, key);
        call.start(RunBy::Task, |call| async move { call.get().await }).await
    }

    /// Removes the artifact, durably. It is fine if there is none.
    ///
    /// # Errors
    ///
    /// As the backend reports them; the artifact is then still there.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let call = self.serving.call(Operation::Delete, key);
        call.start(RunBy::Worker, |call| async move { call.delete().await }).await
    }

    /// The artifact's size, checksum and time, without its bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Unsupported`] where the backend has no inventory.
    pub async fn stat(&self, key: &str) -> Result<Info> {
        let call = self.serving.call(Operation::Stat, key);
        call.start(RunBy::Task, |call| async move { call.stat().await }).await
    }

    /// All artifacts whose keys begin with the bytes of `prefix` (which is no path; the empty
    /// one takes all), in the backend's own order. An artifact that is there throughout comes
    /// exactly once. Errors come from [`Listing::next`].
    #[must_use]
    pub fn list(&self, prefix: &str) -> Listing {
        Listing::new(self.serving.backend(), prefix)
    }

    /// Everything in the store that is no sound artifact, as the backend sees it without
    /// reading all payloads. Errors come from [`Audit::next`].
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::new(self.serving.backend())
    }

    /// Removes what crashed writers left behind, where nobody has written to it for
    /// `older_than`, in whole seconds. It touches nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the backend has no `maintenance`;
    /// [`ErrorKind::AccessDenied`] where the store is read-only. Some may be removed by then.
    pub async fn sweep(&self, older_than: Duration) -> Result<Swept> {
        let call = self.serving.call(Operation::Sweep, "");
        call.start(RunBy::Worker, move |call| async move { call.sweep(older_than).await }).await
    }

    /// Stores all that `reader` yields, in bounded memory. Nothing is stored if it fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where the reader fails; else as [`put`](Self::put) and
    /// [`put_new`](Self::put_new).
    pub async fn write(
        &self,
        key: &str,
        mut reader: impl AsyncRead + Unpin,
        options: WriteOptions,
    ) -> Result<Info> {
        let mut writer = self.writer(key, options)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = match reader.read(&mut buffer).await {
                Ok(0) => return writer.commit().await,
                Ok(read) => read,
                Err(error) => {
                    let error = writer.error(ErrorKind::Io(error));
                    writer.abort().await;
                    return Err(error);
                }
            };
            let written = writer.write_all(&buffer[..read]).await;
            written.map_err(|e| writer.io_error(e))?;
        }
    }

    /// A writer that stores what it is given at its [`commit`](ArtifactWriter::commit).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`], and [`ErrorKind::Unsupported`] as for [`put_new`](Self::put_new);
    /// all others come with the bytes.
    pub fn writer(&self, key: &str, options: WriteOptions) -> Result<ArtifactWriter> {
        ArtifactWriter::new(self.serving.backend(), key, options, RunBy::Worker)
    }

    /// Begins to read an artifact, or the part of it that `options` name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::InvalidRange`] where the offset lies beyond the
    /// end; [`ErrorKind::TooLarge`] where the backend has no streams and the artifact exceeds
    /// [`Limits::buffer`](crate::Limits::buffer). Others come from the reader.
    pub async fn read(&self, key: &str, options: ReadOptions) -> Result<ArtifactReader> {
        ArtifactReader::open(self.serving.backend(), key, options, RunBy::Task).await
    }
}
