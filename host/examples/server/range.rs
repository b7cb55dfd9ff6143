//! The header `Range` with one range of bytes, and the tag that tells two versions apart.

use artifact_store::{Info, ReadOptions};
use axum::http::{HeaderMap, HeaderName, header};

/// A range as the client asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From this byte on, so many at most.
    From(u64, Option<u64>),
    /// The last bytes, so many at most.
    Last(u64),
}

impl Range {
    /// None where there is none to be followed: a server may answer with everything then.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let (first, last) =
            text(headers, header::RANGE)?.strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            return Some(Self::Last(last.parse().ok()?));
        }
        let first: u64 = first.parse().ok()?;
        if last.is_empty() {
            return Some(Self::From(first, None));
        }
        let last: u64 = last.parse().ok()?;
        // The range's end is its last byte.
        Some(Self::From(first, Some(last.checked_sub(first)?.saturating_add(1))))
    }

    /// The same for an artifact of this size.
    pub fn within(self, size: u64) -> ReadOptions {
        let (offset, length) = match self {
            Self::From(offset, length) => (offset, length),
            Self::Last(length) => (size - length.min(size), Some(length)),
        };
        ReadOptions::default().offset(offset).length(length)
    }
}

/// The checksum of the bytes; none where the backend keeps none.
pub fn etag(info: &Info) -> Option<String> {
    info.checksum.map(|checksum| format!("\"{checksum:016x}-{:x}\"", info.size))
}

/// Whether the client has this version already.
pub fn has(headers: &HeaderMap, info: &Info) -> bool {
    let (Some(held), Some(tag)) = (text(headers, header::IF_NONE_MATCH), etag(info)) else {
        return false;
    };
    held.split(',').map(|held| held.trim().trim_start_matches("W/")).any(|held| held == tag)
}

/// Whether a range is wanted of another version only, which this one is not.
pub fn is_of_another(headers: &HeaderMap, info: &Info) -> bool {
    text(headers, header::IF_RANGE).is_some_and(|held| etag(info).as_deref() != Some(held))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
