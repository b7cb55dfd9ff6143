//! What a path names that is to be written: followed link by link, as the system does.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows.
const LINKS: usize = 40;

pub enum Destination {
    /// A descriptor of this process, by its number: `/dev/stdout`, `/dev/fd/3`.
    Descriptor(u32),
    /// A device or a pipe, or what no name leads to any more.
    Special(PathBuf),
    /// A regular file, by a path that does not end in a link.
    Existing(PathBuf, Metadata),
    /// Nothing is there yet; the path does not end in a link.
    New(PathBuf),
}

impl Destination {
    /// A link stays: what it leads to is written, or made.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let Some(name) = last_name(&path) else {
                // The path says that it names a directory.
                fs::metadata(&path)?;
                return Err(io::ErrorKind::IsADirectory.into());
            };
            let dir = match path.parent() {
                Some(dir) if dir != Path::new("") => dir,
                _ => Path::new("."),
            };
            let dir = fs::canonicalize(dir)?;
            if let Some(number) = descriptor(&dir, name) {
                return Ok(Self::Descriptor(number));
            }
            let found = dir.join(name);
            let metadata = match fs::symlink_metadata(&found) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Self::New(found));
                }
                Err(error) => return Err(error),
            };
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if metadata.is_file() {
                return Ok(Self::Existing(found, metadata));
            }
            if !metadata.is_symlink() || is_magic(&found) {
                return Ok(Self::Special(found));
            }
            path = dir.join(fs::read_link(&found)?);
        }
        Err(io::Error::other("too many symbolic links"))
    }
}

/// None where the path ends in `/`, `.` or `..`, and so names a directory.
fn last_name(path: &Path) -> Option<&OsStr> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let ends_in = |end: &str| bytes.ends_with(end.as_bytes());
    if ends_in(std::path::MAIN_SEPARATOR_STR) || ends_in("/") || ends_in("/.") || bytes == b"." {
        return None;
    }
    match path.components().next_back()? {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

/// The number of the descriptor that this name stands for.
fn descriptor(dir: &Path, name: &OsStr) -> Option<u32> {
    if !cfg!(unix) {
        return None;
    }
    let name = name.to_str()?;
    let number: u32 = name.parse().ok().filter(|number: &u32| number.to_string() == name)?;
    let is_ours = dir == Path::new("/dev/fd")
        || fs::canonicalize("/proc/self").is_ok_and(|process| {
            dir == process.join("fd")
                || dir.starts_with(process.join("task")) && dir.ends_with("fd")
        });
    is_ours.then_some(number)
}

/// Whether it is a link of `/proc` that leads elsewhere than its text says: to a descriptor of
/// another process, or to a file that has no name any more.
fn is_magic(link: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let same = |text: PathBuf| {
            let (there, named) = (fs::metadata(link).ok()?, fs::metadata(text).ok()?);
            Some((there.dev(), there.ino()) == (named.dev(), named.ino()))
        };
        let text = fs::read_link(link).ok().filter(|text| text.is_absolute());
        link.starts_with("/proc") && text.and_then(same) != Some(true)
    }
    #[cfg(not(unix))]
    {
        let _ = link;
        false
    }
}
