//! The calls that a check can make, in a form that can be shown and repeated.

use std::fmt;

use bytes::Bytes;

use super::direct::Upload;
use super::shown::{cursor_shown, shown, shown_bytes};
use crate::Mode;

/// One call with its arguments.
#[derive(Clone)]
pub(super) enum Step {
    Put(String, Bytes),
    Get(String),
    Delete(String),
    DeleteIf {
        key: String,
        version: String,
    },
    Write(String, Upload),
    Read {
        key: String,
        range: (u64, Option<u64>),
        /// After how many bytes the reader drops the stream.
        take: Option<usize>,
    },
    Copy {
        source: String,
        /// That of the target, which it changes.
        key: String,
        mode: Mode,
    },
    Stat(String),
    List {
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    },
    ListOrdered {
        prefix: String,
        after: Option<String>,
        delimiter: Option<String>,
        limit: u32,
    },
    Audit {
        cursor: Option<String>,
        limit: u32,
    },
    Sweep(u64),
    DropInstances,
}

impl Step {
    /// The key that it is about; empty if it has none.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Put(key, _) | Self::Get(key) | Self::Delete(key) | Self::Write(key, _) => key,
            Self::DeleteIf { key, .. } | Self::Read { key, .. } => key,
            Self::Copy { key, .. } | Self::Stat(key) => key,
            Self::List { .. } | Self::ListOrdered { .. } | Self::Audit { .. } => "",
            Self::Sweep(_) | Self::DropInstances => "",
        }
    }

    /// Whether it changes an artifact if it succeeds.
    pub(super) fn is_change(&self) -> bool {
        let is_deletion = matches!(self, Self::Delete(_) | Self::DeleteIf { .. });
        is_deletion || matches!(self, Self::Put(..) | Self::Write(..) | Self::Copy { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(key, data) => write!(f, "put({}, {})", shown(key), shown_bytes(data)),
            Self::Get(key) => write!(f, "get({})", shown(key)),
            Self::Delete(key) => write!(f, "delete({})", shown(key)),
            Self::DeleteIf { key, version } => write!(f, "delete-if({}, {version:?})", shown(key)),
            Self::Write(key, upload) => f.write_str(&upload_shown(key, upload)),
            Self::Read { key, range: (offset, length), take } => {
                let length = length.map_or("none".into(), |length| format!("some({length})"));
                write!(f, "read({}, {offset}, {length})", shown(key))?;
                match take {
                    Some(take) => write!(f, ", of which {take} bytes are taken"),
                    None => Ok(()),
                }
            }
            Self::Copy { source, key, mode } => {
                let (source, key, mode) = (shown(source), shown(key), mode_shown(mode));
                write!(f, "copy-artifact({source}, {key}, {mode})")
            }
            Self::Stat(key) => write!(f, "stat({})", shown(key)),
            Self::List { prefix, cursor, limit } => {
                let from = cursor_shown(cursor.as_deref());
                write!(f, "list-artifacts({}, {from}, {limit})", shown(prefix))
            }
            Self::ListOrdered { prefix, after, delimiter, limit } => {
                let (after, delimiter) =
                    (cursor_shown(after.as_deref()), cursor_shown(delimiter.as_deref()));
                write!(f, "list-ordered({}, {after}, {delimiter}, {limit})", shown(prefix))
            }
            Self::Audit { cursor, limit } => {
                write!(f, "audit({}, {limit})", cursor_shown(cursor.as_deref()))
            }
            Self::Sweep(older_than_seconds) => write!(f, "sweep({older_than_seconds})"),
            Self::DropInstances => f.write_str("all instances are dropped"),
        }
    }
}

fn mode_shown(mode: &Mode) -> String {
    match mode {
        Mode::Overwrite => "overwrite".into(),
        Mode::Create => "create".into(),
        Mode::Replace(version) => format!("replace({version:?})"),
    }
}

fn upload_shown(key: &str, upload: &Upload) -> String {
    let mode = mode_shown(&upload.options.mode);
    let size = upload.options.size.map_or(String::new(), |size| format!(", size {size}"));
    let end = match &upload.end {
        Ok(seal) => format!("ok(size {}, checksum {:016x})", seal.size, seal.checksum),
        Err(why) => format!("err({why:?})"),
    };
    let order = upload.order();
    let data = shown_bytes(&upload.chunks.concat());
    format!("write({}, {data}, end{order}: {end}, {mode}{size})", shown(key))
}
