//! The end of a write: its seal, which says that all bytes were sent, and how many.

use alloc::format;
use alloc::string::String;

use wit_bindgen::FutureReader;

use crate::types::Seal;
use crate::{Error, Result};

/// Waits for the seal of a write for which `announced` bytes were announced. A caller may be
/// waiting for either to be taken: the bytes come before, or are read meanwhile.
///
/// # Errors
///
/// `other` where the write was given up, and where another size is sealed than was announced.
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

/// Compares a seal with the bytes that arrived: how many they are, and their checksum.
///
/// # Errors
///
/// `other` where they are not the ones that were sealed: nothing is to be stored then.
pub fn check(seal: &Seal, size: u64, checksum: u64) -> Result<()> {
    if size != seal.size {
        return Err(wrong_size(seal.size, size));
    }
    if checksum != seal.checksum {
        return Err(Error::Other("the bytes that arrived do not match the seal".into()));
    }
    Ok(())
}

/// The answer where another number of bytes arrived than was sealed. A stream that was cut looks
/// like one that ended: only the size tells.
#[must_use]
pub fn wrong_size(sealed: u64, arrived: u64) -> Error {
    Error::Other(format!("{arrived} bytes arrived, but {sealed} were sealed"))
}
