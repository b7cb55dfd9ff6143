//! The rules of the contract as a list of checks for any backend.
//!
//! A check reaches the backend without the host's own guards, and sees what a host would hide: a
//! key that the backend does not refuse, bytes beyond the end. Each check runs over a store of its
//! own. Needs the feature `conformance`.
//!
//! This module is not stable yet: a minor version of the crate may change it.
//!
//! ```
//! use artifact_store::Backend;
//! use artifact_store::conformance::{Outcome, Target, Way, checks};
//!
//! let target = Target::in_directories(|dir| Backend::fs(dir));
//! let check = checks().find(|check| check.rules().contains(&"delete-1")).unwrap();
//! assert!(matches!(check.run(&target, Way::Reused, 1)?, Outcome::Passed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod below;
mod calls;
mod check;
mod checks;
#[cfg(unix)]
pub mod concurrent;
mod contract;
#[cfg(unix)]
pub mod crash;
mod direct;
mod environment;
mod outcome;
mod reduce;
mod shown;
mod step;
mod subject;
mod target;
mod trace;
mod transfers;

pub use check::{Check, Group, Way};
pub use checks::{checks, layer_checks};
pub use contract::{UNTESTABLE, sentence};
pub use outcome::{Failure, Outcome};
pub use target::Target;
pub use trace::Recorded;

use outcome::Stop;

pub use crate::interface::Interface;
