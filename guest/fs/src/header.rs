//! The header of an artifact's file, which precedes the payload.

use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::key;

/// The first bytes of every file of this store. Those after the letters reveal a transfer that
/// treated the file as text.
const MAGIC: [u8; 8] = *b"\x89ART\r\n\x1a\n";

/// The version that this code writes, and the newest that it reads.
pub const VERSION: u16 = 1;

/// Bytes before the key.
const FIXED: usize = 32;

/// Bytes of the checksum after the key.
const SEAL: usize = 8;

/// The longest header in bytes.
pub const MAX_LEN: usize = FIXED + key::MAX_LEN + SEAL;

/// What a file says about its artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The artifact's key.
    pub key: String,
    /// The payload's size in bytes.
    pub size: u64,
    /// The payload's CRC-64/NVME.
    pub checksum: u64,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Damaged, or not a file of this store.
    Damaged(&'static str),
    /// Written by a later version.
    Newer(u16),
}

/// The number of bytes before the payload of an artifact with this key.
pub fn len(key: &str) -> usize {
    FIXED + key.len() + SEAL
}

impl Header {
    /// The bytes of the header, [`len`] of them.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len(&self.key));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        // A key is checked before anything is stored under it: its length fits.
        bytes.extend(u16::try_from(self.key.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
        bytes.extend(self.key.as_bytes());
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`, which may go on behind it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        use Fault::Damaged;
        let mut rest = bytes;
        if take(&mut rest)? != MAGIC {
            return Err(Damaged("it does not begin with the header of an artifact"));
        }
        let version = u16::from_le_bytes(take(&mut rest)?);
        let key_len = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let flags = take::<4>(&mut rest)?;
        let size = u64::from_le_bytes(take(&mut rest)?);
        let payload = u64::from_le_bytes(take(&mut rest)?);
        let key = rest.split_off(..key_len).ok_or(Damaged("its header is incomplete"))?;
        let seal = u64::from_le_bytes(take(&mut rest)?);
        if checksum(&bytes[..FIXED + key_len]) != seal {
            return Err(Damaged("its header does not match its checksum"));
        }
        // Every version has that checksum, so that a damaged version does not pass for a later
        // one; what else there is to check it may define otherwise.
        if version > VERSION {
            return Err(Fault::Newer(version));
        }
        let key = core::str::from_utf8(key).ok().filter(|key| key::check(key).is_ok());
        match key {
            Some(key) if version == VERSION && flags == [0; 4] => {
                Ok(Self { key: key.into(), size, checksum: payload })
            }
            _ => Err(Damaged("its header has a value that no version writes")),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (taken, behind) =
        rest.split_first_chunk().ok_or(Fault::Damaged("its header is incomplete"))?;
    *rest = behind;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header { key: "k".into(), size: 3, checksum: checksum(&[1, 2, 3]) }
    }

    #[test]
    fn a_header_comes_back_whatever_follows_it() {
        for key in ["k", "a/b", &"é".repeat(512)] {
            let header = Header { key: key.into(), size: u64::MAX, checksum: 1 };
            let mut bytes = header.encode();
            assert_eq!(bytes.len(), len(key));
            assert!(bytes.len() <= MAX_LEN);
            bytes.extend(b"payload");
            assert_eq!(Header::decode(&bytes), Ok(header));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = sample().encode();
        for cut in 0..whole.len() {
            assert!(Header::decode(&whole[..cut]).is_err(), "{cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let decoded = Header::decode(&bytes);
            assert!(matches!(decoded, Err(Fault::Damaged(_))), "{bit}: {decoded:?}");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut bytes = sample().encode();
        bytes[8] = 2;
        assert!(matches!(Header::decode(&bytes), Err(Fault::Damaged(_))));
        let sealed = bytes.len() - SEAL;
        let seal = checksum(&bytes[..sealed]);
        bytes[sealed..].copy_from_slice(&seal.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(Fault::Newer(2)));
    }

    /// The examples in the documentation, byte for byte.
    #[test]
    fn the_published_files_hold() {
        let page = include_str!("../../../docs/format.md");
        let blocks: Vec<_> = page.split("```hex").skip(1).map(bytes_of).collect();
        let empty = Header { key: "é".into(), size: 0, checksum: checksum(b"") };
        assert_eq!(blocks, [[&*sample().encode(), &[1, 2, 3]].concat(), empty.encode()]);
    }

    /// The bytes of a block of hexadecimal digits, up to its closing fence.
    fn bytes_of(block: &str) -> Vec<u8> {
        let digits = block.split("```").next().unwrap_or_default().split_whitespace();
        digits.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect()
    }
}
