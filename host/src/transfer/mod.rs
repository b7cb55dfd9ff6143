//! Moving an artifact's bytes between the caller and a backend.
//!
//! `upload` and `download` carry streams of any size in bounded memory, bypassing the backend where
//! it permits this (`wasi::read`); `opening` finds where a read begins, and `incoming` counts and
//! compares what it brings. `buffered` replaces them for a backend without streams. `encrypt` and
//! `decrypt` stand between these and the caller where a store is encrypted. `writer`, `reader` and
//! `sink` are the caller's ends; `below` has those of a layer, which is the caller of the store
//! below it.

pub(crate) mod below;
pub(crate) mod buffered;
mod decrypt;
pub(crate) mod download;
mod encrypt;
mod incoming;
pub(crate) mod opening;
pub(crate) mod reader;
pub(crate) mod sink;
pub(crate) mod upload;
pub(crate) mod writer;

/// How many chunks wait between the two ends, besides the one that is being filled.
pub(crate) const CHUNKS_WAITING: usize = 1;
