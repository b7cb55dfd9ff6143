//! The payload of an age file: pieces, each encrypted and authenticated with its number, and with
//! whether it is the last.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};

use super::size::{PIECE, TAG};
use crate::error::ErrorKind;

/// Encrypts the pieces of one artifact, in their order.
pub(crate) struct Sealer {
    cipher: ChaCha20Poly1305,
    number: u64,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: ChaCha20Poly1305::new(key.into()), number: 0 }
    }

    /// Encrypts the next piece, which is in `buffer` from `start` on, where it stands. Only the last
    /// one is not a whole piece.
    pub(crate) fn seal(
        &mut self,
        buffer: &mut Vec<u8>,
        start: usize,
        is_last: bool,
    ) -> Result<(), ErrorKind> {
        let failed = || ErrorKind::Other("cannot encrypt: the cipher refuses a piece".into());
        let piece = buffer.get_mut(start..).filter(|piece| piece.len() <= PIECE);
        let nonce = nonce(self.number, is_last);
        let tag = self.cipher.encrypt_in_place_detached(&nonce, b"", piece.ok_or_else(failed)?);
        buffer.extend_from_slice(&tag.map_err(|_| failed())?);
        self.number += 1;
        Ok(())
    }
}

/// Decrypts the pieces of one artifact, in any order.
pub(crate) struct Opener(ChaCha20Poly1305);

impl Opener {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(key.into()))
    }

    /// Decrypts the piece of this number where it stands; returns how many bytes it has.
    pub(crate) fn open(
        &self,
        piece: &mut [u8],
        number: u64,
        is_last: bool,
    ) -> Result<usize, ErrorKind> {
        let wrong = || ErrorKind::Corrupt(format!("its piece {number} does not decrypt"));
        let size = piece.len().checked_sub(TAG).ok_or_else(wrong)?;
        let (bytes, tag) = piece.split_at_mut(size);
        let opened = self.0.decrypt_in_place_detached(
            &nonce(number, is_last),
            b"",
            bytes,
            Tag::from_slice(tag),
        );
        opened.map_err(|_| wrong())?;
        Ok(size)
    }
}

/// Eleven bytes of number, and one that tells the last piece.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = is_last.into();
    nonce.into()
}
