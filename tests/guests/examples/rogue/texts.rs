//! Texts for people that are no such thing.

use crate::artifact::storage::types::{Error, Info, Instant};
use crate::exports::artifact::storage::inventory;
use crate::{Rogue, info, pages};

impl inventory::Guest for Rogue {
    /// Each case of an error with a text of its own.
    async fn stat(key: String) -> Result<Info, Error> {
        Err(match key.as_str() {
            "controls" => Error::InvalidKey((0..32_u8).map(char::from).collect()),
            "bidi" => Error::AccessDenied("\u{202e}drowssap\u{2066}\u{200b}\u{feff}".into()),
            "newline" => Error::NoSpace("full\r\n2026-01-01T00:00:00Z  INFO a line".into()),
            "nul" => Error::Corrupt("\0".repeat(10_000)),
            "escapes" => Error::Unavailable("\x1b]0;title\x07\x1b[2J\u{9b}31m".repeat(100)),
            "hyperlink" => Error::Unsupported("\x1b]8;;file:///etc\x1b\\here\x1b]8;;\x1b\\".into()),
            "long" => Error::Other("a".repeat(10 << 20)),
            "wide" => Error::Other("\u{1F600}\u{202e}".repeat(1 << 20)),
            "huge" => Error::Other("a".repeat(60 << 20)),
            "limit-0" => Error::TooLarge(0),
            "limit-max" => Error::TooLarge(u64::MAX),
            "exists" => Error::AlreadyExists,
            "range" => Error::InvalidRange,
            "nanoseconds" => {
                let modified = Some(Instant { seconds: -1, nanoseconds: u32::MAX });
                return Ok(Info { modified, ..info(0) });
            }
            "after-all-times" => {
                let modified = Some(Instant { seconds: i64::MAX, nanoseconds: 999_999_999 });
                return Ok(Info { modified, ..info(0) });
            }
            _ => Error::NotFound,
        })
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        _: u32,
    ) -> Result<inventory::Page, Error> {
        pages::listed(&prefix, cursor)
    }
}
