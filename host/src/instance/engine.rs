//! What the whole process shares: one wasmtime engine, and one small tokio runtime that
//! drives timers, the sockets of backends, and the threads on which async calls run.

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use wasmtime::{Cache, CacheConfig, Config, Engine};

/// How often running WebAssembly looks at its deadline.
pub(super) const TICK: Duration = Duration::from_millis(10);

pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        // One for each call that runs, of all backends together.
        .max_blocking_threads(4096)
        .thread_name("artifact-store")
        .enable_all()
        .build()
        .expect("the system can start a thread")
});

/// Runs `future` on the calling thread, which may block: file operations of a backend then
/// need no thread of their own. Inside another runtime this works too, and blocks it.
pub(crate) fn on_this_thread<F: Future>(future: F) -> F::Output {
    let _entered = RUNTIME.enter();
    pollster::block_on(future)
}

/// Runs `task` beside everything else.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    RUNTIME.spawn(task)
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
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => tracing::debug!("compiled code is not cached: {error:#}"),
    }
    let made = Engine::new(&config)?;
    let engine = ENGINE.get_or_init(|| made);
    static TICKER: OnceLock<JoinHandle<()>> = OnceLock::new();
    TICKER.get_or_init(|| {
        RUNTIME.spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            loop {
                interval.tick().await;
                engine.increment_epoch();
            }
        })
    });
    Ok(engine)
}
