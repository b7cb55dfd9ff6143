//! Which attributes are allowed.

use crate::artifact::storage::types::{Attribute, Error};

const STANDARD: [&str; 5] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
];

pub(crate) fn check(attributes: &[Attribute]) -> Result<(), Error> {
    let size: usize = attributes.iter().map(|it| it.name.len() + it.value.len()).sum();
    let is_fine = |Attribute { name, value }: &Attribute| {
        let is_part = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        (1..=128).contains(&name.len())
            && name.as_bytes()[0].is_ascii_lowercase()
            && name.bytes().all(is_part)
            && !value.chars().any(char::is_control)
            && value.trim() == value
            && (value.is_ascii() || !STANDARD.contains(&&**name))
    };
    match size <= 2048 && attributes.iter().all(is_fine) {
        true => Ok(()),
        false => Err(Error::Other("an attribute is not allowed".into())),
    }
}
