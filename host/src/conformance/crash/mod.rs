//! What a crash of the machine may leave of a store, and how a backend handles a failing
//! filesystem.
//!
//! [`check`] runs a backend on a directory and records every change that it makes there. From that
//! log it builds each directory that a crash could leave at each moment, opens the backend on it,
//! and tests the contract. [`faults`] makes each call of the filesystem fail in turn. Both work on
//! an unmodified component of any language that keeps its artifacts in a directory. They need no
//! special filesystem and no privileges.
//!
//! ```
//! use artifact_store::{Backend, conformance::crash};
//!
//! # let dir = tempfile::tempdir()?;
//! let report = crash::faults(&Backend::fs(dir.path()), &crash::Options::default(), |_| {})?;
//! assert!(report.violations.is_empty());
//! println!("{} failures tried", report.injected());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod crash_runs;
mod crash_states;
mod fault_kinds;
mod fault_runs;
mod intercept;
mod intercept_p2;
mod intercept_p3;
mod model;
mod recorder;
mod report;
mod scenarios;
mod story;
mod tree;

pub use fault_kinds::Fault;
pub use report::{Consequence, FaultReport, Operation, Report, Rule, Scenario, Violation};

use crate::Backend;
use crate::error::Result;

/// How a check is run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Other keys than the one that is written, which have to keep their artifacts. Choose keys
    /// that the backend stores near `crash/key`, such as in the same directory.
    pub neighbours: Vec<String>,
    /// How many states are tried in parallel.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let neighbours = ["crash/key2", "crash/other", "zz"].map(str::to_owned).to_vec();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { neighbours, threads }
    }
}

/// Tries every directory that a crash may leave. `backend` runs on temporary directories instead of
/// those that it may write to, which are not touched. `on_progress` gets the name of each scenario
/// before it begins.
///
/// # Errors
///
/// The backend cannot be loaded, or a temporary directory cannot be created. Faults of the backend
/// are not errors but a part of the report.
pub fn check(
    backend: &Backend,
    options: &Options,
    mut on_progress: impl FnMut(&str),
) -> Result<Report> {
    let bench = backend::Bench::new(backend)?;
    let mut report = Report::default();
    for scenario in scenarios::scenarios(&options.neighbours) {
        on_progress(scenario.name);
        crash_runs::run(&bench, &scenario, options, &mut report)?;
    }
    Ok(report)
}

/// Makes each call of the filesystem fail in each way that fits it, in each operation of the
/// contract. Otherwise as [`check`].
///
/// # Errors
///
/// The same as those of [`check`].
pub fn faults(
    backend: &Backend,
    options: &Options,
    mut on_progress: impl FnMut(&str),
) -> Result<FaultReport> {
    fault_runs::run(&backend::Bench::new(backend)?, options, &mut on_progress)
}
