//! Versions: the ETag of an object without its quotes.

/// The longest version of the contract in bytes.
const MAX_LEN: usize = 256;

/// The version that an ETag states; `None` for a weak one, which may belong to several generations,
/// and for one that could mean something else in a condition.
#[must_use]
pub fn of_tag(tag: &str) -> Option<String> {
    let text = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    is_possible(text).then(|| text.to_owned())
}

/// Whether [`of_tag`] returns this text for any ETag. Services and proxies may read other texts as
/// a list, or as any version at all.
#[must_use]
pub fn is_possible(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'"' | b',');
    (1..=MAX_LEN).contains(&text.len())
        && text.bytes().all(is_plain)
        && text != "*"
        && !text.starts_with("W/")
}

/// The ETag of a version.
#[must_use]
pub fn tag(version: &str) -> String {
    format!("\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_tag_without_quotes() {
        for (found, version) in [
            ("\"0cc175b9c0f1b6a831c399e269772661\"", "0cc175b9c0f1b6a831c399e269772661"),
            ("0cc175b9-2", "0cc175b9-2"),
            ("\"a+/=\"", "a+/="),
        ] {
            assert_eq!(of_tag(found).as_deref(), Some(version));
            assert_eq!(of_tag(&tag(version)).as_deref(), Some(version));
        }
    }

    #[test]
    fn a_tag_that_is_ambiguous_is_no_version() {
        let long = "x".repeat(MAX_LEN + 1);
        for found in [
            "", "\"", "\"\"", "W/\"1\"", "\"W/1\"", "*", "\"*\"", "1, 2", "a\"b", "é", "a b", &long,
        ] {
            assert_eq!(of_tag(found), None, "{found}");
            assert!(!is_possible(found.trim_matches('"')), "{found}");
        }
    }
}
