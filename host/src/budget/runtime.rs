//! The small tokio runtime of this process: it drives timers, the sockets of backends and what is
//! done in the background, on one thread. What blocks is done on others, see [`super::threads`].

use std::future::pending;
use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::{fork, not_started, pause};
use crate::error::ErrorKind;

static RUNTIME: OnceLock<Handle> = OnceLock::new();

/// The runtime, made at the first use.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] where the process may have no more threads or open files,
/// [`ErrorKind::Forked`] in a child of a process that had made one.
pub(crate) fn runtime() -> Result<&'static Handle, ErrorKind> {
    static MAKING: Mutex<()> = Mutex::new(());
    if fork::is_child() {
        return Err(ErrorKind::Forked);
    }
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if RUNTIME.get().is_none() {
        fork::notice();
        let made = make().map_err(no_thread)?;
        drop(made.spawn(pause::watch_all()));
        let _ = RUNTIME.set(made);
    }
    Ok(running())
}

/// A thread that cannot be had.
pub(crate) fn no_thread(error: io::Error) -> ErrorKind {
    not_started("cannot start a thread", &error)
}

fn make() -> io::Result<Handle> {
    // tokio panics where it finds no thread to block on, unless it has one already. A few streams of
    // WASI 0.2 ask it for one. Two are needed here; of those that end one may be there for a moment.
    have_threads(3)?;
    have_files()?;
    let runtime = Builder::new_current_thread()
        .thread_name("artifact-store-io")
        .thread_keep_alive(Duration::MAX)
        .enable_all()
        .build()?;
    let kept = std::panic::catch_unwind(|| drop(runtime.spawn_blocking(|| ())));
    kept.map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
    let handle = runtime.handle().clone();
    drive(runtime)?;
    Ok(handle)
}

fn drive(runtime: Runtime) -> io::Result<()> {
    let driver = thread::Builder::new().name("artifact-store-timer".into());
    driver.spawn(move || runtime.block_on(pending::<()>())).map(drop)
}

/// Makes sure that there are as many threads as the compiler takes, which would panic without them and
/// then do so for ever.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`].
pub(crate) fn have_threads_to_compile() -> Result<(), ErrorKind> {
    static THEY_ARE_THERE: AtomicBool = AtomicBool::new(false);
    if THEY_ARE_THERE.load(Ordering::Relaxed) {
        return Ok(());
    }
    // One for each processor, and one for the cache of compiled code.
    let count = 1 + thread::available_parallelism().map_or(1, NonZero::get);
    have_threads(count).map_err(no_thread)?;
    THEY_ARE_THERE.store(true, Ordering::Relaxed);
    Ok(())
}

/// Has so many at once, for a moment.
fn have_threads(count: usize) -> io::Result<()> {
    let end = Mutex::new(());
    thread::scope(|scope| {
        // Each is there until all are.
        let _waiting = end.lock();
        let hold = || drop(end.lock());
        (0..count).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, hold).map(drop))
    })
}

/// Has as many more files open as a runtime takes, for a moment: tokio panics where some of them
/// cannot be had.
fn have_files() -> io::Result<()> {
    let pipes: io::Result<Vec<_>> = (0..4).map(|_| io::pipe()).collect();
    pipes.map(drop)
}

/// The runtime, which is there when a store is open.
pub(crate) fn running() -> &'static Handle {
    RUNTIME.get().expect("no store is opened without a runtime")
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
    let _entered = runtime().map(Handle::enter);
    pollster::block_on(future)
}

/// Runs `task` beside everything else.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    running().spawn(task)
}
