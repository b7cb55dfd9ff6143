//! The folder of compiled code. The code is run as it is found, so no other user may write there.

use std::io;
use std::path::{Path, PathBuf};

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    System(#[from] io::Error),
    #[cfg(unix)]
    #[error("`{}` belongs to another user", .0.display())]
    Foreign(PathBuf),
    #[cfg(unix)]
    #[error("other users may write to `{}`", .0.display())]
    Writable(PathBuf),
    #[error("`..` follows a directory that does not exist")]
    Upwards,
}

/// The default folders of this user: below `XDG_CACHE_HOME`, or the cache folder of the system;
/// after it the one that applies if that variable is not set, as in other processes.
pub(in crate::engine) fn defaults() -> impl Iterator<Item = PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let caches = if cfg!(windows) {
        [variable("LOCALAPPDATA"), None]
    } else {
        let below = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        [variable("XDG_CACHE_HOME"), std::env::home_dir().map(|home| home.join(below))]
    };
    let caches = caches.into_iter().flatten().filter(|folder| folder.is_absolute());
    caches.map(|caches| caches.join("artifact-store").join("code"))
}

/// Creates the folder if it is absent, and returns its path without links.
///
/// From the root down, each folder has to belong to the system or this user, and no other user may
/// replace anything in it: then the path keeps its meaning.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, Unusable> {
    let folder = std::path::absolute(folder)?;
    let mut absent = Vec::new();
    let mut there = folder.as_path();
    let mut path = loop {
        match there.canonicalize() {
            Ok(path) => break path,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Err(error) => {
                let parent = there.parent().ok_or(error)?;
                absent.push(there.file_name().ok_or(Unusable::Upwards)?);
                there = parent;
            }
        }
    };
    // This is checked before anything is created, so that nothing appears in another user's folder.
    for folder in path.ancestors() {
        check(folder, false)?;
    }
    for name in absent.into_iter().rev() {
        path.push(name);
        make(&path)?;
    }
    check(&path, true)?;
    Ok(path)
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Another process has created it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The last folder of the path has to belong to this user.
#[cfg(unix)]
fn check(folder: &Path, is_last: bool) -> Result<(), Unusable> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory).into());
    }
    let is_systems = metadata.uid() == 0 && !is_last;
    if !is_systems && metadata.uid() != user() {
        return Err(Unusable::Foreign(folder.to_owned()));
    }
    // In a sticky folder others cannot rename or remove what is not theirs.
    let is_sticky = metadata.mode() & 0o1000 != 0 && !is_last;
    if metadata.mode() & 0o022 != 0 && !is_sticky {
        return Err(Unusable::Writable(folder.to_owned()));
    }
    Ok(())
}

/// Below a folder of the user's own, no other user can write.
#[cfg(not(unix))]
fn check(_: &Path, _: bool) -> Result<(), Unusable> {
    Ok(())
}

/// Whether it is a file of this user that no other user may write to.
#[cfg(unix)]
pub(super) fn is_own(file: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.is_file() && file.uid() == user() && file.mode() & 0o022 == 0
}

#[cfg(not(unix))]
pub(super) fn is_own(file: &std::fs::Metadata) -> bool {
    file.is_file()
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}
