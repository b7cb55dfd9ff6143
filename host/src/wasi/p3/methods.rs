//! Opening, and operations on names and open files, in WASI 0.3.

use std::future::poll_fn;

use rustix::fs::{FileType, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime::component::{Accessor, LinkerInstance, ResourceTable};
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use crate::telemetry;
use crate::wasi::errno::Called;
use crate::wasi::methods::{describe, methods, timespec};
use crate::wasi::open::{self, Asked, asked, open_at};
use crate::wasi::paths::{self, Fd, Found};
use crate::wasi::write;
use crate::wasi::{HostState, Links};

pub(super) fn link(
    types: &mut LinkerInstance<'_, HostState>,
    links: Links,
) -> wasmtime::Result<()> {
    methods!(link_method, types);
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        move |accessor: &Accessor<HostState>,
              (dir, follow, path, how, flags): (
            Fd,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            Box::pin(async move {
                telemetry::opens(&path);
                let asked = asked!(&path, follow, how, flags, links);
                let cached = |state: &mut HostState| open_cached(state, &dir, asked);
                let opened = on_thread(accessor, cached, |state| {
                    let opened = open_at(state.table(), &dir, asked);
                    answer(state, opened)
                });
                Ok((opened.await?,))
            })
        },
    )
}

/// Links an `async func` of descriptors.
macro_rules! link_method {
    ($types:ident, $name:literal,
     |$table:ident, ($($arg:ident: $ty:ty),*)| -> $answer:ty $body:block) => {
        $types.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |accessor: &Accessor<HostState>, ($($arg,)*): ($($ty,)*)| {
                Box::pin(async move {
                    let called = on_thread(accessor, |_| None, |state| {
                        let call = |$table: &ResourceTable| -> Called<$answer> { $body };
                        let called = call(state.table());
                        answer(state, called)
                    });
                    Ok((called.await?,))
                })
            },
        )?;
    };
}
use link_method;

/// The result of a method; the outer error ends the backend.
type Answered<T> = wasmtime::Result<Result<T, ErrorCode>>;

fn answer<T>(state: &HostState, called: Called<T>) -> Answered<T> {
    Ok(state.answer(called)?.map_err(ErrorCode::from))
}

/// Runs `call` on a thread that may wait for the disk. On a task, which must not wait, `cached` is
/// tried first.
async fn on_thread<T>(
    accessor: &Accessor<HostState>,
    cached: impl Fn(&mut HostState) -> Option<T>,
    call: impl Fn(&mut HostState) -> T,
) -> T {
    let done = accessor.with(|mut access| {
        let state = access.data_mut();
        match state.inline.clone().filter(|inline| inline.is_on_task()) {
            Some(inline) => cached(state).ok_or(inline),
            None => Ok(call(state)),
        }
    });
    match done {
        Ok(done) => done,
        Err(inline) => {
            poll_fn(|cx| inline.poll_thread(cx)).await;
            accessor.with(|mut access| call(access.data_mut()))
        }
    }
}

/// Opens what is cached; `None` if it is not, or if that is unknown.
fn open_cached(state: &mut HostState, dir: &Fd, asked: Asked<'_>) -> Option<Answered<Fd>> {
    #[cfg(target_os = "linux")]
    {
        let opened = open::open_cached(state.table(), dir, asked).transpose()?;
        Some(answer(state, opened))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (state, dir, asked);
        None
    }
}

describe!(DescriptorType::Other(None));

fn time_of((seconds, nanoseconds): (i64, u32)) -> Option<Instant> {
    Some(Instant { seconds, nanoseconds })
}

fn time(new: NewTimestamp) -> Called<Timespec> {
    match new {
        NewTimestamp::NoChange => Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }),
        NewTimestamp::Now => Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }),
        NewTimestamp::Timestamp(Instant { seconds, nanoseconds }) => timespec(seconds, nanoseconds),
    }
}
