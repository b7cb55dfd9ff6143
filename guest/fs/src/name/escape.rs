//! The bytes of a key as letters that no filesystem changes, and back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Lower-case letters, digits, `-`, `_` and `.` stand for themselves (a last `.` does not,
/// since Windows drops it), `,` for `/`, `+x` for the upper-case letter `X`, and `%xx` for
/// every other byte. Appended to `encoded`.
pub fn encode(text: &str, encoded: &mut String) {
    encoded.reserve(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if at + 1 == text.len() => encoded.push_str("%2e"),
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            b'/' => encoded.push(','),
            b'A'..=b'Z' => encoded.extend(['+', char::from(byte.to_ascii_lowercase())]),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
}

/// Whether every byte of an encoding stands for itself.
pub fn is_plain(encoded: &str) -> bool {
    let stands = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    encoded.bytes().all(stands) && !encoded.ends_with('.')
}

/// At most `most` bytes from the beginning of an encoding, cut between two escapes.
pub fn beginning(encoded: &str, most: usize) -> &str {
    let is_whole =
        |cut: &&str| !cut.ends_with('+') && !cut.bytes().rev().take(2).any(|byte| byte == b'%');
    let mut cuts = (0..=most).rev().filter_map(|len| encoded.get(..len));
    cuts.find(is_whole).unwrap_or_default()
}

/// The bytes that read like this, if any. Other spellings of them are read as well: only encoding
/// them again tells.
pub fn decode(encoded: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => bytes.next()?.to_ascii_uppercase(),
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(core::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b',' => b'/',
            _ => byte,
        });
    }
    Some(decoded)
}
