//! Moving an artifact's bytes between the caller and a backend.
//!
//! `upload` and `download` carry streams of any size in bounded memory, past the backend where it
//! lets them (`wasi::read`); `buffered` stands in for them where a backend offers no streams. `writer`,
//! `reader` and `sink` are the caller's ends.

pub(crate) mod buffered;
pub(crate) mod download;
pub(crate) mod reader;
pub(crate) mod sink;
pub(crate) mod upload;
pub(crate) mod writer;

use crate::error::ErrorKind;

/// How many chunks wait between the two, beside the one at work.
pub(crate) const CHUNKS_WAITING: usize = 1;

fn no_streams() -> ErrorKind {
    ErrorKind::Unsupported("the backend does not export `streams`".into())
}
