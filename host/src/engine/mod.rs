//! What the backends of a process share: wasmtime's engine, the cache of compiled code, and the way
//! in which components are compiled. Every component is loaded through this module.

mod cache;
mod child;
mod compile;
mod instances;
mod profile;
mod structure;
mod work;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

pub use cache::Cache;
use cache::Entries;
pub use compile::Compile;
pub(crate) use compile::Source;

use crate::budget::{Threads, make_do, refused, spawn};
use crate::error::LoadError;
use crate::limits::LoadLimits;

/// How often running WebAssembly checks its deadline.
pub(crate) const TICK: Duration = Duration::from_millis(10);

static OF_PROCESS: OnceLock<Engine> = OnceLock::new();

/// What backends share: the engine that runs them, the [cache](Cache) of compiled code, and the
/// [way](Compile) in which components are compiled. A clone is the same engine.
///
/// An application that uses wasmtime itself keeps its own engine beside this one; a
/// `wasmtime::Config` is not accepted. The time limits need epochs that advance every 10 ms and
/// that nothing else advances. An entry of the cache, and the output of a compiler process, are
/// valid only for an engine with exactly the settings of this library.
///
/// A backend without an engine uses that of the process, which is built with the default settings
/// at its first use.
///
/// ```
/// use artifact_store::{Backend, Cache, Engine, blocking::ArtifactStore};
///
/// # let dir = tempfile::tempdir()?;
/// let engine = Engine::builder().cache(Cache::Off).build()?;
/// let store = ArtifactStore::open(Backend::fs(dir.path()).engine(&engine))?;
/// store.put("k", "v")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    settings: Settings,
    wasmtime: wasmtime::Engine,
    /// A digest of everything that its code depends on.
    key: [u8; 32],
    /// Opened when something is compiled: its folder is created if it is absent, and may be on a
    /// disk that does not answer.
    entries: OnceLock<Option<Entries>>,
    is_ticking: AtomicBool,
    threads: Threads,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    cache: Cache,
    compile: Compile,
    protected: BTreeSet<PathBuf>,
    /// `None` is those of the process.
    threads: Option<u64>,
}

impl Engine {
    /// Settings to build an engine from.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Lets this program serve as the process that compiles components. Call it in the first line
    /// of `main`.
    ///
    /// Components that are not built in are then compiled in a separate process, within
    /// [`LoadLimits::time`] and [`LoadLimits::memory`]. That process is this program, started with
    /// an argument of this library; in it this function compiles and does not return, so code of
    /// `main` before it should have no effects. In every other process it returns at once.
    ///
    /// ```
    /// artifact_store::Engine::compile_in_child();
    /// // All else of `main`.
    /// ```
    pub fn compile_in_child() {
        child::enable();
    }

    /// Makes this the engine of the process, which all backends without an engine use.
    ///
    /// # Errors
    ///
    /// Returns the engine if the process already has one: by this function, or because a backend
    /// without an engine was loaded.
    ///
    /// ```
    /// use artifact_store::{Cache, Engine};
    ///
    /// let engine = Engine::builder().cache(Cache::Off).build()?;
    /// engine.use_by_default().expect("nothing was loaded yet");
    /// # Ok::<(), artifact_store::LoadError>(())
    /// ```
    pub fn use_by_default(self) -> Result<(), Self> {
        OF_PROCESS.set(self)
    }

    /// The engine of the process, for backends without one.
    pub(crate) fn of_process() -> Result<Self, LoadError> {
        if let Some(engine) = OF_PROCESS.get() {
            return Ok(engine.clone());
        }
        let made = Self::builder().build()?;
        Ok(OF_PROCESS.get_or_init(|| made).clone())
    }

    /// Where the calls of its stores may block.
    pub(crate) fn threads(&self) -> Threads {
        self.0.threads.clone()
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    /// The folder of the cache. A process that can write there runs code as this user, so no
    /// backend should be granted the folder. This also holds if the cache is off or not used, since
    /// another process of this user may use it. `None` if the user has no cache folder.
    #[must_use]
    pub fn cache_dir(&self) -> Option<PathBuf> {
        self.0.settings.cache.folder()
    }

    /// The places that a foreign backend must not write.
    pub(crate) fn relied_on(&self) -> Vec<ReliedOn> {
        // Other programs of this user use the default ones.
        let caches: BTreeSet<_> = self.cache_dir().into_iter().chain(cache::defaults()).collect();
        let protected = self.0.settings.protected.iter().cloned().map(ReliedOn::Protected);
        let caches = caches.into_iter().map(ReliedOn::Cache);
        // These variables are interpreted as the library that reads the system's certificates does.
        let variables: &[&str] =
            if cfg!(feature = "network") { &["SSL_CERT_FILE", "SSL_CERT_DIR"] } else { &[] };
        let authorities = variables.iter().filter_map(std::env::var_os);
        let authorities = authorities.flat_map(|paths| -> Vec<_> {
            std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect()
        });
        let authorities = authorities.map(ReliedOn::Authority);
        caches.chain(authorities).chain(protected).collect()
    }

    /// Advances the clock of running calls. A runtime must exist.
    pub(crate) fn tick(&self) {
        if self.0.is_ticking.swap(true, Ordering::Relaxed) {
            return;
        }
        let engine = self.wasmtime().weak();
        drop(spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            // If the machine was too busy to tick, no call has computed all that time.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // When the engine is gone, no call runs any more.
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                interval.tick().await;
            }
        }));
    }

    fn key(&self) -> [u8; 32] {
        self.0.key
    }

    fn entries(&self) -> Option<&Entries> {
        self.0.entries.get_or_init(|| Entries::open(&self.0.settings.cache)).as_ref()
    }

    fn compiles_in_child(&self) -> bool {
        match self.0.settings.compile {
            Compile::Auto => child::is_enabled(),
            Compile::ChildProcess => true,
            Compile::InProcess => false,
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { cache, compile, protected, threads } = &self.0.settings;
        let mut engine = f.debug_struct("Engine");
        engine.field("cache", cache).field("compile", compile);
        engine.field("protected", protected).field("threads", threads).finish()
    }
}

/// Clones are equal, and so are engines that were built with the same settings.
impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        self.0.settings == other.0.settings
    }
}

impl Eq for Engine {}

/// The settings of an [`Engine`]. Made by [`Engine::builder`].
///
/// ```
/// use artifact_store::{Cache, Compile, Engine};
///
/// let engine = Engine::builder().cache(Cache::Off).compile(Compile::InProcess).build()?;
/// # let _ = engine;
/// # Ok::<(), artifact_store::LoadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineBuilder(Settings);

impl EngineBuilder {
    /// Where compiled code is kept for the next start. Default: [`Cache::Default`].
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.0.cache = cache;
        self
    }

    /// Protects a file or directory, and everything below it, from backends that are not built in:
    /// other things that this program relies on, or a cache that another program uses. Granting
    /// them a directory that contains it or lies in it is a [`LoadError::Overlap`].
    #[must_use]
    pub fn protect(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.protected.insert(path.into());
        self
    }

    /// Where components are compiled. Default: [`Compile::Auto`].
    #[must_use]
    pub fn compile(mut self, compile: Compile) -> Self {
        self.0.compile = compile;
        self
    }

    /// How many calls of all stores of this engine may run on threads of their own at once. Further
    /// calls wait, and fail with [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) after
    /// [`Limits::turn_timeout`](crate::Limits::turn_timeout). A transfer has its thread until it
    /// ends, also while its caller pauses, so copying between two stores of this engine takes two.
    /// 0 counts as 1. Threads are started as they are needed.
    ///
    /// The blocking API runs calls on the caller's thread, which does not count; nor do the calls of
    /// the built-in S3 backend, which wait for sockets alone and share at most four threads of the
    /// process. By default, all engines without this setting share 4096 threads. One more thread of
    /// the process drives timers and the sockets of other backends.
    ///
    /// ```
    /// use artifact_store::Engine;
    ///
    /// let engine = Engine::builder().threads(64).build()?;
    /// # let _ = engine;
    /// # Ok::<(), artifact_store::LoadError>(())
    /// ```
    #[must_use]
    pub fn threads(mut self, most: u64) -> Self {
        self.0.threads = Some(most);
        self
    }

    /// Builds the engine. If an engine with the same settings is in use, this returns it, since a
    /// second one would only use more memory.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`] if the machine cannot run compiled WebAssembly, or if the program
    /// cannot compile in a separate process and [has to](Compile::ChildProcess).
    pub fn build(self) -> Result<Engine, LoadError> {
        static IN_USE: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
        let Self(mut settings) = self;
        if let Cache::Dir(folder) = &mut settings.cache {
            *folder = absolute(folder)?;
        }
        settings.protected =
            settings.protected.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
        if settings.compile == Compile::ChildProcess && !child::is_enabled() {
            let why = "`Engine::compile_in_child` was not called at the start of the program";
            return Err(LoadError::Engine(why.into()));
        }
        let mut in_use = IN_USE.lock().unwrap_or_else(|e| e.into_inner());
        in_use.retain(|engine| engine.strong_count() > 0);
        let same = in_use.iter().filter_map(Weak::upgrade).find(|it| it.settings == settings);
        if let Some(engine) = same {
            return Ok(Engine(engine));
        }
        let wasmtime =
            wasmtime().map_err(|e| refused(&e).unwrap_or_else(|| LoadError::Engine(e.into())))?;
        let key = key(&wasmtime);
        let entries = OnceLock::new();
        let is_ticking = AtomicBool::new(false);
        let threads = settings.threads.map_or_else(Threads::default, Threads::new);
        let engine = Arc::new(Shared { settings, wasmtime, key, entries, is_ticking, threads });
        in_use.push(Arc::downgrade(&engine));
        Ok(Engine(engine))
    }
}

/// Something that the host relies on.
pub(crate) enum ReliedOn {
    /// A folder of compiled code, which is run unchanged.
    Cache(PathBuf),
    /// A source of trusted certificates, besides those of the grants.
    Authority(PathBuf),
    Protected(PathBuf),
}

fn absolute(path: &Path) -> Result<PathBuf, LoadError> {
    std::path::absolute(path).map_err(|error| LoadError::Engine(error.into()))
}

/// Whether the contents of the component are within these limits. Call it before any code that
/// recurses or computes sees the component.
pub(crate) fn check(bytes: &[u8], limits: &LoadLimits) -> Result<(), LoadError> {
    structure::profile(bytes, limits).map(drop)
}

/// wasmtime's engine, the same in each process of this program.
fn wasmtime() -> wasmtime::Result<wasmtime::Engine> {
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model_async(true);
    make_do(&mut config);
    wasmtime::Engine::new(&config)
}

/// A digest of everything that the engine's code depends on: the version of wasmtime, the
/// processor, the settings of the compiler.
fn key(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut digest = Digesting(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut digest);
    digest.0.finalize().into()
}

/// Digests what is hashed, with the same result in each process.
struct Digesting(Sha256);

impl Hasher for Digesting {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
