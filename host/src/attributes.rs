//! Attributes: names and texts that belong to an artifact beside its bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::bindings::types::Attribute;
use crate::text::{foreign, quoted};

/// The most bytes of all names and values of an artifact.
pub(crate) const MOST: usize = 2048;

/// The longest name in bytes.
const NAME: usize = 128;

/// The names that HTTP has.
const STANDARD: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
];

/// What the name of an attribute begins with that stands for a name that no attribute can have. Each
/// byte that no such name has follows as `-` and two hexadecimal digits.
const ESCAPED: &str = "meta-";

/// What names begin with that a server of S3 keeps for itself.
const RESERVED: &str = "s3-";

/// Attributes of an artifact: names, each with a value. A backend keeps them with the artifact and
/// gives them no meaning.
///
/// A name is `content-type`, `content-encoding`, `content-disposition`, `content-language` or
/// `cache-control`, with the meaning of the HTTP header, or one of your own: 1 to 128 lower-case
/// ASCII letters, digits and `-`, of which the first is a letter. A value has no control characters
/// and neither begins nor ends with white space; a value of one of the five names is ASCII. All
/// together have at most 2048 bytes.
///
/// ```
/// use artifact_store::Attributes;
///
/// let attributes = Attributes::new().with("content-type", "text/plain").with("build", "17");
/// assert_eq!(attributes.get("build"), Some("17"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more, in place of one of that name. Whether it is valid is checked when
    /// the artifact is stored.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The same with one more whose name may be any text, as object stores have them in metadata of
    /// users. A name that is no name of an attribute, is one of the five of HTTP, or begins with
    /// `s3-`, is stored escaped: `test_key` as `meta-test-5fkey`. Two names never meet.
    ///
    /// ```
    /// use artifact_store::Attributes;
    ///
    /// let attributes = Attributes::new().with_metadata("test_key", "1").with_metadata("build", "2");
    /// assert_eq!(attributes.get("meta-test-5fkey"), Some("1"));
    /// let metadata: Vec<_> = attributes.metadata().collect();
    /// assert_eq!(metadata, [("build".into(), "2"), ("test_key".into(), "1")]);
    /// ```
    #[must_use]
    pub fn with_metadata(self, name: &str, value: impl Into<String>) -> Self {
        self.with(escaped(name), value)
    }

    /// All but the five that HTTP has, and those of servers of S3, which begin with `s3-`. The names
    /// are those that [`with_metadata`](Self::with_metadata) took.
    pub fn metadata(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        let is_own = |name: &str| !STANDARD.contains(&name) && !name.starts_with(RESERVED);
        let own = self.iter().filter(move |(name, _)| is_own(name));
        own.map(|(name, value)| (unescaped(name), value))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why these are not valid (attribute-1 to attribute-3).
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, value) in self.iter() {
            check(name, value)?;
        }
        let size: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        match size > MOST {
            true => Err(format!("all attributes have {size} bytes; {MOST} are allowed")),
            false => Ok(()),
        }
    }

    /// What a backend answered, if it is valid.
    pub(crate) fn answered(attributes: Vec<Attribute>) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        for Attribute { name, value } in attributes {
            // Before more of an endless list is kept.
            check(&name, &value)?;
            if let Some(twice) = found.insert(name, value) {
                return Err(format!("an attribute is there twice, the first with {twice:?}"));
            }
            if found.len() > MOST {
                return Err("it has too many attributes".into());
            }
        }
        let attributes = Self(found);
        attributes.check().map(|()| attributes)
    }

    /// As the contract has them.
    pub(crate) fn list(&self) -> Vec<Attribute> {
        let attribute = |(name, value): (&str, &str)| Attribute {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        self.iter().map(attribute).collect()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(attributes: I) -> Self {
        attributes.into_iter().fold(Self::new(), |all, (name, value)| all.with(name, value))
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, value)) in self.iter().enumerate() {
            let between = if n == 0 { "" } else { ", " };
            write!(f, "{between}{name}: {}", foreign(value))?;
        }
        Ok(())
    }
}

fn check(name: &str, value: &str) -> Result<(), String> {
    let shown = || quoted(name);
    let is_part = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_name = name.len() <= NAME
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(is_part);
    if !is_name {
        let text = "is not a name: it has 1 to 128 lower-case letters, digits and `-`";
        return Err(format!("{} {text}", shown()));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("the value of {} has a control character", shown()));
    }
    if value.trim() != value {
        return Err(format!("the value of {} begins or ends with white space", shown()));
    }
    if STANDARD.contains(&name) && !value.is_ascii() {
        return Err(format!("the value of {} is not ASCII", shown()));
    }
    Ok(())
}

fn escaped(name: &str) -> Cow<'_, str> {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|c| is_plain(c) || c == b'-');
    let is_taken =
        STANDARD.contains(&name) || name.starts_with(ESCAPED) || name.starts_with(RESERVED);
    if is_name && !is_taken {
        return name.into();
    }
    let mut all = ESCAPED.to_owned();
    for byte in name.bytes() {
        match is_plain(byte) {
            true => all.push(byte.into()),
            // To write to a string cannot fail.
            false => drop(write!(all, "-{byte:02x}")),
        }
    }
    all.into()
}

/// The name that is stored so. One that nothing is stored as stands for itself.
fn unescaped(name: &str) -> Cow<'_, str> {
    let found = name.strip_prefix(ESCAPED).and_then(|rest| {
        let mut parts = rest.split('-');
        let mut bytes = parts.next()?.as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).ok()
    });
    found.filter(|found| escaped(found) == name).map_or(name.into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_metadata_comes_back_and_never_meets_another() {
        for (name, stored) in [
            ("build", "build"),
            ("a-b", "a-b"),
            ("test_key", "meta-test-5fkey"),
            ("Upper", "meta--55pper"),
            ("1st", "meta-1st"),
            ("meta-x", "meta-meta-2dx"),
            ("s3-parts", "meta-s3-2dparts"),
            ("content-type", "meta-content-2dtype"),
            ("é", "meta--c3-a9"),
            ("", "meta-"),
        ] {
            assert_eq!(escaped(name), stored);
            assert_eq!(unescaped(stored), name);
        }
        // Somebody else's.
        for stored in ["meta-a-", "meta-a-zz", "meta-build", "meta--ff", "meta-a-é"] {
            assert_eq!(unescaped(stored), stored);
        }
    }

    #[test]
    fn what_a_server_keeps_is_no_metadata_of_users() {
        let all = Attributes::new().with("s3-parts", "1").with_metadata("s3-parts", "2");
        assert_eq!(all.metadata().collect::<Vec<_>>(), [("s3-parts".into(), "2")]);
        assert_eq!(all.get("s3-parts"), Some("1"));
    }

    #[test]
    fn what_is_not_allowed_is_said() {
        let long = "x".repeat(NAME + 1);
        for (name, value) in [
            ("", ""),
            ("Upper", ""),
            ("1st", ""),
            ("a_b", ""),
            (&*long, ""),
            ("a", "\n"),
            ("a", " x"),
            ("a", "x\u{a0}"),
            ("content-type", "é"),
        ] {
            assert!(Attributes::new().with(name, value).check().is_err(), "{name:?}: {value:?}");
        }
        let fits = Attributes::new().with("a", "x".repeat(MOST - 1)).with("content-type", "");
        assert!(fits.check().is_err());
        assert!(Attributes::new().with("a", "é".repeat((MOST - 1) / 2)).check().is_ok());
    }
}
