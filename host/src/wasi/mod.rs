//! What a component sees of the world: WASI, and in it the host's own `wasi:filesystem`.
//!
//! The core (`open`, `paths`, `write`, `directory`, `pread`, over `resolve`) knows no generation of
//! WASI; `p2` and `p3` put it into the two that there are. It takes the place of wasmtime's own so
//! that no call waits for a pipe or a device, each error of the system keeps its meaning (`errno`,
//! `trouble`), and no call holds more than a batch. On Windows wasmtime's own is used, but for the
//! reading of files.

#[cfg(unix)]
mod directory;
mod errno;
mod linker;
#[cfg(unix)]
mod methods;
#[cfg(unix)]
mod open;
mod output;
#[cfg(unix)]
mod p2;
mod p3;
#[cfg(unix)]
mod paths;
mod pread;
mod preopens;
#[cfg(unix)]
mod resolve;
mod state;
mod trouble;
#[cfg(unix)]
mod write;

pub(crate) use linker::{Linked, linker};
pub(crate) use p3::{FileBytes, take};
pub(crate) use preopens::{Preopen, Preopens};
pub(crate) use state::{HostState, new_store};

/// How symbolic links on a path are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// As WASI has it: followed within the granted directory.
    Within,
    /// None is followed, not even one that stays within. So it is for the built-in backend.
    Never,
}
