use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::backend::{Loaded, Pages, create_dir};
use crate::error::{ErrorKind, Operation, Result};
use crate::swap::Serving;
use crate::transfer::{CHUNK, Place};
use crate::{
    ArtifactReader, ArtifactWriter, Audit, Backend, Entry, Info, LoadedBackend, ReadOptions,
    SwapOptions, Swept, WriteOptions,
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
    /// [put back](Self::put_back) at once.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); then nothing has changed.
    pub async fn swap(&self, backend: Backend, options: SwapOptions) -> Result<LoadedBackend> {
        Ok(self.put_back(backend.load_successor().await?, options))
    }

    /// Puts a loaded backend in the place of the present one, which is returned.
    pub fn put_back(&self, backend: LoadedBackend, options: SwapOptions) -> LoadedBackend {
        self.serving.exchange(backend, options)
    }

    /// The backend that serves now.
    #[must_use]
    pub fn backend(&self) -> LoadedBackend {
        LoadedBackend(self.serving.backend())
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
        let call = self.serving.begin(Operation::Put, key);
        call.on_worker(async move |call| call.put(data, false).await).await
    }

    /// Like [`put`](Self::put), but only if there is no artifact under `key`; of several at
    /// once exactly one succeeds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where there is one; [`ErrorKind::Unsupported`] where the
    /// backend has no streams; else as [`put`](Self::put).
    pub async fn create(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        let data = data.into();
        let call = self.serving.begin(Operation::Put, key);
        call.on_worker(async move |call| call.put(data, true).await).await
    }

    /// The whole artifact, compared with its checksum before it is returned.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::TooLarge`] above
    /// [`Limits::buffer`](crate::Limits::buffer), see [`read`](Self::read) for those;
    /// [`ErrorKind::Corrupt`] where the stored bytes are not the ones that were put.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        let call = self.serving.begin(Operation::Get, key);
        call.outcome(|call| async move { call.get().await }).await
    }

    /// Removes the artifact, durably. It is fine if there is none.
    ///
    /// # Errors
    ///
    /// As the backend reports them; the artifact is then still there.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let call = self.serving.begin(Operation::Delete, key);
        call.on_worker(async |call| call.delete().await).await
    }

    /// The artifact's size, checksum and time, without its bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Unsupported`] where the backend has no inventory.
    pub async fn stat(&self, key: &str) -> Result<Info> {
        let call = self.serving.begin(Operation::Stat, key);
        call.outcome(|call| async move { call.stat().await }).await
    }

    /// All artifacts whose keys begin with the bytes of `prefix` (which is no path; the empty
    /// one takes all), in the backend's own order. An artifact that is there throughout comes
    /// exactly once. Errors come from [`Listing::next`].
    #[must_use]
    pub fn list(&self, prefix: &str) -> Listing {
        Listing { backend: self.serving.backend(), prefix: prefix.to_owned(), pages: Pages::new() }
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
        let call = self.serving.begin(Operation::Sweep, "");
        call.on_worker(async move |call| call.sweep(older_than).await).await
    }

    /// Stores all that `reader` yields, in bounded memory. Nothing is stored if it fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where the reader fails; else as [`put`](Self::put) and
    /// [`create`](Self::create).
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
    /// [`ErrorKind::InvalidKey`], and [`ErrorKind::Unsupported`] as for [`create`](Self::create);
    /// all others come with the bytes.
    pub fn writer(&self, key: &str, options: WriteOptions) -> Result<ArtifactWriter> {
        ArtifactWriter::new(self.serving.backend(), key, options, Place::Worker)
    }

    /// Begins to read an artifact, or the part of it that `options` name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::InvalidRange`] where the offset lies beyond the
    /// end; [`ErrorKind::TooLarge`] where the backend has no streams and the artifact exceeds
    /// [`Limits::buffer`](crate::Limits::buffer). Others come from the reader.
    pub async fn read(&self, key: &str, options: ReadOptions) -> Result<ArtifactReader> {
        ArtifactReader::open(self.serving.backend(), key, options, Place::Worker).await
    }
}

/// The entries of a listing, fetched page by page. Made by [`ArtifactStore::list`].
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let store = artifact_store::ArtifactStore::open_dir(dir.path()).await?;
/// store.put("a/1", "x").await?;
/// store.put("b/1", "y").await?;
/// let mut listing = store.list("a/");
/// while let Some(entry) = listing.next().await? {
///     assert_eq!((entry.key.as_str(), entry.size), ("a/1", 1));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Listing {
    backend: Arc<Loaded>,
    prefix: String,
    pages: Pages<Entry>,
}

impl Listing {
    /// The next entry; none at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the backend has no inventory, [`ErrorKind::Protocol`]
    /// where it lists what it was not asked for. The listing goes on behind a failed page's
    /// start when it is asked again.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.pages.take() {
                return Ok(Some(entry));
            }
            let Some(cursor) = self.pages.rest() else { return Ok(None) };
            let call = self.backend.begin(Operation::List, &self.prefix);
            self.pages.add(call.on_worker(async move |call| call.list(cursor).await).await?);
        }
    }
}
