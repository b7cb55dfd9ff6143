//! Serving calls: the loaded backend, the calls on it, and its replacement by another backend.

mod call;
mod loaded;
mod running;
mod swap;

pub(crate) use call::{Call, Pending, RunBy};
pub(crate) use loaded::{Held, Loaded};
pub(crate) use running::Running;
pub(crate) use swap::Serving;
pub use swap::{LoadedBackend, SwapOptions};
