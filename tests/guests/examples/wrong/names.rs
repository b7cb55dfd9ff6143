//! Keys and the names of their files.

use std::path::{Path, PathBuf};

use crate::artifact::storage::types::Error;
use crate::fault;

pub(crate) const ARTIFACTS: &str = "/artifacts";

pub(crate) fn check(key: &str) -> Result<(), Error> {
    let is_wrong = key.is_empty() || key.len() > 1024 || key.chars().any(char::is_control);
    if is_wrong && !fault("no-key-check") || fault("short-keys") && key.len() > 255 {
        return Err(Error::InvalidKey("1 to 1024 bytes without control characters".into()));
    }
    Ok(())
}

/// The key's bytes in hexadecimal digits, cut into folders.
pub(crate) fn path(key: &str) -> Result<PathBuf, Error> {
    check(key)?;
    let mut key = key.to_owned();
    if fault("fold-case") {
        key = key.to_lowercase();
    }
    if fault("collapse-slashes") {
        key = key.replace("//", "/");
    }
    if fault("decode-percent") {
        key = key.replace("%2F", "/").replace("%20", " ").replace("%25", "%");
    }
    if fault("trim-spaces") {
        key = key.trim().to_owned();
    }
    if fault("cut-keys") {
        key.truncate(key.floor_char_boundary(255));
    }
    if fault("normalise") {
        key = key.replace("e\u{301}", "\u{e9}");
    }
    let mut path = PathBuf::from(ARTIFACTS);
    for part in key.as_bytes().chunks(100) {
        path.push(part.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    if key.is_empty() {
        path.push("empty");
    }
    path.set_extension("data");
    Ok(path)
}

pub(crate) fn key_of(path: &Path) -> Option<String> {
    let digits = path.with_extension("").strip_prefix(ARTIFACTS).ok()?.to_str()?.replace('/', "");
    let bytes =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    let key = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
    Some(if fault("plus-for-space") { key.replace(' ', "+") } else { key })
}
