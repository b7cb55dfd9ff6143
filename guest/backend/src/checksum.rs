//! The checksum of the contract, CRC-64/NVME, which S3 uses, too.

use crc::{CRC_64_NVME, Crc, Table};

/// From how many bytes on a larger table is faster although it has to be computed first. As a
/// constant it would be an eighth of a small component.
const WORTH_A_TABLE: usize = 16 << 10;

/// The polynomial; its highest bit is the coefficient of `x` to the power of 0.
const POLYNOMIAL: u64 = CRC_64_NVME.poly.reverse_bits();

/// The checksum of these bytes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    static CRC: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_NVME);
    if bytes.len() < WORTH_A_TABLE {
        CRC.checksum(bytes)
    } else {
        Crc::<u64, Table<16>>::new(&CRC_64_NVME).checksum(bytes)
    }
}

/// The checksum of data with the checksum `first`, followed by `size` bytes with the checksum
/// `next`. With it each byte of an artifact in parts is read once.
#[must_use]
pub fn joined(first: u64, next: u64, size: u64) -> u64 {
    // The later bytes shift the earlier ones: by `x` to the power of the later ones' bits.
    let (mut moved, mut by, mut left) = (first, 1 << (63 - 8), size);
    while left > 0 {
        if left & 1 == 1 {
            moved = product(moved, by);
        }
        by = product(by, by);
        left >>= 1;
    }
    moved ^ next
}

/// The product of two polynomials over GF(2), modulo the one of the checksum.
fn product(a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    for bit in (0..64).rev() {
        if a >> bit & 1 == 1 {
            product ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_one_of_the_standard() {
        assert_eq!(checksum(b"123456789"), CRC_64_NVME.check);
        assert_eq!(checksum(b""), 0);
        assert_eq!(joined(checksum(b"1234"), checksum(b"56789"), 5), CRC_64_NVME.check);
    }

    #[test]
    fn both_tables_come_to_the_same() {
        let bytes: Vec<u8> = (0..WORTH_A_TABLE).map(|n| (n * 7 % 251) as u8).collect();
        let small = Crc::<u64, Table<1>>::new(&CRC_64_NVME);
        assert_eq!(checksum(&bytes), small.checksum(&bytes));
    }

    proptest! {
        #[test]
        fn two_parts_are_joined_as_if_they_were_one(
            first in proptest::collection::vec(any::<u8>(), 0..300),
            next in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let joined = joined(checksum(&first), checksum(&next), next.len() as u64);
            prop_assert_eq!(joined, checksum(&[first, next].concat()));
        }
    }
}
