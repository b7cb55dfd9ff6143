//! Reading a directory in WASI 0.2: a resource that returns one entry after the other.

use std::future::poll_fn;
use std::task::Poll;

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::filesystem::types::{DirectoryEntry, ErrorCode};

use super::{answer, kind_of};
use crate::wasi::HostState;
use crate::wasi::directory::{BATCH, Entries};
use crate::wasi::errno::{Called, Code};
use crate::wasi::paths::{self, Fd};

/// Replaces wasmtime's resource, and all functions that handle it, by the host's own.
pub(super) fn link(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    types.resource(
        "directory-entry-stream",
        ResourceType::host::<Entries>(),
        |mut store, entries| {
            store.data_mut().table().delete(Resource::<Entries>::new_own(entries))?;
            Ok(())
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, HostState>, (dir,): (Fd,)| {
            let state = store.data_mut();
            let entries = open(state, &dir);
            Ok((answer(state, entries)?,))
        },
    )?;
    types.func_wrap_async(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: StoreContextMut<'_, HostState>, (entries,): (Resource<Entries>,)| {
            Box::new(async move {
                loop {
                    if let Some(next) = next(store.data_mut(), &entries)? {
                        return Ok((next,));
                    }
                    // A directory may have endlessly many entries that are skipped.
                    yield_once().await;
                }
            })
        },
    )
}

fn open(state: &mut HostState, dir: &Fd) -> Called<Resource<Entries>> {
    let entries = Entries::of(paths::dir(state.table(), dir)?)?;
    Ok(state.table().push(entries)?)
}

type Next = Result<Option<DirectoryEntry>, ErrorCode>;

/// The next entry, or `None` if many were skipped.
fn next(state: &mut HostState, entries: &Resource<Entries>) -> wasmtime::Result<Option<Next>> {
    for _ in 0..BATCH {
        let called = match state.table().get_mut(entries)?.next() {
            None => Ok(None),
            Some(Ok(None)) => continue,
            Some(Ok(Some(entry))) => match entry.name.into_string() {
                Ok(name) => Ok(Some(DirectoryEntry { type_: kind_of(entry.kind), name })),
                Err(_) => Err(Code::IllegalByteSequence.into()),
            },
            Some(Err(errno)) => Err(errno.into()),
        };
        return answer(state, called).map(Some);
    }
    Ok(None)
}

/// Lets other tasks run, including the one that checks the deadline.
async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
