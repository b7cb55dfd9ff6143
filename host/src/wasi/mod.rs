//! What a component can access: WASI, and in it the host's own `wasi:filesystem`.
//!
//! The core (`open`, `paths`, `write`, `directory`, `pread`, over `resolve`) is independent of the
//! generation of WASI; `p2` and `p3` adapt it to both generations. It replaces wasmtime's
//! implementation so that no call waits for a pipe or a device, each error of the system keeps its
//! meaning (`errno`, `trouble`), and no call holds more than a batch. On Windows wasmtime's
//! implementation is used, except for reading files.

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
mod tail;
mod trouble;
#[cfg(unix)]
mod write;

pub(crate) use linker::{Linked, linker};
pub(crate) use p3::{FileBytes, take};
pub(crate) use preopens::{Preopen, Preopens};
pub(crate) use state::{HostState, new_store};

/// How symbolic links on a path are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Followed within the granted directory, as WASI specifies.
    Within,
    /// Never followed, not even within the directory. For the built-in backend.
    Never,
}
