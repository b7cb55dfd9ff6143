//! Opening, and what is done to names and to open files, in WASI 0.3.

use std::future::poll_fn;

use rustix::fs::{FileType, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime::component::{Accessor, LinkerInstance, ResourceTable};
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use super::super::errno::Called;
use super::super::methods::{describe, methods, timespec};
use super::super::open::{self, Asked, asked, open_at};
use super::super::paths::{self, Fd, Found};
use super::super::write;
use super::super::{HostState, Links};
use crate::telemetry;

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
                if let Some(opened) = open_on_task(accessor, &dir, asked) {
                    return Ok((answer(accessor, opened)?,));
                }
                on_thread(accessor).await;
                let open = |state: &mut HostState| open_at(state.table(), &dir, asked);
                let opened = accessor.with(|mut access| open(access.data_mut()));
                Ok((answer(accessor, opened)?,))
            })
        },
    )
}

/// Puts an `async func` of descriptors into the linker.
macro_rules! link_method {
    ($types:ident, $name:literal,
     |$table:ident, ($($arg:ident: $ty:ty),*)| -> $answer:ty $body:block) => {
        $types.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |accessor: &Accessor<HostState>, ($($arg,)*): ($($ty,)*)| {
                Box::pin(async move {
                    on_thread(accessor).await;
                    let call = |$table: &ResourceTable| -> Called<$answer> { $body };
                    let called = accessor.with(|mut access| call(access.data_mut().table()));
                    Ok((answer(accessor, called)?,))
                })
            },
        )?;
    };
}
use link_method;

/// What a method answers; the outer error ends the backend.
fn answer<T>(
    accessor: &Accessor<HostState>,
    called: Called<T>,
) -> wasmtime::Result<Result<T, ErrorCode>> {
    let answer = accessor.with(|mut access| access.data_mut().answer(called))?;
    Ok(answer.map_err(ErrorCode::from))
}

/// Ready on a thread that may wait for the disk.
async fn on_thread(accessor: &Accessor<HostState>) {
    if let Some(inline) = accessor.with(|mut access| access.data_mut().inline.clone()) {
        poll_fn(|cx| inline.poll_thread(cx)).await;
    }
}

/// Opens on the caller's task what lies in memory; none where there is none, or it does not.
fn open_on_task(accessor: &Accessor<HostState>, dir: &Fd, asked: Asked<'_>) -> Option<Called<Fd>> {
    #[cfg(target_os = "linux")]
    return accessor.with(|mut access| {
        let state = access.data_mut();
        state.inline.as_ref().filter(|inline| inline.is_on_task())?;
        open::open_cached(state.table(), dir, asked).transpose()
    });
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (accessor, dir, asked);
        None
    }
}

describe!(pub(super), DescriptorType::Other(None));

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
