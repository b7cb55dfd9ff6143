//! The host's own `wasi:filesystem` in generation 0.3.

#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod methods;
mod read;
#[cfg(unix)]
mod write;

use futures::channel::oneshot;
use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

pub(crate) use read::{FileBytes, take};

use super::{HostState, Linked};

const TYPES: &str = "wasi:filesystem/types@0.3.0";

/// Replaces wasmtime's implementation.
pub(super) fn link(linker: &mut Linker<HostState>, linked: &Linked) -> wasmtime::Result<()> {
    let types = &mut linker.instance(TYPES)?;
    #[cfg(unix)]
    {
        methods::link(types, linked.links)?;
        write::link(types)?;
        directory::link(types, linked.links)?;
    }
    if linked.splice {
        read::link(types)?;
    }
    Ok(())
}

/// Tells the backend, once, how a stream ended.
struct Ended(Option<oneshot::Sender<Result<(), ErrorCode>>>);

impl Ended {
    /// Also returns what the backend's future waits for.
    fn new() -> (Self, oneshot::Receiver<Result<(), ErrorCode>>) {
        let (ended, end) = oneshot::channel();
        (Self(Some(ended)), end)
    }

    fn tell(&mut self, outcome: Result<(), ErrorCode>) {
        if let Some(ended) = self.0.take() {
            // A backend that dropped its future is not told.
            let _ = ended.send(outcome);
        }
    }
}

/// A reader or writer that stops before the end has got what it wanted.
impl Drop for Ended {
    fn drop(&mut self) {
        self.tell(Ok(()));
    }
}
