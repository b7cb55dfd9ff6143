//! Serving calls: the backend that is loaded, the calls on it, and how another one takes its place.

mod call;
mod loaded;
mod running;
mod swap;

pub(crate) use call::{Call, Pending, RunBy};
pub(crate) use loaded::Loaded;
pub(crate) use running::Running;
pub(crate) use swap::Serving;
pub use swap::{LoadedBackend, SwapOptions};
