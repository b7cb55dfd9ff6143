//! Keys, bytes, errors and answers as a report shows them.

use crate::bindings::types;
use crate::checksum::Checksum;
use crate::error::ErrorKind;
use crate::text;

/// A key: whole if it is short, else its two ends and its length.
pub(super) fn shown(key: &str) -> String {
    const SHORT: usize = 60;
    if key.len() <= SHORT {
        return format!("{key:?}");
    }
    let (start, end) = (key.floor_char_boundary(SHORT / 2), key.ceil_char_boundary(key.len() - 12));
    format!("{:?}…{:?} ({} bytes)", &key[..start], &key[end..], key.len())
}

/// Bytes: short text as it is, else their number and checksum.
pub(super) fn shown_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 40 && !text.contains(char::is_control) => format!("{text:?}"),
        _ => {
            let mut checksum = Checksum::new();
            checksum.update(bytes);
            format!("{} bytes (CRC {:016x})", bytes.len(), checksum.value())
        }
    }
}

pub(super) fn cursor_shown(cursor: Option<&str>) -> String {
    cursor.map_or("none".into(), |cursor| format!("some({})", shown(cursor)))
}

/// The case of an error and its text.
pub(super) fn error_shown(kind: &ErrorKind) -> String {
    let text = kind.to_string();
    let text = &text[..text.floor_char_boundary(200)];
    format!("err({}: {})", kind.name(), text.escape_debug())
}

/// The causes of an error, of which a trap has some.
pub(super) fn cause_shown(kind: &ErrorKind) -> Option<String> {
    std::error::Error::source(kind).map(text::chain)
}

pub(super) fn info_shown(info: &types::Info) -> String {
    let checksum = info.checksum.map_or("none".into(), |checksum| format!("{checksum:016x}"));
    format!("ok(size {}, checksum {checksum})", info.size)
}

pub(super) fn page_shown(items: Vec<String>, next: Option<&str>) -> String {
    const MOST: usize = 12;
    let count = items.len();
    let mut text = items.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    if count > MOST {
        text.push_str(&format!(", … {count} in all"));
    }
    format!("ok([{text}], next: {})", cursor_shown(next))
}
