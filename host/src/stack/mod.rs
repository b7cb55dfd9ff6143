//! What a component layer imports: the store below it. Each function that it calls is a call on that
//! store like one of an application, with the limits, checks and telemetry of its backend. It runs
//! beside the layer, or on a thread of its own: wasmtime does not run one store in the poll of another.

mod artifact;
#[cfg(feature = "conformance")]
mod faults;
mod pages;
mod streams;

use std::pin::Pin;
use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::{Accessor, Linker};

use crate::bindings::types;
use crate::budget::Deadline;
use crate::error::{Error, ErrorKind, Operation};
use crate::serving::{Call, Loaded, Serving};
use crate::transfer::below::told;
use crate::wasi::HostState;

/// The store below a layer; `None` for one that is only asked for its settings.
#[derive(Clone)]
struct Below(Option<Arc<Serving>>);

/// Lets a component call the store below it.
pub(crate) fn link(linker: &mut Linker<HostState>, below: Option<Arc<Serving>>) -> Result<()> {
    let below = Below(below);
    artifact::link(linker, &below)?;
    streams::link(linker, &below)?;
    pages::link(linker, &below)
}

/// The answer to a layer.
type Told<T> = Result<(Result<T, types::Error>,)>;

/// The same, once it is there.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Told<T>> + Send + 'a>>;

impl Below {
    /// The backend that serves now.
    fn backend(&self) -> Result<Arc<Loaded>, Error> {
        let nothing = || {
            let kind = ErrorKind::Unavailable("there is nothing below this layer".into());
            Error::new(kind, Operation::Open, None, &"none".into())
        };
        self.0.as_ref().map(|below| below.backend()).ok_or_else(nothing)
    }

    fn call(&self, operation: Operation, key: &str) -> Result<Arc<Call>, Error> {
        #[cfg(feature = "conformance")]
        self.refused(operation, key)?;
        Ok(self.backend()?.call(operation, key))
    }
}

/// What a layer is told of the outcome of its call. The host remembers a failure, so that the caller
/// hears of it and of its place, if the layer reports it.
fn tell<T>(accessor: &Accessor<HostState>, outcome: Result<T, Error>) -> Told<T> {
    Ok((outcome.map_err(|error| remembered(&deadline(accessor), error)),))
}

fn remembered(deadline: &Deadline, error: Error) -> types::Error {
    let told = told(&error);
    deadline.failed_below(&ErrorKind::from(told.clone()), error);
    told
}

/// The deadline of the layer's own call.
fn deadline(accessor: &Accessor<HostState>) -> Arc<Deadline> {
    accessor.with(|mut access| Arc::clone(&access.data_mut().deadline))
}
