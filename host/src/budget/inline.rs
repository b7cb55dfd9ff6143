//! A call on its caller's task, as long as it does not have to wait for the disk.
//!
//! Most data is already in the system's memory. Reading it takes less time than waking a thread
//! that may block, so an async call begins on the task of its caller. The system is asked in such a
//! way that it refuses to wait (`RESOLVE_CACHED`, `RWF_NOWAIT`). If it refuses, the call asks for a
//! thread and goes on there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// The most bytes that a call reads on the task, which takes about 50 µs: 1 MiB, the largest
/// header, and one more byte, which shows that there are no more.
const AT_ONCE: usize = (1 << 20) + 4096 + 1;

/// Shared by a call and the host functions that serve it.
#[derive(Default)]
pub(crate) struct Inline {
    state: Mutex<State>,
    /// Bytes that were read on the task.
    read: AtomicUsize,
}

#[derive(Default)]
enum State {
    /// On the caller's task, which may not block.
    #[default]
    Task,
    /// On the task until the requested thread is there.
    Asking(Waker),
    Thread,
}

impl Inline {
    pub(crate) fn is_on_task(&self) -> bool {
        !matches!(*self.state(), State::Thread)
    }

    /// Whether `bytes` more may be read on the caller's task.
    pub(crate) fn may_read(&self, bytes: usize) -> bool {
        let most = AT_ONCE.saturating_sub(self.read.load(Ordering::Relaxed));
        let may = bytes <= most && self.is_on_task();
        if may {
            self.read.fetch_add(bytes, Ordering::Relaxed);
        }
        may
    }

    /// Ready on a thread that may block; on a task it asks for one.
    pub(crate) fn poll_thread(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if let State::Thread = *state {
            return Poll::Ready(());
        }
        *state = State::Asking(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn is_asking(&self) -> bool {
        matches!(*self.state(), State::Asking(_))
    }

    /// The thread is there: from now on the call may block.
    pub(crate) fn go_on(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Thread);
        if let State::Asking(waker) = before {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Whether the filesystem of a directory keeps both promises: to open cached names without waiting,
/// and to report when it would wait for bytes. A file server, or a filesystem in another process,
/// keeps neither.
pub(crate) fn is_possible(dir: &std::fs::File) -> bool {
    kind(dir).is_some_and(|kind| kind == Kind::Disk)
}

/// Whether a call on a directory always comes back: its filesystem has no other process or machine to
/// wait for.
pub(crate) fn is_local(dir: &std::fs::File) -> bool {
    kind(dir).is_some()
}

/// The filesystems that are known well enough.
#[derive(PartialEq, Eq)]
enum Kind {
    Disk,
    Memory,
}

#[cfg(target_os = "linux")]
fn kind(dir: &std::fs::File) -> Option<Kind> {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const TMPFS: u64 = 0x0102_1994;
    match rustix::fs::fstatfs(dir).ok()?.f_type as u64 {
        EXT | XFS | BTRFS => Some(Kind::Disk),
        TMPFS => Some(Kind::Memory),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn kind(_: &std::fs::File) -> Option<Kind> {
    None
}
