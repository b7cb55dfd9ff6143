mod load;

use std::time::Duration;

pub use load::LoadLimits;

use crate::setters::setters;

/// What a backend and its callers may use. The defaults suit a server; each limit has a typed
/// error. `docs/threat-model.md` describes how the times are counted.
///
/// A duration that no clock reaches, such as [`Duration::MAX`], means no limit.
///
/// ```
/// use artifact_store::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::default().call_timeout(Duration::from_secs(5));
/// assert_eq!(limits.buffer, 64 * 1024 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long the backend may take until the next byte moves between the caller and the storage;
    /// in a call that moves no bytes, the time for the whole call. Waiting for the caller or for a
    /// turn does not count. Default: 30 seconds. Beyond it:
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub call_timeout: Duration,
    /// The least rate of a call, in bytes per second of the backend's time, after the first
    /// `call_timeout`; 0 means no limit. Default: 16 KiB. Below it:
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub least_rate: u64,
    /// How long a call waits for its turn if [`concurrency`](Self::concurrency) others run, or for
    /// a place among the [`transfers`](Self::transfers). Default: 30 seconds. Beyond it:
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy).
    pub turn_timeout: Duration,
    /// How long the caller of a transfer may neither send nor take a byte. Default: 5 minutes.
    /// Beyond it: [`ErrorKind::Paused`](crate::ErrorKind::Paused), and an artifact that was being
    /// written is not stored.
    pub pause_timeout: Duration,
    /// The most linear memory of one instance, in bytes: all its memories together. A growth beyond
    /// it fails inside the component, which usually traps. Default: 256 MiB. Beyond it:
    /// [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted).
    pub memory: u64,
    /// How many files, streams and other handles one instance may hold. Each open file is one of
    /// the process, so `handles` times `concurrency` should stay below what the system permits
    /// (`ulimit -n`). Default: 256. Beyond it:
    /// [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted), or an error of the system inside the
    /// component.
    pub handles: u64,
    /// The largest artifact, in bytes, that [`get`](crate::ArtifactStore::get) returns in memory,
    /// and that can be stored in or read from a backend without streams. Default: 64 MiB. Beyond
    /// it: [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub buffer: u64,
    /// How many calls the backend serves at once, each on its own instance. Further calls wait for
    /// a turn, at most [`turn_timeout`](Self::turn_timeout). A transfer whose caller pauses gives
    /// its turn to a call that waits. Default: 64. On Unix it is at most an eighth of the number of
    /// files that the process may open (`ulimit -n`) minus 16, as of when the backend is opened.
    pub concurrency: u64,
    /// How many readers and writers may be open at once. A paused one has no turn, but still has an
    /// instance, open files and usually a thread; this limits them. Further ones wait, as for a
    /// turn. Default: 1024.
    pub transfers: u64,
    /// What loading the component may take.
    pub load: LoadLimits,
}

setters!(Limits {
    call_timeout: Duration,
    least_rate: u64,
    turn_timeout: Duration,
    pause_timeout: Duration,
    memory: u64,
    handles: u64,
    buffer: u64,
    concurrency: u64,
    transfers: u64,
    load: LoadLimits,
});

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            least_rate: 16 << 10,
            turn_timeout: Duration::from_secs(30),
            pause_timeout: Duration::from_secs(5 * 60),
            memory: 256 << 20,
            handles: 256,
            buffer: 64 << 20,
            concurrency: 64,
            transfers: 1024,
            load: LoadLimits::default(),
        }
    }
}

/// A limit as a `usize`; `usize::MAX` if it does not fit.
pub(crate) fn here(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
