//! Keys, times and versions as paths, times and entity tags.

use std::time::{SystemTime, UNIX_EPOCH};

use artifact_store::{Entry, Info};
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectMeta, PutResult};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What has a meaning in a list of entity tags.
const TAG: &AsciiSet = &CONTROLS.add(b'%').add(b',').add(b'*').add(b' ');

/// The path whose text is `key`, if there is one.
pub(crate) fn path(key: &str) -> Option<Path> {
    // `parse` ignores a slash at either end.
    Path::parse(key).ok().filter(|path| !key.is_empty() && path.as_ref() == key)
}

/// The entity tag of a version.
pub(crate) fn tag(version: &str) -> String {
    utf8_percent_encode(version, TAG).to_string()
}

/// The version of an entity tag; `None` if no version has it.
pub(crate) fn version(e_tag: &str) -> Option<String> {
    percent_decode_str(e_tag).decode_utf8().ok().map(Into::into)
}

pub(crate) fn of_info(location: Path, info: &Info) -> ObjectMeta {
    meta(location, info.size, info.modified, info.version.as_deref())
}

/// `None` if the key is no path.
pub(crate) fn of_entry(entry: &Entry) -> Option<ObjectMeta> {
    Some(meta(path(&entry.key)?, entry.size, entry.modified, entry.version.as_deref()))
}

pub(crate) fn put_result(info: &Info) -> PutResult {
    let e_tag = info.version.as_deref().map(tag);
    PutResult { e_tag, version: None, extensions: Default::default() }
}

fn meta(
    location: Path,
    size: u64,
    modified: Option<SystemTime>,
    version: Option<&str>,
) -> ObjectMeta {
    let last_modified = modified.and_then(utc).unwrap_or(DateTime::UNIX_EPOCH);
    ObjectMeta { location, last_modified, size, e_tag: version.map(tag), version: None }
}

/// `None` if the time is too far away.
fn utc(time: SystemTime) -> Option<DateTime<Utc>> {
    const SECOND: i128 = 1_000_000_000;
    let nanoseconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).ok()?,
        Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
    };
    let seconds = i64::try_from(nanoseconds.div_euclid(SECOND)).ok()?;
    let rest = u32::try_from(nanoseconds.rem_euclid(SECOND)).ok()?;
    DateTime::from_timestamp(seconds, rest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_a_key_that_is_a_path_has_one() {
        for key in ["a", "a/b", "a b", "%41", "é", "a/...", "*"] {
            assert_eq!(path(key).unwrap().as_ref(), key);
        }
        for key in ["", "/", "/a", "a/", "a//b", ".", "a/../b", "./a"] {
            assert_eq!(path(key), None, "{key}");
        }
    }

    #[test]
    fn a_version_comes_back_from_a_tag_that_is_one_of_a_list() {
        for text in ["0123abcd", "d41d8-3", "a, b", "*", "%2C", " x ", "\"q\"", "é"] {
            let tag = tag(text);
            assert!(!tag.contains([',', ' ', '*']), "{tag}");
            assert_eq!(version(&tag).as_deref(), Some(text));
        }
        assert_eq!(version("%ff"), None);
    }

    #[test]
    fn every_time_is_one_or_none() {
        let day = Duration::from_millis(86_400_500);
        assert_eq!(utc(UNIX_EPOCH + day).unwrap().timestamp_millis(), 86_400_500);
        assert_eq!(utc(UNIX_EPOCH - day).unwrap().timestamp_millis(), -86_400_500);
        assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(1 << 60)), None);
    }
}
