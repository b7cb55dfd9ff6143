//! What the backends of a process share: wasmtime's engine, the cache of compiled code, and the
//! way in which components are compiled. All that loads a component goes through here.

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

use crate::budget::{make_do, refused, spawn};
use crate::error::LoadError;
use crate::limits::LoadLimits;

/// How often running WebAssembly looks at its deadline.
pub(crate) const TICK: Duration = Duration::from_millis(10);

static OF_PROCESS: OnceLock<Engine> = OnceLock::new();

/// What backends share: the engine that runs them, the [cache](Cache) of compiled code, and the
/// [way](Compile) in which components are compiled. A clone is the same engine.
///
/// An application that uses wasmtime itself keeps its own engine beside this one: a
/// `wasmtime::Config` is not taken. The time limits need epochs that advance every 10 ms and are
/// counted by nobody else, and an entry of the cache, or what a child process has compiled, is
/// only valid for an engine with exactly the settings of this library.
///
/// A backend that names none has that of the process, which is built with the default settings when
/// it is first used.
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
    /// A digest of all that its code depends on.
    key: [u8; 32],
    /// Opened when something is compiled: its folder is made where it is absent, and may be on a disk
    /// that does not answer.
    entries: OnceLock<Option<Entries>>,
    is_ticking: AtomicBool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    cache: Cache,
    compile: Compile,
    protected: BTreeSet<PathBuf>,
}

impl Engine {
    /// Settings to build an engine from.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Lets this program be the process that compiles components: the first line of `main`.
    ///
    /// Components that are not built in are compiled in a process of their own then, within
    /// [`LoadLimits::time`] and [`LoadLimits::memory`]. That process is this program, started anew
    /// with an argument of this library's; in it this function compiles and does not return, so that
    /// nothing of `main` before it should matter. Everywhere else it returns at once.
    ///
    /// ```
    /// artifact_store::Engine::compile_in_child();
    /// // All else of `main`.
    /// ```
    pub fn compile_in_child() {
        child::enable();
    }

    /// Makes this the engine of the process: that of all backends that name none.
    ///
    /// # Errors
    ///
    /// The engine itself, where the process has one already: by this function, or since a backend
    /// was loaded that names none.
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

    /// That of the process, for all who name none.
    pub(crate) fn of_process() -> Result<Self, LoadError> {
        if let Some(engine) = OF_PROCESS.get() {
            return Ok(engine.clone());
        }
        let made = Self::builder().build()?;
        Ok(OF_PROCESS.get_or_init(|| made).clone())
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    /// The folder of the cache. Whoever can write there runs code as this user, so that no backend
    /// should be granted it: also where the cache is off or not used, since another process of this
    /// user may use it. None where the user has no folder for such things.
    #[must_use]
    pub fn cache_dir(&self) -> Option<PathBuf> {
        self.0.settings.cache.folder()
    }

    /// What no foreign backend may write.
    pub(crate) fn relied_on(&self) -> Vec<ReliedOn> {
        // Other programs of this user take the default ones.
        let caches: BTreeSet<_> = self.cache_dir().into_iter().chain(cache::defaults()).collect();
        let protected = self.0.settings.protected.iter().cloned().map(ReliedOn::Protected);
        let caches = caches.into_iter().map(ReliedOn::Cache);
        // As the library that reads the system's certificates understands these.
        let variables: &[&str] =
            if cfg!(feature = "network") { &["SSL_CERT_FILE", "SSL_CERT_DIR"] } else { &[] };
        let authorities = variables.iter().filter_map(std::env::var_os);
        let authorities = authorities.flat_map(|paths| -> Vec<_> {
            std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect()
        });
        let authorities = authorities.map(ReliedOn::Authority);
        caches.chain(authorities).chain(protected).collect()
    }

    /// Lets the time of calls run. There has to be a runtime.
    pub(crate) fn tick(&self) {
        if self.0.is_ticking.swap(true, Ordering::Relaxed) {
            return;
        }
        let engine = self.wasmtime().weak();
        drop(spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            // Where the machine was too busy to tick, nobody has computed all that time.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // Nobody runs any more when the engine is gone.
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
        let Settings { cache, compile, protected } = &self.0.settings;
        let mut engine = f.debug_struct("Engine");
        engine.field("cache", cache).field("compile", compile);
        engine.field("protected", protected).finish()
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

    /// Keeps a file or directory, and all below it, out of what backends may write that are not
    /// built in: what else this program relies on, or a cache that another program uses. To grant
    /// them a directory that holds it, or that lies in it, is a [`LoadError::Overlap`].
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

    /// Builds the engine. One that is in use and has the same settings is that engine, since a
    /// second one would keep its memory apart for nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`] where the machine cannot run compiled WebAssembly, or the program
    /// cannot compile in a process of its own and [has to](Compile::ChildProcess).
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
        let engine = Arc::new(Shared { settings, wasmtime, key, entries, is_ticking });
        in_use.push(Arc::downgrade(&engine));
        Ok(Engine(engine))
    }
}

/// Something that the host relies on.
pub(crate) enum ReliedOn {
    /// A folder of compiled code, which is run as it is.
    Cache(PathBuf),
    /// What certificates are trusted, beside those of the grants.
    Authority(PathBuf),
    Protected(PathBuf),
}

fn absolute(path: &Path) -> Result<PathBuf, LoadError> {
    std::path::absolute(path).map_err(|error| LoadError::Engine(error.into()))
}

/// Whether what is in the component is within these limits. Nothing that recurses or computes has
/// seen it by then.
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

/// A digest of all that the engine's code depends on: the version of wasmtime, the processor, the
/// settings of the compiler.
fn key(engine: &wasmtime::Engine) -> [u8; 32] {
    let mut digest = Digesting(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut digest);
    digest.0.finalize().into()
}

/// All that is hashed, as a digest that is the same in each process.
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
