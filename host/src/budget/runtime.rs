//! The small tokio runtime of this process. It drives timers, the sockets of backends and
//! background tasks, on one thread. Blocking work runs on other threads, see [`super::threads`], and
//! calls that wait for sockets alone have a runtime of their own.

use std::future::pending;
use std::io;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::{fork, not_started, pause};
use crate::error::ErrorKind;

/// The most threads of the network's runtime; fewer if the machine has fewer processors.
const NETWORK_THREADS: usize = 4;

static RUNTIME: OnceLock<Handle> = OnceLock::new();

/// The runtime, created at the first use.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the process may have no more threads or open files,
/// [`ErrorKind::Forked`] in a child of a process that had made one.
pub(crate) fn runtime() -> Result<&'static Handle, ErrorKind> {
    static MAKING: Mutex<()> = Mutex::new(());
    once(&RUNTIME, &MAKING, || {
        fork::notice();
        let made = make()?;
        drop(made.spawn(pause::watch_all()));
        Ok(made)
    })
}

/// What this process has once: made at the first use, and again at the next one if that failed.
fn once<T>(
    slot: &'static OnceLock<T>,
    making: &Mutex<()>,
    make: impl FnOnce() -> io::Result<T>,
) -> Result<&'static T, ErrorKind> {
    if fork::is_child() {
        return Err(ErrorKind::Forked);
    }
    if let Some(made) = slot.get() {
        return Ok(made);
    }
    let _alone = making.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = slot.get() {
        return Ok(made);
    }
    let made = make().map_err(no_thread)?;
    Ok(slot.get_or_init(|| made))
}

/// The error if a thread cannot be started.
pub(crate) fn no_thread(error: io::Error) -> ErrorKind {
    not_started("cannot start a thread", &error)
}

/// The runtime of the calls that never block, and of the sockets that these wait for, created at the
/// first use. What passes between a socket and its call then wakes no other thread.
///
/// # Errors
///
/// As [`runtime`].
pub(crate) fn network_runtime() -> Result<&'static Handle, ErrorKind> {
    static NETWORK: OnceLock<Runtime> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    once(&NETWORK, &MAKING, make_network).map(Runtime::handle)
}

fn make_network() -> io::Result<Runtime> {
    let count = thread::available_parallelism().map_or(1, NonZero::get).min(NETWORK_THREADS);
    // tokio panics if it gets fewer.
    have_threads(count + 1)?;
    have_files()?;
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).thread_name("artifact-store-net").enable_all();
    let made = std::panic::catch_unwind(AssertUnwindSafe(|| builder.build()));
    made.map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?
}

fn make() -> io::Result<Handle> {
    // tokio panics if it gets no thread to block on, unless it has one already. A few streams of
    // WASI 0.2 need one. Two are needed here; a thread that is ending may still exist for a moment.
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

/// Makes sure that the process can have as many threads as the compiler needs: otherwise the
/// compiler would panic, now and at every later attempt.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if it cannot.
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

/// Runs this many threads at once, for a moment.
fn have_threads(count: usize) -> io::Result<()> {
    let end = Mutex::new(());
    thread::scope(|scope| {
        // Each waits until all have started.
        let _waiting = end.lock();
        let hold = || drop(end.lock());
        (0..count).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, hold).map(drop))
    })
}

/// Opens as many files as a runtime needs, for a moment: tokio panics if it cannot open some of
/// them.
fn have_files() -> io::Result<()> {
    let pipes: io::Result<Vec<_>> = (0..4).map(|_| io::pipe()).collect();
    pipes.map(drop)
}

/// The runtime, which exists once a store is open.
pub(crate) fn running() -> &'static Handle {
    RUNTIME.get().expect("no store is opened without a runtime")
}

/// A timer of this runtime, whatever executor polls it.
pub(crate) type Timer = Pin<Box<tokio::time::Sleep>>;

pub(crate) fn after(time: Duration) -> Timer {
    let _entered = running().enter();
    Box::pin(tokio::time::sleep(time))
}

/// Runs `future` on the calling thread, which may block: file operations of a backend then need no
/// other thread. It also works inside another runtime, which it blocks.
pub(crate) fn on_this_thread<F: Future>(future: F) -> F::Output {
    // If there can be no runtime, no store is opened, and opening one says why.
    let _entered = runtime().map(Handle::enter);
    pollster::block_on(future)
}

/// Runs `task` in the background.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    running().spawn(task)
}
