//! What a component sees of the world: WASI, and in it the host's own `wasi:filesystem`.

#[cfg(unix)]
mod directory;
mod linker;
mod open;
mod output;
mod pread;
mod read;
mod state;

pub(crate) use linker::{Linked, linker};
pub(crate) use open::Links;
pub(crate) use read::{FileBytes, take};
pub(crate) use state::{HostState, new_store};
