//! Moving an artifact's bytes between the caller and a backend.
//!
//! `upload` and `download` carry streams of any size in bounded memory, bypassing the backend where
//! it permits this (`wasi::read`); `opening` finds where a read begins. `buffered` replaces them for a
//! backend without streams. `writer`, `reader` and `sink` are the caller's ends. `below` has the ends
//! of a layer, which is the caller of the store below it.

pub(crate) mod below;
pub(crate) mod buffered;
pub(crate) mod download;
mod opening;
pub(crate) mod reader;
pub(crate) mod sink;
pub(crate) mod upload;
pub(crate) mod writer;

/// How many chunks wait between the two ends, besides the one that is being filled.
pub(crate) const CHUNKS_WAITING: usize = 1;
