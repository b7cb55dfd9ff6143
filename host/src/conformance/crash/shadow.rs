//! What both generations of `wasi:filesystem` share, with the recorder in their place.

use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;

use std::fs::File;
use std::sync::Arc;

use super::recorder::Recorder;
use super::tree::{Inode, inode};
use super::{shadow_p2, shadow_p3};
use crate::instance::HostState;

pub(super) type Fd = Resource<Descriptor>;

/// Puts the recorder between a backend and its directories.
pub(super) fn add_to_linker(
    linker: &mut Linker<HostState>,
    recorder: &Arc<Recorder>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    shadow_p2::add_to_linker(linker, recorder)?;
    shadow_p3::add_to_linker(linker, recorder)
}

/// What a successful call answers.
pub(super) trait Answer: Sized {
    /// The descriptor that it opened.
    fn opened(&self) -> Option<&Fd> {
        None
    }

    /// The answer of a sync that is left out.
    fn of_nothing() -> Option<Self> {
        None
    }
}

impl Answer for () {
    fn of_nothing() -> Option<Self> {
        Some(())
    }
}

impl Answer for Fd {
    fn opened(&self) -> Option<&Fd> {
        Some(self)
    }
}

/// What `fd` stands for, and whether that is a directory. Nobody asks while nothing is recorded.
pub(super) fn identity(
    recorder: &Recorder,
    table: &ResourceTable,
    fd: &Fd,
) -> wasmtime::Result<(Inode, bool)> {
    if !recorder.is_on() {
        return Ok(((0, 0), false));
    }
    Ok(match table.get(fd)? {
        Descriptor::File(file) => (inode(&file.file)?, false),
        Descriptor::Dir(dir) => (inode(&dir.dir)?, true),
    })
}

/// The file to write to; none where it is a directory or may not be written to.
pub(super) fn writable(table: &ResourceTable, fd: &Fd) -> wasmtime::Result<Option<Arc<File>>> {
    Ok(match table.get(fd)? {
        Descriptor::File(file) if !file.perms.write_not_permitted() => Some(Arc::clone(&file.file)),
        _ => None,
    })
}

/// How the process of a backend ends in the middle of a call.
pub(super) fn killed() -> wasmtime::Error {
    wasmtime::format_err!("the process was killed, as asked")
}
