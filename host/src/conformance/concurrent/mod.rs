//! Whether the calls of several processes on the same keys have the result of one order.
//!
//! Each process calls [`work`] with the same store: its threads put, create, replace, read and
//! delete a few keys at once, and write down when each call began, when it ended and what came of
//! it. A process may be killed and another one started. A [`Trial`] reads what they write, and
//! looks for an order of the calls on each key in which each takes effect in one moment between its
//! begin and its end. A call without an answer may take effect at any later time, or never.
//!
//! ```
//! use std::fs::File;
//! use std::time::{Duration, Instant};
//!
//! use artifact_store::blocking::ArtifactStore;
//! use artifact_store::conformance::concurrent::{Log, Trial, Worker, work};
//!
//! # let dir = tempfile::tempdir()?;
//! let store = ArtifactStore::open_dir(dir.path().join("store"))?;
//! let (file, begun) = (dir.path().join("log"), Instant::now());
//! let is_over = || begun.elapsed() > Duration::from_millis(200);
//! work(&store, &Worker::new(1, "trial/"), File::create(&file)?, is_over)?;
//!
//! let mut trial = Trial::default();
//! trial.add(Log::new(File::open(&file)?));
//! let report = trial.end()?;
//! assert!(!report.is_broken());
//! println!("{} calls on {} keys", report.calls, report.keys);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod explain;
mod history;
mod judge;
mod search;
#[cfg(test)]
mod tests;
mod trial;
mod value;
mod work;

pub use history::Log;
pub use trial::{Assertion, Outcome, Report, Trial};
pub use work::{Worker, work};

/// Nanoseconds of a clock that is the same for all processes of this machine.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
