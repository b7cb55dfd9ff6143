//! Serving calls: the loaded backend, the calls on it, and its replacement by another backend.

mod call;
#[cfg(feature = "conformance")]
mod fault;
mod loaded;
mod running;
mod swap;

pub(crate) use call::{Call, Pending, RunBy};
#[cfg(feature = "conformance")]
pub(crate) use fault::{Fault, Given, OVERSTATED};
pub(crate) use loaded::{Held, Loaded};
pub(crate) use running::Running;
pub(crate) use swap::Serving;
pub use swap::{LoadedBackend, SwapOptions};
