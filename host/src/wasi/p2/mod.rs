//! The host's own `wasi:filesystem` in generation 0.2.

mod directory;
mod streams;

use rustix::fs::{FileType, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use super::errno::{Called, Code};
use super::methods::{describe, methods, timespec};
use super::open::{asked, open_at};
use super::paths::{self, Fd, Found};
use super::write;
use super::{HostState, Links};
use crate::telemetry;

pub(super) const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// Replaces wasmtime's implementation.
pub(super) fn link(linker: &mut Linker<HostState>, links: Links) -> wasmtime::Result<()> {
    let types = &mut linker.instance(TYPES)?;
    link_methods(types)?;
    streams::link(types)?;
    directory::link(types)?;
    types.func_wrap(
        "[method]descriptor.open-at",
        move |mut store: StoreContextMut<'_, HostState>,
              (dir, follow, path, how, flags): (
            Fd,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            telemetry::opens(&path);
            let asked = asked!(&path, follow, how, flags, links);
            let state = store.data_mut();
            let opened = open_at(state.table(), &dir, asked);
            Ok((answer(state, opened)?,))
        },
    )
}

/// The result of a method; the outer error ends the backend.
fn answer<T>(state: &HostState, called: Called<T>) -> wasmtime::Result<Result<T, ErrorCode>> {
    Ok(state.answer(called)?.map_err(ErrorCode::from))
}

macro_rules! link_method {
    ($types:ident, $name:literal,
     |$table:ident, ($($arg:ident: $ty:ty),*)| -> $answer:ty $body:block) => {
        $types.func_wrap(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, HostState>, ($($arg,)*): ($($ty,)*)| {
                let call = |$table: &ResourceTable| -> Called<$answer> { $body };
                let state = store.data_mut();
                let called = call(state.table());
                Ok((answer(state, called)?,))
            },
        )?;
    };
}

fn link_methods(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    methods!(link_method, types);
    Ok(())
}

describe!(DescriptorType::Unknown);

/// WASI 0.2 cannot express a time before 1970.
fn time_of((seconds, nanoseconds): (i64, u32)) -> Option<Datetime> {
    Some(Datetime { seconds: seconds.try_into().ok()?, nanoseconds })
}

fn time(new: NewTimestamp) -> Called<Timespec> {
    match new {
        NewTimestamp::NoChange => Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }),
        NewTimestamp::Now => Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }),
        NewTimestamp::Timestamp(Datetime { seconds, nanoseconds }) => {
            let seconds = i64::try_from(seconds).map_err(|_| Code::Overflow)?;
            timespec(seconds, nanoseconds)
        }
    }
}
