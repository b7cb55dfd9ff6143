//! Encoding the bytes of a key as characters that no filesystem changes, and decoding them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Appends the encoding of `key` to `encoded`. Lower-case letters, digits, `-`, `_` and `.` stay
/// unchanged (except a last `.`, since Windows drops it), `/` becomes `,`, an upper-case letter `X`
/// becomes `+x`, and every other byte becomes `%xx`.
pub fn encode(key: &str, encoded: &mut String) {
    encoded.reserve(key.len());
    for (at, byte) in key.bytes().enumerate() {
        match byte {
            b'.' if at + 1 == key.len() => encoded.push_str("%2e"),
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            b'/' => encoded.push(','),
            b'A'..=b'Z' => encoded.extend(['+', char::from(byte.to_ascii_lowercase())]),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
}

/// At most `most` bytes of the beginning of an encoding, cut between two escapes.
pub fn beginning(encoded: &str, most: usize) -> &str {
    let is_whole =
        |cut: &&str| !cut.ends_with('+') && !cut.bytes().rev().take(2).any(|byte| byte == b'%');
    let mut cuts = (0..=most).rev().filter_map(|len| encoded.get(..len));
    cuts.find(is_whole).unwrap_or_default()
}

/// The key with this encoding, if there is one. Other spellings of the key are accepted, too:
/// encode it again to compare.
pub fn decode(encoded: &str) -> Option<String> {
    let mut key = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        key.push(match byte {
            b'+' => bytes.next()?.to_ascii_uppercase(),
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(core::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b',' => b'/',
            _ => byte,
        });
    }
    String::from_utf8(key).ok()
}
