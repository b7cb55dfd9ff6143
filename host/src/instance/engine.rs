//! What the whole process shares: one wasmtime engine, and one small tokio runtime that
//! drives timers, the sockets of backends, and the threads on which async calls run.

use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use wasmtime::{Cache, CacheConfig, Config, Engine};

use super::Deadline;
use crate::error::ErrorKind;

/// How often running WebAssembly looks at its deadline.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// How long after its deadline a call that does not end is left to itself. All that is not stuck in
/// the system ends much sooner.
const GRACE: Duration = Duration::from_secs(1);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
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

/// Runs `work` on a thread that may block, whatever executor the caller uses. It runs to its
/// end even where nobody waits for it any more.
pub(crate) fn on_worker<R: Send + 'static>(
    deadline: Arc<Deadline>,
    work: impl AsyncFnOnce() -> R + Send + 'static,
) -> Worker<R> {
    let work = RUNTIME.spawn_blocking(move || pollster::block_on(work()));
    let overdue = async move {
        loop {
            deadline.over().await;
            tokio::time::sleep(GRACE).await;
            // Bytes may have moved again.
            if deadline.is_over() {
                return deadline.failure();
            }
        }
    };
    Worker { work, overdue: Box::pin(overdue) }
}

/// Runs `task` beside everything else.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    RUNTIME.spawn(task)
}

/// Resolves to what the work on another thread returned, or to an error where it panicked. Where
/// that thread hangs in the system, so that it cannot see its deadline, it is left to itself.
pub(crate) struct Worker<R> {
    work: JoinHandle<R>,
    overdue: Pin<Box<dyn Future<Output = ErrorKind> + Send + Sync>>,
}

impl<R> Future for Worker<R> {
    type Output = Result<R, ErrorKind>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = Pin::new(&mut self.work).poll(cx) {
            return Poll::Ready(done.map_err(|panic| ErrorKind::Trap(panic.into())));
        }
        // The timer belongs to this runtime, whichever one polls.
        let _entered = RUNTIME.enter();
        self.overdue.as_mut().poll(cx).map(Err)
    }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_that_hangs_in_the_system_is_left_to_itself() {
        let deadline = Arc::new(Deadline::new(Duration::from_millis(10), Arc::default()));
        let begun = Instant::now();
        let hanging = on_worker(deadline, async || std::thread::sleep(Duration::from_secs(60)));
        let outcome = pollster::block_on(hanging);
        assert!(matches!(outcome, Err(ErrorKind::Timeout(_))), "{outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(50));
        // At its end a process waits for no such thread.
    }
}
