//! The rules for keys, checked before a backend sees the key.

/// The longest key, in bytes of UTF-8. S3 has the same limit.
pub(crate) const MAX_LEN: usize = 1024;

/// Checks `key` against the contract: 1 to 1024 bytes of UTF-8 without control characters. The
/// error is a text for people.
pub(crate) fn check(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("it is empty; a key has at least 1 byte".into());
    }
    check_prefix(key)
}

/// Like [`check`], but a prefix may be empty: it selects every key.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > MAX_LEN {
        return Err(format!("it has {} bytes; a key has at most {MAX_LEN}", prefix.len()));
    }
    match prefix.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("it holds the control character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_exact() {
        assert!(check("").is_err());
        assert!(check(&"k".repeat(1024)).is_ok());
        assert!(check(&"k".repeat(1025)).is_err());
        // 1024 bytes, not characters.
        assert!(check(&"é".repeat(512)).is_ok());
        assert!(check(&"é".repeat(513)).is_err());
    }

    #[test]
    fn control_characters_are_refused_and_all_else_is_a_key() {
        for c in ["\0", "\n", "\x1b[2J", "\x7f", "\u{85}", "\u{9f}"] {
            assert!(check(&format!("a{c}b")).is_err(), "{c:?}");
        }
        for key in ["/", "..", "a//b", " ", "%41", "-h", "--", "😀", "中文", "\u{a0}", "\u{200b}"]
        {
            assert_eq!(check(key), Ok(()), "{key:?}");
        }
    }
}
