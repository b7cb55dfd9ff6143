use std::time::Duration;

use crate::LoadLimits;

/// What a backend may use up. The defaults suit a server; every bound has a typed error.
///
/// ```
/// use artifact_store::Limits;
/// use std::time::Duration;
///
/// let limits = Limits { call_timeout: Duration::from_secs(5), ..Limits::default() };
/// assert_eq!(limits.buffer, 64 * 1024 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the backend may take over one step: a call without streams, or the next
    /// chunk of a transfer. Time in which it waits for the caller (a slow reader or writer)
    /// does not count. Default: 30 seconds. Beyond it: [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub call_timeout: Duration,
    /// The most linear memory, in bytes, that one instance may grow to, all its memories taken
    /// together; a growth beyond it fails inside the component, which mostly ends it. Default:
    /// 256 MiB. Beyond it: [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted).
    pub memory: usize,
    /// How many files, streams and other handles one instance may hold. Each open file is one of
    /// the process, so that `handles` times `concurrency` should stay below what the system
    /// permits (`ulimit -n`). Default: 256. Beyond it:
    /// [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted), or an error of the system inside
    /// the component.
    pub handles: usize,
    /// The largest artifact, in bytes, that [`get`](crate::ArtifactStore::get) returns in
    /// memory, and that can be stored in or read from a backend without streams.
    /// Default: 64 MiB. Beyond it: [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub buffer: u64,
    /// How many calls the backend serves at once, each on an instance of its own; further
    /// calls wait their turn, for `call_timeout` at most. Default: 64.
    pub concurrency: usize,
    /// What loading the component may take.
    pub load: LoadLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            memory: 256 << 20,
            handles: 256,
            buffer: 64 << 20,
            concurrency: 64,
            load: LoadLimits::default(),
        }
    }
}
