//! Entity tags.

use std::fmt::Write;

use artifact_store::Info;
use s3s::dto::ETag;

/// The tag of a generation of an artifact; `None` if nothing tells one from another of its size. The
/// dash tells clients that it is no MD5.
pub(crate) fn of(info: &Info) -> Option<ETag> {
    let of_content = |checksum| of_content(checksum, info.size);
    info.version.as_deref().map(of_version).or_else(|| info.checksum.map(of_content))
}

/// The tag of a part: the same bytes have the same one, so that a part may be sent twice, and what
/// was said of it first still holds.
pub(crate) fn of_part(info: &Info) -> Option<ETag> {
    info.checksum.map(|checksum| of_content(checksum, info.size)).or_else(|| of(info))
}

fn of_content(checksum: u64, size: u64) -> ETag {
    ETag::Strong(format!("{checksum:016x}{size:x}-1"))
}

/// The tag of a generation whose version is known. Characters that clients might not send back as they are
/// follow as `-` and two hexadecimal digits a byte.
pub(crate) fn of_version(version: &str) -> ETag {
    let mut tag = String::with_capacity(version.len() + 2);
    for byte in version.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => tag.push(byte.into()),
            // To write to a string cannot fail.
            false => drop(write!(tag, "-{byte:02x}")),
        }
    }
    tag.push_str("-1");
    ETag::Strong(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_never_have_one_tag() {
        let tags = ["a", "a-1", "a_1", "\"a\"", "a-2d1", "é"].map(of_version);
        for (n, tag) in tags.iter().enumerate() {
            assert!(tag.value().bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'));
            assert!(!tags[..n].contains(tag), "{tag:?}");
        }
    }
}
