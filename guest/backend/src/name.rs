//! Names in a storage, and their keys.

use alloc::string::String;

/// What a name in the storage says about the key of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It spells out the key.
    Plain(String),
    /// The key is too long for a name, and is stored with the bytes.
    Hashed,
    /// The store gives no such name.
    Foreign,
}

/// These bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether this consists only of lower-case hexadecimal digits.
#[must_use]
pub fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex(&[]), "");
        assert_eq!(hex(&[0, 0x0a, 0xa0, 0xff]), "000aa0ff");
        assert!(is_hex("0123456789abcdef"));
        for text in ["0A", "g", "+1", "é"] {
            assert!(!is_hex(text), "{text}");
        }
    }
}
