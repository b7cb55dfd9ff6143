//! What the whole process shares: one wasmtime engine.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use wasmtime::{Cache, CacheConfig, Config, Engine};

use crate::budget::{make_do, spawn};

/// How often running WebAssembly looks at its deadline.
const TICK: Duration = Duration::from_millis(10);

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
    make_do(&mut config);
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
        spawn(async move {
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
