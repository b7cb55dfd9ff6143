//! Shortages of system resources: open files, threads and memory.

use std::io;

use anyhow::{Context, Result};

use crate::failure;
use crate::interrupt::NoThread;

/// Pairs of files that every command has open at some time, besides those that it was started with.
const PAIRS: usize = 6;

/// Bytes of memory, for threads and for what they do.
const ROOM: usize = 128 << 20;

/// Checks that the resources that every command needs are available. Without them tokio panics and the
/// allocator aborts.
///
/// # Errors
///
/// What the system answers, which [`limit`] explains.
pub fn look() -> Result<()> {
    let pipes: io::Result<Vec<_>> = (0..PAIRS).map(|_| io::pipe()).collect();
    pipes.context("cannot start")?;
    let mut room = Vec::<u8>::new();
    let reserved = room.try_reserve_exact(ROOM);
    // It is never used, and must be asked for all the same.
    std::hint::black_box(room.as_mut_ptr());
    reserved.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory)).context("cannot start")
}

/// Which limit to check if a failure comes from a shortage, which may pass.
pub fn limit(error: &anyhow::Error) -> Option<&'static str> {
    if failure::find::<NoThread>(error).is_some() {
        return Some(
            "the limit of this user's threads or of memory is reached (`ulimit -u`, `ulimit -v`)",
        );
    }
    error.chain().filter_map(|cause| cause.downcast_ref()).find_map(of_system)
}

fn of_system(error: &io::Error) -> Option<&'static str> {
    #[cfg(unix)]
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            return Some("the limit of this process's open files is reached (`ulimit -n`)");
        }
        Some(libc::ENFILE) => {
            return Some("the limit of this machine's open files is reached (`fs.file-max`)");
        }
        _ => {}
    }
    let is_memory = error.kind() == io::ErrorKind::OutOfMemory;
    is_memory
        .then_some("the limit of this process's memory may be reached (`ulimit -v`, `ulimit -d`)")
}
