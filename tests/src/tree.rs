//! What a test compares to see that nothing was changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// All that can be seen of a tree: contents, times, permissions, links.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let content = if about.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if about.is_symlink() {
            format!("{:?}", fs::read_link(&path).unwrap())
        } else {
            fs::read_to_string(&path).unwrap()
        };
        let times = (about.mtime(), about.mtime_nsec());
        let about = (about.mode(), about.nlink(), about.ino(), about.len());
        seen.insert(path, format!("{about:?} {times:?} {content}"));
    }
    seen
}
