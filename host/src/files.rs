//! Reading files that others name. Only regular ones are read: to open a pipe waits for its other
//! end, and to open a device may do something.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// All bytes of the regular file `path`.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens the regular file `path` to be read, without waiting for anybody.
fn open(path: &Path) -> io::Result<File> {
    // Before it is opened, since to open is to act with some devices.
    check(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    // Where a pipe has come into its place meanwhile.
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    }
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Refuses what is no regular file.
pub(crate) fn check(about: &Metadata) -> io::Result<()> {
    match about.is_file() {
        true => Ok(()),
        false if about.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a pipe, a device or a socket, not a regular file",
        )),
    }
}
