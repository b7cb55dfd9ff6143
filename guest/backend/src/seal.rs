//! The end of a write: its seal, which says that all bytes were sent, and how many.

use alloc::format;
use alloc::string::String;

use wit_bindgen::FutureReader;

use crate::types::Seal;
use crate::{Error, Result};

/// Waits for the seal of a write for which `announced` bytes were announced. Read the bytes before,
/// or at the same time: the caller may wait for either to be taken.
///
/// # Errors
///
/// `other` if the write was given up, or if the sealed size is not the announced one.
pub async fn wait(
    end: FutureReader<core::result::Result<Seal, String>>,
    announced: Option<u64>,
) -> Result<Seal> {
    let seal = end.await.map_err(|why| Error::Other(format!("the write was aborted: {why}")))?;
    match announced {
        Some(size) if size != seal.size => {
            Err(Error::Other(format!("{size} bytes were announced, but {} sealed", seal.size)))
        }
        _ => Ok(seal),
    }
}

/// Compares a seal with the bytes that arrived: their number, and their checksum.
///
/// # Errors
///
/// `other` if they are not the sealed ones: then nothing must be stored.
pub fn check(seal: &Seal, size: u64, checksum: u64) -> Result<()> {
    if size != seal.size {
        return Err(wrong_size(seal.size, size));
    }
    if checksum != seal.checksum {
        return Err(Error::Other("the bytes that arrived do not match the seal".into()));
    }
    Ok(())
}

/// The error if the number of bytes that arrived is not the sealed one. A stream that was cut looks
/// like one that ended: only the size shows it.
#[must_use]
pub fn wrong_size(sealed: u64, arrived: u64) -> Error {
    Error::Other(format!("{arrived} bytes arrived, but {sealed} were sealed"))
}
