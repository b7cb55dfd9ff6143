//! Where compiled code is kept. It is run as it is found, so that nobody else may write there.

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

/// The folder for this user: below `XDG_CACHE_HOME`, or where the system keeps what can be made
/// again. After it the one that holds where that variable is not set, as in other processes.
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

/// Makes the folder where it is absent, and returns the path that leads to it without a link.
///
/// From the root down, each folder has to belong to the system or this user, and no other user may
/// replace what is in it: then the path stays what it is.
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
    // Before anything is made: nothing of ours is to appear in another user's folder.
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
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The last folder of the path has to be this user's own.
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

/// Below the folder of a user's own, nobody else can write.
#[cfg(not(unix))]
fn check(_: &Path, _: bool) -> Result<(), Unusable> {
    Ok(())
}

/// Whether it is a file of this user's own that no other user may write to.
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
