//! How many bytes are stored for how many: one follows from the other.

use crate::error::ErrorKind;
use crate::info::{Entry, Info};

/// The line and the header of age together.
pub(crate) const HEADER: usize = 2048;

/// What stands before the first piece: the header, and the nonce of the payload.
pub(crate) const HEAD: usize = HEADER + 16;

/// How many bytes of an artifact are one piece; only the last has fewer.
pub(crate) const PIECE: usize = 64 * 1024;

/// What authenticates a piece follows it.
pub(super) const TAG: usize = 16;

/// A whole piece as it is stored.
pub(crate) const SEALED_PIECE: usize = PIECE + TAG;

/// How many pieces an artifact of `size` bytes has. An empty one has one, which is empty.
pub(crate) fn pieces(size: u64) -> u64 {
    size.div_ceil(PIECE as u64).max(1)
}

/// How many bytes are stored for an artifact of `size` bytes; `None` if no store can have so many.
pub(crate) fn sealed_size(size: u64) -> Option<u64> {
    size.checked_add(pieces(size) * TAG as u64)?.checked_add(HEAD as u64)
}

/// The size of the artifact for which `sealed` bytes are stored; `None` if there is no such size.
fn plain_size(sealed: u64) -> Option<u64> {
    let payload = sealed.checked_sub(HEAD as u64)?;
    let pieces = payload.div_ceil(SEALED_PIECE as u64);
    let size = payload.checked_sub(pieces * TAG as u64)?;
    // A last piece without a byte is only that of an empty artifact.
    (sealed_size(size) == Some(sealed)).then_some(size)
}

/// The info of an artifact whose stored form has this one. The checksum of what is stored is not that
/// of the artifact.
pub(crate) fn plain_info(stored: Info) -> Result<Info, ErrorKind> {
    let Some(size) = plain_size(stored.size) else {
        let text = format!("no encrypted artifact has {} bytes, as this one", stored.size);
        return Err(ErrorKind::Corrupt(text));
    };
    Ok(Info { size, checksum: None, ..stored })
}

/// The same in a listing, which also has what is no encrypted artifact: it has no bytes.
pub(crate) fn plain_entry(stored: Entry) -> Entry {
    Entry { size: plain_size(stored.size).unwrap_or(0), ..stored }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_follows_from_the_other() {
        let piece = PIECE as u64;
        for size in [0, 1, 15, 16, 17, piece - 1, piece, piece + 1, 2 * piece, 1 << 40, 1 << 62] {
            let sealed = sealed_size(size).unwrap();
            assert_eq!(plain_size(sealed), Some(size));
        }
        assert_eq!(sealed_size(0), Some(2048 + 16 + 16));
        assert_eq!(sealed_size(piece + 1), Some(2048 + 16 + 65552 + 17));
        assert_eq!(sealed_size(u64::MAX - 5), None);
    }

    #[test]
    fn what_is_no_size_of_an_encrypted_artifact_is_none() {
        let whole = (HEAD + SEALED_PIECE) as u64;
        for sealed in [0, 1, 2047, 2064, 2079, whole + 1, whole + 15, whole + 16] {
            assert_eq!(plain_size(sealed), None, "{sealed}");
        }
        assert_eq!(plain_size(2080), Some(0));
        assert_eq!(plain_size(whole + 17), Some(65537));
    }
}
