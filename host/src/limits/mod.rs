mod load;

use std::time::Duration;

pub use load::LoadLimits;

use crate::setters::setters;

/// What a backend and its callers may use up. The defaults suit a server; every bound has a typed
/// error. `docs/threat-model.md` has the rule for the times.
///
/// A time that no clock reaches, such as [`Duration::MAX`], is no limit.
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
    /// for a call that moves none, how long it may take in all. Time in which it waits for the
    /// caller, or for its turn, does not count. Default: 30 seconds. Beyond it:
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub call_timeout: Duration,
    /// The least number of bytes that have to move in each second of the backend's time, over a
    /// whole call and beyond its first `call_timeout`; 0 is no such limit. Default: 16 KiB. Below
    /// it: [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub least_rate: u64,
    /// How long a call waits for its turn where [`concurrency`](Self::concurrency) others run, or
    /// for a place among the [`transfers`](Self::transfers). Default: 30 seconds. Beyond it:
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy).
    pub turn_timeout: Duration,
    /// How long the caller of a transfer may neither send nor take a byte. Default: 5 minutes.
    /// Beyond it: [`ErrorKind::Paused`](crate::ErrorKind::Paused), and what was being written is
    /// not stored.
    pub pause_timeout: Duration,
    /// The most linear memory, in bytes, that one instance may grow to, all its memories taken
    /// together; a growth beyond it fails inside the component, which mostly ends it. Default:
    /// 256 MiB. Beyond it: [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted).
    pub memory: u64,
    /// How many files, streams and other handles one instance may hold. Each open file is one of
    /// the process, so that `handles` times `concurrency` should stay below what the system
    /// permits (`ulimit -n`). Default: 256. Beyond it:
    /// [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted), or an error of the system inside
    /// the component.
    pub handles: u64,
    /// The largest artifact, in bytes, that [`get`](crate::ArtifactStore::get) returns in
    /// memory, and that can be stored in or read from a backend without streams.
    /// Default: 64 MiB. Beyond it: [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub buffer: u64,
    /// How many calls the backend serves at once, each on an instance of its own; further
    /// calls wait their turn, for [`turn_timeout`](Self::turn_timeout) at most. A transfer whose
    /// caller pauses gives its turn to a call that waits. Default: 64, and on Unix no more than an
    /// eighth of what the process may open (`ulimit -n`), less 16, when the backend is opened.
    pub concurrency: u64,
    /// How many readers and writers may be open at once. One that pauses has no turn, but still an
    /// instance, its open files and mostly a thread; this bounds them. Further ones wait, as for a
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

/// A limit as a number of this machine's kind: one that it cannot express is none here.
pub(crate) fn here(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
