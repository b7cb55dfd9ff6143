//! The rules of the contract for attributes.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The most bytes of all names and values of an artifact.
pub const MAX_LEN: usize = 2048;

/// The longest name in bytes.
pub const MAX_NAME: usize = 128;

/// The names with the meaning of the HTTP headers that are called so.
pub const STANDARD: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
];

/// How much of a name is shown.
const SHOWN: usize = 64;

/// What is wrong with attributes. In the contract this is the error `other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Invalid {}

#[cfg(target_family = "wasm")]
impl From<Invalid> for crate::Error {
    fn from(Invalid(why): Invalid) -> Self {
        Self::Other(why)
    }
}

/// Attributes as names and values, for [`check`].
#[cfg(target_family = "wasm")]
pub fn pairs(attributes: &[crate::Attribute]) -> impl Iterator<Item = (&str, &str)> {
    attributes.iter().map(|attribute| (attribute.name.as_str(), attribute.value.as_str()))
}

/// Checks the names and values of one artifact against the contract.
///
/// # Errors
///
/// A text for people that says what is wrong with them.
pub fn check<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), Invalid> {
    let (mut seen, mut len) = (BTreeSet::new(), 0);
    for (name, value) in attributes {
        check_one(name, value)?;
        len += name.len() + value.len();
        if len > MAX_LEN {
            return Err(Invalid(format!("all attributes have more than {MAX_LEN} bytes together")));
        }
        if !seen.insert(name) {
            return Err(Invalid(format!("there are two attributes `{name}`")));
        }
    }
    Ok(())
}

fn check_one(name: &str, value: &str) -> Result<(), Invalid> {
    let is_part = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let begins = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    let problem = if name.len() > MAX_NAME || !begins || !name.bytes().all(is_part) {
        "must have 1 to 128 lower-case letters, digits and `-`, and begin with a letter"
    } else if value.chars().any(char::is_control) {
        "must not have a value with a control character"
    } else if value.trim() != value {
        "must not have a value that begins or ends with white space"
    } else if STANDARD.contains(&name) && !value.is_ascii() {
        "must have a value in ASCII"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    Err(Invalid(format!("the attribute `{shown}` {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_have_a_form() {
        let longest: String = "n".repeat(MAX_NAME);
        for pair in [
            ("a", ""),
            ("a-1-", "x  y"),
            (&*longest, "é 😀"),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", "é"),
        ] {
            assert_eq!(check([pair]), Ok(()), "{pair:?}");
        }
        for pair in [
            ("", ""),
            ("A", ""),
            ("1a", ""),
            ("-a", ""),
            ("a_b", ""),
            ("é", ""),
            (&*(longest.clone() + "n"), ""),
            ("a", "\n"),
            ("a", "x\u{85}y"),
            ("a", " x"),
            ("a", "x\u{a0}"),
            ("cache-control", "é"),
        ] {
            assert!(check([pair]).is_err(), "{pair:?}");
        }
    }

    #[test]
    fn all_together_have_a_limit_and_no_name_twice() {
        let half = "x".repeat(MAX_LEN / 2 - 1);
        assert_eq!(check([("a", &*half), ("b", &*half)]), Ok(()));
        assert!(check([("a", &*half), ("b", &*half), ("c", "")]).is_err());
        assert!(check([("a", "1"), ("b", ""), ("a", "1")]).is_err());
    }
}
