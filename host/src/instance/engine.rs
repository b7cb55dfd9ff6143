//! What the whole process shares: one wasmtime engine, and one small tokio runtime that
//! drives timers, the sockets of backends, and the threads on which async calls run.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use wasmtime::{Cache, CacheConfig, Config, Engine};

/// How often running WebAssembly looks at its deadline.
pub(crate) const TICK: Duration = Duration::from_millis(10);

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime of this process, made at the first use.
///
/// # Errors
///
/// When the process may have no more threads or open files.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        // One for each call that runs, of all backends together.
        .max_blocking_threads(4096)
        .thread_name("artifact-store")
        .enable_all()
        .build()?;
    // Where another thread was faster, theirs is as good.
    if let Err(surplus) = RUNTIME.set(made) {
        surplus.shutdown_background();
    }
    runtime()
}

/// The runtime, which is there when a store is open.
pub(super) fn running() -> &'static Runtime {
    runtime().expect("no store is opened without a runtime")
}

/// A timer of this runtime, whichever one polls.
pub(crate) type Timer = Pin<Box<tokio::time::Sleep>>;

pub(crate) fn after(time: Duration) -> Timer {
    let _entered = running().enter();
    Box::pin(tokio::time::sleep(time))
}

/// Runs `future` on the calling thread, which may block: file operations of a backend then
/// need no thread of their own. Inside another runtime this works too, and blocks it.
pub(crate) fn on_this_thread<F: Future>(future: F) -> F::Output {
    // Where there can be none, no store is opened, and that says why.
    let _entered = runtime().map(Runtime::enter);
    pollster::block_on(future)
}

/// Runs `task` beside everything else.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    running().spawn(task)
}

/// The folder of compiled code; none where it is not kept, or before there is an engine.
static CACHE_DIR: OnceLock<PathBuf> = OnceLock::new();

/// Where compiled code is kept: whoever may write there has it run outside of every sandbox. None
/// where it is not kept.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    CACHE_DIR.get().cloned()
}

/// The engine of this process, made at the first use. More than one would keep compiled code
/// and its memory apart for nothing.
///
/// # Errors
///
/// When the machine cannot run compiled WebAssembly at all.
pub(crate) fn engine() -> wasmtime::Result<&'static Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model_async(true);
    // Compiled code is kept in the user's cache folder. Without one every start compiles anew.
    match Cache::new(CacheConfig::new()) {
        Ok(cache) => {
            CACHE_DIR.get_or_init(|| cache.directory().clone());
            config.cache(Some(cache));
        }
        Err(error) => tracing::debug!("compiled code is not cached: {error:#}"),
    }
    let made = Engine::new(&config)?;
    let engine = ENGINE.get_or_init(|| made);
    static TICKER: OnceLock<JoinHandle<()>> = OnceLock::new();
    TICKER.get_or_init(|| {
        running().spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            // Where the machine was too busy to tick, nobody has computed all that time.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                engine.increment_epoch();
            }
        })
    });
    Ok(engine)
}
