//! Moving an artifact's bytes between the caller and a backend.
//!
//! `upload` and `download` carry streams of any size in bounded memory, past the backend where it
//! lets them (`wasi::read`); `buffered` stands in for them where a backend offers no streams. `writer`,
//! `reader` and `sink` are the caller's ends.

pub(crate) mod buffered;
mod chunk;
pub(crate) mod download;
pub(crate) mod reader;
pub(crate) mod sink;
pub(crate) mod upload;
pub(crate) mod writer;

use crate::error::ErrorKind;

/// How many bytes move at once between the caller and the thread that runs the backend.
pub(crate) const CHUNK: usize = 256 * 1024;

/// How many chunks wait between the two, beside the one at work.
pub(crate) const CHUNKS_WAITING: usize = 1;

/// Where the blocking part of a transfer is done: on a thread of its own, or by whoever waits for
/// it, which is faster and blocks that thread.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Worker,
    Here,
}

fn no_streams() -> ErrorKind {
    ErrorKind::Unsupported("the backend has no streams".into())
}
