//! Reading a directory with one system call for each batch of names instead of one for each name,
//! and holding no more than a batch.
//!
//! WASI returns the name and the type of each entry. wasmtime examines every file to learn its
//! type; in a store of 4096 directories, each page of a listing pays for that. On nearly all
//! filesystems the directory itself has the type. In WASI 0.2 wasmtime also reads all names at
//! once, however many there are.

use std::ffi::CString;
use std::fs::File;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir as Names, DirEntry, FileType, Mode, OFlags, SeekFrom, openat, seek, statat,
};
use rustix::io::{Errno, Result, fcntl_dupfd_cloexec};
use wasmtime_wasi::filesystem::Dir;

/// How many entries are read before other calls may run.
pub(super) const BATCH: usize = 1024;

/// The entries of a directory that are not yet read.
pub(super) struct Entries {
    names: Names,
    /// Shows the next reader that this one exists.
    _in_use: Arc<File>,
}

/// A name in a directory, and its type.
pub(super) struct Entry {
    pub(super) name: CString,
    pub(super) kind: FileType,
}

impl Entries {
    /// Reads `dir` from the beginning. Two readers of one directory must not share a position: if
    /// another one may exist, the directory is opened again, which takes as long as reading it.
    pub(super) fn of(dir: &Dir) -> Result<Self> {
        let is_idle = Arc::strong_count(&dir.dir) == 1;
        let names = match is_idle && seek(&*dir.dir, SeekFrom::Start(0)).is_ok() {
            true => Names::new(fcntl_dupfd_cloexec(&*dir.dir, 0)?)?,
            false => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Names::new(openat(&*dir.dir, ".", flags, Mode::empty())?)?
            }
        };
        Ok(Self { names, _in_use: Arc::clone(&dir.dir) })
    }

    /// The next entry. `Some(Ok(None))` stands for a skipped entry: the directory itself, its
    /// parent, and entries that were removed meanwhile. `None` is the end.
    pub(super) fn next(&mut self) -> Option<Result<Option<Entry>>> {
        Some(self.names.read()?.map(|entry| self.describe(&entry)))
    }

    fn describe(&self, entry: &DirEntry) -> Option<Entry> {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            return None;
        }
        let kind = match entry.file_type() {
            // The filesystem does not report the type.
            FileType::Unknown => {
                let found =
                    self.names.fd().and_then(|dir| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW));
                match found {
                    Ok(found) => FileType::from_raw_mode(found.st_mode),
                    Err(Errno::NOENT) => return None,
                    Err(_) => FileType::Unknown,
                }
            }
            kind => kind,
        };
        Some(Entry { name: name.to_owned(), kind })
    }
}

/// Names that are not UTF-8, which a listing leaves out, for people: escaped and cut to a readable
/// length.
#[derive(Default)]
pub(super) struct LeftOut {
    shown: String,
    count: usize,
}

impl LeftOut {
    /// How many bytes are shown.
    const SHOWN: usize = 1024;

    pub(super) fn add(&mut self, name: &[u8]) {
        self.count += 1;
        if self.shown.len() < Self::SHOWN {
            if self.count > 1 {
                self.shown.push_str(", ");
            }
            self.shown.push_str(&format!("`{}`", name.escape_ascii()));
        }
    }

    /// The names that were left out; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        let Self { shown, count } = self;
        (*count > 0).then(|| match shown.len() < Self::SHOWN {
            true => format!("holds names that are not UTF-8, and are left out: {shown}"),
            false => {
                format!("holds {count} names that are not UTF-8, and are left out: {shown}, …")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_left_out_are_shown_escaped_and_no_more_of_them_than_people_read() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out.text(), None);
        left_out.add(b"caf\xe9\x1b[2J");
        let text = left_out.text().expect("one is left out");
        assert!(text.ends_with(r"left out: `caf\xe9\x1b[2J`"), "{text}");
        for _ in 0..100_000 {
            left_out.add(&[0xff; 255]);
        }
        let text = left_out.text().expect("many are left out");
        assert!(text.contains("100001 names") && text.len() < 4096, "{text}");
    }
}
