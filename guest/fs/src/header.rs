//! The bytes in front of an artifact's payload.

use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::key;

/// Begins every file of ours. The bytes after the letters show where a transfer took the
/// file for text.
const MAGIC: [u8; 8] = *b"\x89ART\r\n\x1a\n";

/// The version that this code writes, and the newest that it reads.
pub const VERSION: u16 = 1;

/// Bytes before the key.
const FIXED: usize = 48;

/// Bytes of the checksum behind the attributes.
const SEAL: usize = 8;

/// The most bytes that the names and values of the attributes have together.
const ATTRIBUTES: usize = 2048;

/// The longest header without attributes in bytes.
pub const LIKELY_LEN: usize = FIXED + key::MAX_LEN + SEAL;

/// The longest header in bytes: each attribute has a byte at least, and four for its lengths.
pub const MAX_LEN: usize = LIKELY_LEN + 5 * ATTRIBUTES;

/// What a file says of its artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The artifact's key.
    pub key: String,
    /// The payload's size in bytes.
    pub size: u64,
    /// The payload's CRC-64/NVME.
    pub checksum: u64,
    /// The random number of this generation, after which its temporary was named.
    pub generation: [u8; 16],
    /// What the user said of the artifact: names and values.
    pub attributes: Vec<(String, String)>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Damaged, or never a file of ours.
    Damaged(&'static str),
    /// Written by a later version.
    Newer(u16),
}

/// How many bytes precede the payload of an artifact with this key and no attributes.
pub fn len(key: &str) -> usize {
    FIXED + key.len() + SEAL
}

impl Header {
    /// How many bytes precede the payload.
    pub fn start(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| 4 + name.len() + value.len());
        len(&self.key) + attributes.sum::<usize>()
    }

    /// The header's bytes; as many as [`start`](Self::start) says.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.start());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(short(self.key.len()));
        bytes.extend(short(self.start() - len(&self.key)));
        bytes.extend([0; 2]);
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
        bytes.extend(self.generation);
        bytes.extend(self.key.as_bytes());
        for (name, value) in &self.attributes {
            bytes.extend(short(name.len()));
            bytes.extend(short(value.len()));
            bytes.extend([name.as_bytes(), value.as_bytes()].concat());
        }
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`, which may go on behind it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        use Fault::Damaged;
        let mut rest = bytes;
        if take(&mut rest)? != MAGIC {
            return Err(Damaged("it does not begin as an artifact does"));
        }
        let version = u16::from_le_bytes(take(&mut rest)?);
        let key_len = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let attributes_len = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let flags = take::<2>(&mut rest)?;
        let size = u64::from_le_bytes(take(&mut rest)?);
        let payload = u64::from_le_bytes(take(&mut rest)?);
        let generation = take(&mut rest)?;
        let key = rest.split_off(..key_len).ok_or(CUT)?;
        let attributes = rest.split_off(..attributes_len).ok_or(CUT)?;
        let seal = u64::from_le_bytes(take(&mut rest)?);
        if checksum(&bytes[..FIXED + key_len + attributes_len]) != seal {
            return Err(Damaged("its header does not match its checksum"));
        }
        // Every version has that checksum, so that a damaged version does not pass for a later
        // one; what else there is to check it may define otherwise.
        if version > VERSION {
            return Err(Fault::Newer(version));
        }
        let key = core::str::from_utf8(key).ok().filter(|key| key::check(key).is_ok());
        match (key, read_attributes(attributes)) {
            (Some(key), Some(attributes)) if version == VERSION && flags == [0; 2] => {
                Ok(Self { key: key.into(), size, checksum: payload, generation, attributes })
            }
            _ => Err(Damaged("its header holds what no version writes")),
        }
    }
}

/// A length, which was checked to fit before anything was stored.
fn short(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()
}

/// The attributes that have these bytes, if they are any.
fn read_attributes(mut rest: &[u8]) -> Option<Vec<(String, String)>> {
    let (mut attributes, mut total) = (Vec::new(), 0);
    while !rest.is_empty() {
        let mut len = || take(&mut rest).ok().map(|len| usize::from(u16::from_le_bytes(len)));
        let lengths = [len()?, len()?];
        let mut text = |len| core::str::from_utf8(rest.split_off(..len)?).ok();
        let (name, value) = (text(lengths[0])?, text(lengths[1])?);
        total += name.len() + value.len();
        if name.is_empty() || total > ATTRIBUTES {
            return None;
        }
        attributes.push((name.into(), value.into()));
    }
    Some(attributes)
}

const CUT: Fault = Fault::Damaged("its header is cut");

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (taken, behind) = rest.split_first_chunk().ok_or(CUT)?;
    *rest = behind;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: [u8; 16] = *b"0123456789abcdef";

    fn sample() -> Header {
        let (key, checksum) = ("k".into(), checksum(&[1, 2, 3]));
        Header { key, size: 3, checksum, generation: GENERATION, attributes: Vec::new() }
    }

    #[test]
    fn a_header_comes_back_whatever_follows_it() {
        for key in ["k", "a/b", &"é".repeat(512)] {
            let header = Header { key: key.into(), size: u64::MAX, ..sample() };
            let mut bytes = header.encode();
            assert_eq!((bytes.len(), header.start()), (len(key), len(key)));
            assert!(bytes.len() <= LIKELY_LEN);
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
    fn attributes_come_back_and_are_bounded() {
        let text = |text: &str| text.to_owned();
        let shortest = (0..ATTRIBUTES).map(|_| (text("a"), text(""))).collect();
        for (attributes, is_sound) in [
            (vec![(text("content-type"), text("text/plain")), (text("é"), text(""))], true),
            (vec![(text("a"), "v".repeat(ATTRIBUTES - 1))], true),
            (vec![(text("a"), "v".repeat(ATTRIBUTES))], false),
            (vec![(text(""), text("v"))], false),
            (shortest, true),
        ] {
            let header = Header { key: "é".repeat(512), attributes, ..sample() };
            let bytes = header.encode();
            assert!(bytes.len() == header.start() && bytes.len() <= MAX_LEN);
            match Header::decode(&bytes) {
                Ok(found) => assert!(is_sound && found == header),
                Err(fault) => assert!(!is_sound, "{fault:?}"),
            }
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
        let empty = Header { key: "é".into(), size: 0, checksum: checksum(b""), ..sample() };
        let attributes = vec![("content-type".into(), "text/plain".into())];
        let described = Header { attributes, ..empty.clone() };
        let deletion = Header { size: 0, checksum: 0, ..sample() };
        let three = [&*sample().encode(), &[1, 2, 3]].concat();
        let files = [three, empty.encode(), described.encode(), deletion.encode()];
        assert_eq!(blocks, files);
    }

    /// The bytes of a block of hexadecimal digits, up to its closing fence.
    fn bytes_of(block: &str) -> Vec<u8> {
        let digits = block.split("```").next().unwrap_or_default().split_whitespace();
        digits.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect()
    }
}
