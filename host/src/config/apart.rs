//! Directories that have to be separate, as far as the file itself shows it. Links in the paths
//! show only when a store is opened.

use std::path::{Component, Path};

use super::table::Problems;
use crate::grants::Directory;
use crate::text::foreign_name;

/// A directory of a store, and its line in the file.
pub(super) struct Named {
    pub(super) store: String,
    pub(super) directory: Directory,
    pub(super) at: usize,
}

/// Notes each directory that lies in another one, or is granted twice, if a backend may write one
/// of them.
pub(super) fn check(named: &[Named], problems: &mut Problems<'_>) {
    for (n, one) in named.iter().enumerate() {
        for other in &named[..n] {
            if let Some(text) = overlap(one, other) {
                // The later one in the file is reported.
                problems.add(one.at.max(other.at), text);
            }
        }
    }
}

fn overlap(one: &Named, other: &Named) -> Option<String> {
    let is_same_store = one.store == other.store;
    let (host, others) = (&one.directory.host, &other.directory.host);
    if !one.directory.writable && !other.directory.writable {
        return None;
    }
    let (inner, outer) = match (is_within(host, others), is_within(others, host)) {
        (true, true) if is_same_store => {
            let store = foreign_name(&one.store);
            let path = host.display();
            return Some(format!("store `{store}` has the directory `{path}` twice"));
        }
        // Two stores may share one.
        (true, true) | (false, false) => return None,
        (true, false) => (one, other),
        (false, true) => (other, one),
    };
    let of = match is_same_store {
        true => "of the same store".to_owned(),
        false => format!("of store `{}`", foreign_name(&outer.store)),
    };
    Some(format!(
        "the directory `{}` of store `{}` lies in `{}` {of}; a directory that a backend may write \
         neither holds nor lies in another one",
        inner.directory.host.display(),
        foreign_name(&inner.store),
        outer.directory.host.display(),
    ))
}

/// Whether `inner` is `outer` or lies in it, without regard to links on the way to `outer`.
fn is_within(inner: &Path, outer: &Path) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_ok_and(|rest| !rest.components().any(|step| step == Component::ParentDir))
}
