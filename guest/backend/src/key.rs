//! The rules of the contract for keys.

use core::fmt;

/// The longest key in bytes.
pub const MAX_LEN: usize = 1024;

/// What is wrong with a key. In the contract this is the error `invalid-key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Invalid {}

#[cfg(target_family = "wasm")]
impl From<Invalid> for crate::Error {
    fn from(Invalid(why): Invalid) -> Self {
        Self::InvalidKey(why.into())
    }
}

/// Checks a key against the contract.
///
/// # Errors
///
/// A text for people that says what is wrong with it.
pub fn check(key: &str) -> Result<(), Invalid> {
    match key {
        "" => Err(Invalid("it is empty")),
        _ if key.len() > MAX_LEN => Err(Invalid("it has more than 1024 bytes")),
        _ if key.chars().any(char::is_control) => Err(Invalid("it holds a control character")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn a_key_has_1_to_1024_bytes_and_no_control_character() {
        let longest: String = "é".repeat(MAX_LEN / 2);
        for key in ["k", " ", "/", "..", "\u{a0}", "\u{feff}", &longest] {
            assert_eq!(check(key), Ok(()), "{key:?}");
        }
        for key in ["", "\0", "a\n", "\u{7f}", "\u{85}", &(longest + "k")] {
            assert!(check(key).is_err(), "{key:?}");
        }
    }
}
