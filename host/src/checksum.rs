//! The checksum of every artifact: CRC-64/NVME, computed while the bytes pass.

use crc_fast::{CrcAlgorithm, Digest};

/// A running CRC-64/NVME, and the number of bytes that it covers.
pub(crate) struct Checksum {
    digest: Digest,
    size: u64,
}

impl Checksum {
    pub(crate) fn new() -> Self {
        Self { digest: Digest::new(CrcAlgorithm::Crc64Nvme), size: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Number of bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn value(&self) -> u64 {
        self.digest.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result is the check value of the CRC catalogue, and splitting the input does not change
    /// it.
    #[test]
    fn agrees_with_the_published_check_value() {
        let mut whole = Checksum::new();
        whole.update(b"123456789");
        assert_eq!(whole.value(), 0xAE8B_1486_0A79_9888);
        let mut parts = Checksum::new();
        parts.update(b"1234");
        parts.update(b"");
        parts.update(b"56789");
        assert_eq!((parts.value(), parts.size()), (whole.value(), 9));
        assert_eq!(Checksum::new().value(), 0);
    }
}
