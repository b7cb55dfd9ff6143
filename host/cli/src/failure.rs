//! What failures are to the caller: exit codes, and what is found among their causes.

use std::io;

pub const FAILURE: u8 = 1;
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
pub const ALREADY_EXISTS: u8 = 4;
pub const CORRUPT: u8 = 5;
pub const UNAVAILABLE: u8 = 6;

/// Arguments that are well-formed and still make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// It concerns this one file or key; others may be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Single(pub String);

/// There is nothing of what is asked for.
#[derive(Debug, thiserror::Error)]
#[error("not found: {0}")]
pub struct Nothing(pub String);

/// The condition of a put does not hold, which shows before anything is read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the key already has an artifact")]
    Taken,
    #[error("the artifact is not the expected version")]
    Changed,
}

/// The first error of this type among the causes; an I/O error does not count what it carries
/// among its own.
pub fn find<E: std::error::Error + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| {
        let carried = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.downcast_ref::<E>().or_else(|| carried?.downcast_ref::<E>())
    })
}
