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
    ArtifactReader, ArtifactWriter, Audit, Backend, Info, Interface, ListOptions, ListPage,
    Listing, LoadedBackend, Mode, ReadOptions, SwapOptions, Swept, WriteOptions, verbs,
};

/// A store of artifacts, served by a sandboxed backend. Clones share the backend.
///
/// Its futures work on any executor and do not block it: changes of the store, and everything that
/// has to wait for the disk, run on threads of this crate. A [`get`](Self::get),
/// [`stat`](Self::stat) or [`read`](Self::read) of the built-in backend runs on the thread that
/// polls it if all that it needs is in the system's memory and is at most 1 MiB. This takes about
/// 15 µs plus 40 µs per MiB; waking another thread takes 20 µs.
///
/// Dropping a future does not stop a call that has begun: the call finishes by itself, so a dropped
/// `put` or `delete` may still take effect.
///
/// A key has 1 to 1024 bytes of UTF-8 without control characters, and is compared byte for byte.
/// Any other key fails with [`ErrorKind::InvalidKey`] before the backend sees it.
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
    /// [`ErrorKind::Load`] if the directory cannot be created or opened.
    pub async fn open_dir(dir: impl AsRef<Path>) -> Result<Self> {
        Self::make_dir(dir.as_ref()).await?;
        Self::open(Backend::fs(dir)).await
    }

    /// Creates the directory of a store if it is absent, without opening a store: for a backend
    /// that is granted the directory. The directory is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Load`] if it cannot be created.
    pub async fn make_dir(dir: impl AsRef<Path>) -> Result<()> {
        create_dir(dir.as_ref()).await
    }

    /// Loads a backend: its component is compiled (or taken from the cache of compiled code),
    /// checked against the contract, and instantiated once as a test.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Load`] if the component is not a backend, or if a granted directory cannot be
    ///   opened or overlaps another one.
    /// - [`ErrorKind::Trap`] or [`ErrorKind::Timeout`] if the component failed to start.
    /// - [`ErrorKind::Unavailable`] if the process can get no more threads or open files.
    pub async fn open(backend: Backend) -> Result<Self> {
        Ok(Self { serving: Serving::new(backend.load().await?) })
    }

    /// Opens the store `name` as a configuration file describes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], and as [`open`](Self::open).
    #[cfg(feature = "config")]
    pub async fn open_configured(file: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open(crate::config::backend(file.as_ref(), name).await?).await
    }

    /// Opens the store `name` of a configuration file and follows changes until the
    /// [`Watch`](crate::Watch) is dropped. If the configuration of this store is edited or the file
    /// of its component is replaced, the new backend is loaded beside the one that serves, and
    /// [swapped](Self::swap) in after it has passed a trial. Until then, and if the trial fails,
    /// the old backend serves; [`Watch::status`](crate::Watch::status) says why.
    ///
    /// Contents are compared, not times: touching a file changes nothing. The best way to replace a
    /// file is to rename another one over it. A file that is rewritten in place is used once it can
    /// be loaded and no longer changes; only a `digest` in the configuration ensures that it is
    /// complete.
    ///
    /// # Errors
    ///
    /// As [`open_configured`](Self::open_configured). The watch reports later errors.
    #[cfg(feature = "config")]
    pub async fn open_watched(
        file: impl AsRef<Path>,
        name: &str,
        options: SwapOptions,
    ) -> Result<(Self, crate::Watch)> {
        let (serving, watch) = crate::config::open_watched(file.as_ref(), name, options).await?;
        Ok((Self { serving }, watch))
    }

    /// Loads `backend`, as [`open`](Self::open) does, while the present one serves, and then
    /// replaces the present one. Calls of this store and its clones that begin afterwards go to the
    /// new backend. Calls in flight, and open readers, writers and listings, finish with the old
    /// one.
    ///
    /// Returns the backend that served before. It can be [swapped in again](Self::swap_loaded) at
    /// once.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); the present backend then goes on serving.
    pub async fn swap(&self, backend: Backend, options: SwapOptions) -> Result<LoadedBackend> {
        Ok(self.swap_loaded(backend.load_successor().await?, options))
    }

    /// Replaces the present backend by a loaded one, and returns the present one.
    pub fn swap_loaded(&self, backend: LoadedBackend, options: SwapOptions) -> LoadedBackend {
        self.serving.swap(backend, options)
    }

    /// The backend that serves now.
    #[must_use]
    pub fn backend(&self) -> LoadedBackend {
        self.serving.loaded()
    }

    /// The store below the outermost layer, if that is a [component](crate::Layer::Component): it can
    /// be asked, inspected and swapped like any other, while the layer stays. What is stored there
    /// has the keys and the bytes that the layer chose.
    ///
    /// ```no_run
    /// # async fn swap(store: artifact_store::ArtifactStore) -> artifact_store::Result<()> {
    /// use artifact_store::{Backend, SwapOptions};
    ///
    /// if let Some(below) = store.below() {
    ///     below.swap(Backend::from_file("new.wasm"), SwapOptions::default()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn below(&self) -> Option<Self> {
        let serving = self.serving.backend().below.clone()?;
        Some(Self { serving })
    }

    /// Whether the backend that serves now offers this optional interface. If it does not, the
    /// calls that need the interface fail with [`ErrorKind::Unsupported`].
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
        self.serving.backend().offers(interface)
    }

    /// Stores `data` under `key` and replaces an artifact that is there, atomically. When this
    /// returns `Ok`, the artifact is durable and every later call sees it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSpace`], [`ErrorKind::AccessDenied`], [`ErrorKind::Unavailable`] and others,
    /// as the backend reports them: the key keeps its previous artifact. [`ErrorKind::TooLarge`] if
    /// the backend has no streams and `data` exceeds [`Limits::buffer`](crate::Limits::buffer).
    /// After [`ErrorKind::Timeout`] the key may have the old or the new artifact; a retry is safe.
    pub async fn put(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        self.put_with(key, data, WriteOptions::default()).await
    }

    /// Like [`put`](Self::put), but only if `key` has no artifact. Of several concurrent calls
    /// exactly one succeeds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if `key` has an artifact; [`ErrorKind::Unsupported`] if the
    /// backend has no streams; otherwise as [`put`](Self::put).
    pub async fn put_new(&self, key: &str, data: impl Into<Bytes>) -> Result<Info> {
        self.put_with(key, data, WriteOptions::default().create(true)).await
    }

    /// Like [`put`](Self::put), but only if the artifact under `key` still has this
    /// [version](Info::version). Of several concurrent calls with one version at most one succeeds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConditionFailed`] if `key` has another version or no artifact;
    /// [`ErrorKind::Unsupported`] if the backend cannot decide; otherwise as [`put`](Self::put).
    ///
    /// ```no_run
    /// # async fn example(store: artifact_store::ArtifactStore) -> artifact_store::Result<()> {
    /// let info = store.stat("counter").await?;
    /// if let Some(version) = info.version {
    ///     store.put_if("counter", "42", &version).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put_if(&self, key: &str, data: impl Into<Bytes>, version: &str) -> Result<Info> {
        self.put_with(key, data, WriteOptions::default().if_version(version)).await
    }

    /// Like [`put`](Self::put), as `options` say; their `size` is that of `data`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::ConditionFailed`] and [`ErrorKind::Unsupported`]
    /// as for [`put_new`](Self::put_new) and [`put_if`](Self::put_if), and if the backend keeps no
    /// attributes; [`ErrorKind::InvalidAttribute`]; otherwise as [`put`](Self::put).
    pub async fn put_with(
        &self,
        key: &str,
        data: impl Into<Bytes>,
        options: WriteOptions,
    ) -> Result<Info> {
        let data = data.into();
        let call = self.serving.call(Operation::Put, key);
        call.start(RunBy::Worker, move |call| async move { call.put(data, options).await }).await
    }

    /// Reads the whole artifact, and verifies its checksum before returning it. Of an encrypted
    /// artifact each piece is authenticated instead.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::TooLarge`] if the artifact exceeds
    /// [`Limits::buffer`](crate::Limits::buffer), in which case use [`read`](Self::read);
    /// [`ErrorKind::Corrupt`] if the stored bytes differ from those that were put.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        self.get_with(key, ReadOptions::default()).await.map(|(_, data)| data)
    }

    /// Like [`get`](Self::get), but the part that `options` select, and with the info of the whole
    /// artifact. Both are of one generation. A part is not compared with the checksum, which is
    /// that of the whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRange`] if the offset lies beyond the end; [`ErrorKind::TooLarge`] if
    /// the part exceeds [`Limits::buffer`](crate::Limits::buffer); [`ErrorKind::Unavailable`] also
    /// if the last bytes are asked for and the artifact is replaced time and again meanwhile;
    /// otherwise as [`get`](Self::get).
    ///
    /// ```
    /// use artifact_store::{ArtifactStore, ReadOptions};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = ArtifactStore::open_dir(dir.path()).await?;
    /// store.put("digits", "0123456789").await?;
    /// let (info, last) = store.get_with("digits", ReadOptions::default().suffix(3)).await?;
    /// assert_eq!((info.size, last), (10, "789".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn get_with(&self, key: &str, options: ReadOptions) -> Result<(Info, Bytes)> {
        let call = self.serving.call(Operation::Get, key);
        call.start(RunBy::Task, move |call| async move { call.get(options).await }).await
    }

    /// Stores the artifact under `source` under `target`, too, with its attributes, and replaces an
    /// artifact that is there. When this returns `Ok`, the copy is durable and every later call sees
    /// it.
    ///
    /// A backend that offers [`Interface::Copying`] moves the bytes within its storage. Otherwise,
    /// and if the backend cannot copy this artifact, they pass through this process in bounded
    /// memory; if the backend has no streams, up to [`Limits::buffer`](crate::Limits::buffer).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = artifact_store::ArtifactStore::open_dir(dir.path()).await?;
    /// store.put("candidate", "bytes").await?;
    /// store.copy("candidate", "release").await?;
    /// assert_eq!(store.get("release").await?, "bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if `source` has no artifact; [`ErrorKind::Corrupt`] if it is found to
    /// be damaged; otherwise as [`put`](Self::put). The target keeps its previous artifact.
    pub async fn copy(&self, source: &str, target: &str) -> Result<Info> {
        self.copy_with(source, target, Mode::Overwrite).await
    }

    /// Like [`copy`](Self::copy); `mode` decides what happens if `target` has an artifact.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::ConditionFailed`] and [`ErrorKind::Unsupported`]
    /// as for [`put_new`](Self::put_new) and [`put_if`](Self::put_if); otherwise as
    /// [`copy`](Self::copy).
    pub async fn copy_with(&self, source: &str, target: &str, mode: Mode) -> Result<Info> {
        verbs::copy(self.serving.backend(), source, target, mode, RunBy::Worker).await
    }

    /// Removes the artifact, durably. An absent artifact is not an error.
    ///
    /// # Errors
    ///
    /// As the backend reports them; the artifact is then still stored.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let call = self.serving.call(Operation::Delete, key);
        call.start(RunBy::Worker, |call| async move { call.delete().await }).await
    }

    /// Like [`delete`](Self::delete), but only if the artifact under `key` still has this
    /// [version](Info::version). Of such a deletion and a [`put_if`](Self::put_if) of one version at
    /// most one takes effect. An absent artifact is not an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConditionFailed`] if `key` has another version, which then stays;
    /// [`ErrorKind::Unsupported`] if the backend does not offer [`Interface::Conditional`];
    /// otherwise as [`delete`](Self::delete).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = artifact_store::ArtifactStore::open_dir(dir.path()).await?;
    /// let job = store.put_with("job", "to do", Default::default()).await?;
    /// store.put("job", "to do, and more").await?;
    /// let error = store.delete_if("job", &job.version.unwrap()).await.unwrap_err();
    /// assert_eq!(error.kind().name(), "condition-failed");
    /// assert_eq!(store.get("job").await?, "to do, and more");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn delete_if(&self, key: &str, version: &str) -> Result<()> {
        let call = self.serving.call(Operation::Delete, key);
        let version = version.to_owned();
        call.start(RunBy::Worker, move |call| async move { call.delete_if(&version).await }).await
    }

    /// The artifact's size, checksum and time, without its bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Unsupported`] if the backend has no inventory.
    pub async fn stat(&self, key: &str) -> Result<Info> {
        let call = self.serving.call(Operation::Stat, key);
        call.start(RunBy::Task, |call| async move { call.stat().await }).await
    }

    /// All artifacts whose keys begin with the bytes of `prefix`, in the order of the backend. The
    /// prefix is not a path; the empty prefix selects all. An artifact that is stored during the
    /// whole listing appears exactly once. Errors come from [`Listing::next`].
    #[must_use]
    pub fn list(&self, prefix: &str) -> Listing {
        Listing::new(self.serving.backend(), prefix)
    }

    /// One page of what [`list`](Self::list) selects, in the order of the keys' bytes, from any key
    /// on, and folded at a delimiter, as `options` say.
    ///
    /// A page costs what it lists if the backend offers [`Interface::Ordered`], as the built-in one
    /// for directories does. Where it does not, as in a bucket, each page costs a whole listing of
    /// the prefix, of which the first names are kept, in bounded memory.
    ///
    /// # Errors
    ///
    /// As [`Listing::next`], and [`ErrorKind::InvalidKey`] for a prefix with which no key can begin;
    /// [`ErrorKind::Timeout`] if a listing that has to be sorted takes the backend longer than 20
    /// times [`Limits::call_timeout`](crate::Limits::call_timeout).
    ///
    /// ```
    /// use artifact_store::{ArtifactStore, ListOptions};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// let store = ArtifactStore::open_dir(dir.path()).await?;
    /// for key in ["builds/1/log", "builds/1/out", "builds/2/out", "builds/latest"] {
    ///     store.put(key, "").await?;
    /// }
    /// let options = ListOptions::default().delimiter("/".to_owned());
    /// let page = store.list_page("builds/", options).await?;
    /// assert_eq!(page.prefixes, ["builds/1/", "builds/2/"]);
    /// assert_eq!(page.entries[0].key, "builds/latest");
    /// assert_eq!(page.next, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn list_page(&self, prefix: &str, options: ListOptions) -> Result<ListPage> {
        verbs::list_page(&self.serving.backend(), prefix, options, RunBy::Worker).await
    }

    /// Everything in the store that is not a sound artifact, as far as the backend can tell without
    /// reading all payloads. Errors come from [`Audit::next`].
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::new(self.serving.backend())
    }

    /// Removes what crashed writers have left, if it was last written to at least `older_than` ago
    /// (whole seconds). It removes nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the backend has no `maintenance`; [`ErrorKind::AccessDenied`]
    /// if the store is read-only. Some may have been removed before the error.
    pub async fn sweep(&self, older_than: Duration) -> Result<Swept> {
        let call = self.serving.call(Operation::Sweep, "");
        call.start(RunBy::Worker, move |call| async move { call.sweep(older_than).await }).await
    }

    /// Stores all that `reader` yields, in bounded memory. If it fails, nothing is stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the reader fails; otherwise as [`put`](Self::put) and
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

    /// A writer whose [`commit`](ArtifactWriter::commit) stores the bytes that were written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] and [`ErrorKind::InvalidAttribute`], and [`ErrorKind::Unsupported`] as
    /// for [`put_new`](Self::put_new). All other errors come from the writer.
    pub fn writer(&self, key: &str, options: WriteOptions) -> Result<ArtifactWriter> {
        ArtifactWriter::new(self.serving.backend(), key, options, RunBy::Worker)
    }

    /// Begins to read an artifact, or the part of it that `options` selects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::InvalidRange`] if the offset lies beyond the end;
    /// [`ErrorKind::TooLarge`] if the backend has no streams and the artifact exceeds
    /// [`Limits::buffer`](crate::Limits::buffer). Other errors come from the reader.
    pub async fn read(&self, key: &str, options: ReadOptions) -> Result<ArtifactReader> {
        ArtifactReader::open(self.serving.backend(), key, options, RunBy::Task).await
    }
}
