//! A tree of files in a directory: what is in it, and which file an artifact is there.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use walkdir::{DirEntry, WalkDir};

use crate::failure::Single;
use crate::input;
use crate::output::{Destination, Target};
use crate::shown;

/// A file up to this size is read and written in one step.
pub const SMALL: u64 = 1 << 20;

/// The longest name of a file that filesystems have.
const NAME: usize = 255;

/// A file of the tree.
pub struct Found {
    /// Its path below the tree's root, with `/` between the names.
    pub name: String,
    pub size: u64,
    pub modified: Option<SystemTime>,
}

/// What is no file that can be stored.
pub struct Problem {
    /// Its path, likewise, as far as it can be written.
    pub name: String,
    pub error: Single,
    /// Whether more than this one thing was not seen.
    pub is_gap: bool,
}

#[derive(Default)]
pub struct Walked {
    pub files: Vec<Found>,
    pub problems: Vec<Problem>,
}

/// All that is in the tree.
pub fn walk(root: &Path, follow: bool) -> Walked {
    let mut walked = Walked::default();
    for entry in WalkDir::new(root).follow_links(follow).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => match found(root, &entry) {
                Ok(file) => walked.files.push(file),
                Err(error) => walked.problem(root, entry.path(), error, false),
            },
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let text = format!("cannot read `{}`: {}", path.display(), cause(&error));
                walked.problem(root, &path, text, true);
            }
        }
    }
    walked
}

impl Walked {
    fn problem(&mut self, root: &Path, path: &Path, text: String, is_gap: bool) {
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        self.problems.push(Problem { name, error: Single(text), is_gap });
    }
}

/// Walkdir's own message names the path again.
fn cause(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => format!("it is a link to `{}`, which it is in", ancestor.display()),
        (None, Some(error)) => error.to_string(),
        (None, None) => error.to_string(),
    }
}

fn found(root: &Path, entry: &DirEntry) -> Result<Found, String> {
    let shown = entry.path().display();
    let kind = entry.file_type();
    if kind.is_symlink() {
        return Err(format!("`{shown}` is a symbolic link, which is not followed"));
    }
    if !kind.is_file() {
        return Err(format!("`{shown}` is neither a file nor a directory"));
    }
    let names = entry.path().strip_prefix(root).unwrap_or(entry.path()).components();
    let names = names.map(|name| name.as_os_str().to_str()).collect::<Option<Vec<_>>>();
    let Some(names) = names else {
        return Err(format!("the name of `{shown}` is not UTF-8, as a key has to be"));
    };
    let metadata = entry.metadata().map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let modified = metadata.modified().ok();
    Ok(Found { name: names.join("/"), size: metadata.len(), modified })
}

/// What a file of the tree holds.
pub enum Content {
    Whole(Vec<u8>),
    /// It is larger.
    Open(File, Metadata),
}

/// Opens a file, and reads it where it is small.
pub fn read(path: &Path, follow: bool) -> Result<Content> {
    let name = format!("`{}`", path.display());
    // A shortage of the system is none of the file's.
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Single(format!("cannot read {name}: {error}")).into()
        }
        _ => anyhow::Error::from(error).context(format!("cannot read {name}")),
    };
    let file = open(path, follow).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Single(format!("{name} is no file any more")).into());
    }
    match metadata.len() {
        0..=SMALL => Ok(Content::Whole(input::whole(file, &metadata, &name)?)),
        _ => Ok(Content::Open(file, metadata)),
    }
}

/// What took the file's place meanwhile is not followed, and not waited for.
fn open(path: &Path, follow: bool) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    {
        let links = if follow { 0 } else { libc::O_NOFOLLOW };
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | links);
    }
    #[cfg(not(unix))]
    let _ = follow;
    options.read(true).open(path)
}

/// CRC-64/NVME of a file.
pub fn checksum(path: &Path, follow: bool) -> Result<u64> {
    let cannot = || format!("cannot read `{}`", path.display());
    let mut file = open(path, follow).with_context(cannot)?;
    let (mut digest, mut buffer) = (Digest::new(CrcAlgorithm::Crc64Nvme), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.finalize()),
            Ok(count) => digest.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(cannot),
        }
    }
}

/// Where the file of an artifact is, below the root of the tree.
fn path_of(root: &Path, name: &str) -> Result<PathBuf, Single> {
    for segment in name.split('/') {
        let is_plain = matches!(
            Path::new(segment).components().collect::<Vec<_>>()[..],
            [Component::Normal(name)] if name == segment
        );
        let why = match segment {
            "" => "it has an empty name between two `/`, or at an end",
            "." | ".." => "a name in it is `.` or `..`",
            _ if segment.len() > NAME => "a name in it has more than 255 bytes",
            _ if segment.contains('\0') || !is_plain => "a name in it is none on this system",
            _ => continue,
        };
        let text = format!("no file can have the name `{}`: {why}", shown::name(name));
        return Err(Single(text));
    }
    Ok(root.join(name))
}

/// Whether two paths, which differ, lead to one file that has no other name.
pub fn is_one_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let file = |path| fs::symlink_metadata(path).map(|it| (it.dev(), it.ino(), it.nlink()));
        // Hard links are names of their own.
        matches!((file(a), file(b)), (Ok(a), Ok(b)) if a == b && a.2 == 1)
    }
    #[cfg(not(unix))]
    {
        matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
    }
}

/// What is in the place of an artifact's file.
pub enum There {
    Nothing,
    File(Metadata),
}

/// Looks there; a link is followed nowhere below the root.
pub fn look(root: &Path, name: &str) -> Result<There, Single> {
    let path = path_of(root, name)?;
    let parents = path.ancestors().skip(1).take_while(|dir| *dir != root).collect::<Vec<_>>();
    for dir in parents.into_iter().rev() {
        match kind(dir)? {
            None => return Ok(There::Nothing),
            Some(found) if found.is_dir() => {}
            Some(found) => return Err(in_the_way(dir, &found, "a directory")),
        }
    }
    match kind(&path)? {
        None => Ok(There::Nothing),
        Some(found) if found.is_file() => Ok(There::File(found)),
        Some(found) => Err(in_the_way(&path, &found, "a file")),
    }
}

/// None where there is nothing.
fn kind(path: &Path) -> Result<Option<Metadata>, Single> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Single(format!("cannot write `{}`: {error}", path.display()))),
    }
}

fn in_the_way(path: &Path, found: &Metadata, needed: &str) -> Single {
    let found = match () {
        () if found.is_symlink() => "a symbolic link, through which nothing is written",
        () if found.is_dir() => "a directory",
        () if found.is_file() => "a file",
        () => "neither a file nor a directory",
    };
    Single(format!("`{}` is {found}; the key needs {needed} there", path.display()))
}

/// Another artifact would be in the place of this one.
pub fn taken(path: &Path, found: &str, needed: &str) -> Single {
    Single(format!("`{}` would be {found}; the key needs {needed} there", path.display()))
}

/// Opens the file of an artifact to write it, and makes the directories above it.
pub fn create(root: &Path, name: &str, modified: Option<SystemTime>) -> Result<Target> {
    let path = path_of(root, name)?;
    let cannot = || format!("cannot write `{}`", path.display());
    let parents = path.ancestors().skip(1).take_while(|dir| *dir != root).collect::<Vec<_>>();
    for dir in parents.into_iter().rev() {
        match kind(dir)? {
            Some(found) if found.is_dir() => {}
            Some(found) => return Err(in_the_way(dir, &found, "a directory").into()),
            None => match fs::create_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(cannot);
                }
                // Where another one made it meanwhile, `look` sees what it is.
                _ => {}
            },
        }
    }
    let place = match look(root, name)? {
        There::Nothing => Destination::New(path.clone()),
        There::File(metadata) => Destination::Existing(path.clone(), metadata),
    };
    let target = Target::open(place, format!("`{}`", path.display())).with_context(cannot)?;
    Ok(target.dated(modified))
}

/// Writes a whole file.
pub fn write(
    root: &Path,
    name: &str,
    chunks: &[Bytes],
    modified: Option<SystemTime>,
) -> Result<()> {
    let target = create(root, name, modified)?;
    let written = || {
        let mut file = target.writer()?;
        chunks.iter().try_for_each(|chunk| file.write_all(chunk))
    };
    written()
        .and_then(|()| target.finish_here())
        .with_context(|| format!("cannot write `{}`", root.join(name).display()))
}

/// Gives a file that has the artifact's bytes the artifact's time.
pub fn date(root: &Path, name: &str, modified: SystemTime) -> io::Result<()> {
    open(&root.join(name), false)?.set_modified(modified)
}

/// Removes the directories that are empty without these files.
pub fn remove_empty(root: &Path, names: &[String]) {
    for name in names {
        let path = root.join(name);
        let mut above = path.ancestors().skip(1).take_while(|dir| *dir != root);
        let _ = above.try_for_each(fs::remove_dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, link] = ["a", "b", "link"].map(|name| dir.path().join(name));
        fs::write(&a, "1").unwrap();
        // As where case is folded: one file by two paths.
        assert!(is_one_file(&a, &dir.path().join(".").join("a")));
        assert!(!is_one_file(&a, &b));
        fs::write(&b, "1").unwrap();
        assert!(!is_one_file(&a, &b));
        fs::hard_link(&a, &link).unwrap();
        assert!(!is_one_file(&a, &link));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        let root = Path::new("/root");
        for name in ["a", "a/b", "..a", "a..", "...", "-", "~", "a\\b", &"n".repeat(255)] {
            if cfg!(unix) {
                assert_eq!(path_of(root, name).unwrap(), root.join(name));
            }
        }
        let long = "n".repeat(256);
        for name in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0", &long] {
            assert!(path_of(root, name).is_err(), "{name:?}");
        }
    }
}
