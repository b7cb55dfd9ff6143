//! What the whole process shares: one small tokio runtime that drives timers, the sockets of
//! backends, and the threads on which async calls run.

use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

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
