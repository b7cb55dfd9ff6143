//! A file that is written: replaced all at once where that is possible, in place elsewhere.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{Builder, NamedTempFile, TempPath};

use super::attributes;
use super::destination::Destination;
use crate::message;
use crate::offload::offload;

/// A file that is open for writing, and what is left to do when all is written.
pub struct Target {
    /// What messages call it.
    name: String,
    file: File,
    end: End,
    modified: Option<SystemTime>,
}

enum End {
    /// A pipe or a device.
    Nothing,
    /// It is the file itself.
    InPlace,
    /// It becomes `target`; dropped before, it leaves no trace.
    Replace { temporary: TempPath, target: PathBuf, was_there: bool },
}

impl Target {
    /// Opens what a path leads to. Opening a pipe waits for its reader.
    pub fn open(place: Destination, name: String) -> io::Result<Self> {
        match place {
            Destination::Descriptor(_) => Err(io::ErrorKind::InvalidInput.into()),
            Destination::Special(path) => {
                let file = File::options().write(true).truncate(true).open(path)?;
                Ok(Self { name, file, end: End::Nothing, modified: None })
            }
            Destination::New(target) => {
                // The permissions that the user's umask leaves, as any program's output.
                let temporary = temporary_beside(&target, 0o666)?;
                Ok(Self::replacing(temporary, target, false, name))
            }
            Destination::Existing(target, old) => Self::existing(target, &old, name),
        }
    }

    fn existing(target: PathBuf, old: &Metadata, name: String) -> io::Result<Self> {
        let temporary = match temporary_beside(&target, 0o600) {
            Ok(temporary) => temporary,
            Err(error) if may_be_written_in_place(&error) => {
                return Self::in_place(&target, "its directory is not writable", name);
            }
            Err(error) => return Err(error),
        };
        match attributes::carry_over(&target, old, temporary.as_file()) {
            Ok(lost) if lost.is_empty() => {}
            Ok(lost) => {
                message::print(&format!("{name} loses the extended attributes {}", lost.join(", ")))
            }
            Err(why) => {
                drop(temporary);
                return Self::in_place(&target, why, name);
            }
        }
        if let Some(others) = attributes::other_names(old) {
            message::print(&format!(
                "{name} becomes a new file; its {others} other names (hard links) keep the old bytes"
            ));
        }
        Ok(Self::replacing(temporary, target, true, name))
    }

    fn replacing(temporary: NamedTempFile, target: PathBuf, was_there: bool, name: String) -> Self {
        let (file, temporary) = temporary.into_parts();
        Self { name, file, end: End::Replace { temporary, target, was_there }, modified: None }
    }

    /// What was there is lost from here on; who reads it sees a part of what is written.
    fn in_place(target: &Path, why: &str, name: String) -> io::Result<Self> {
        let mut options = File::options();
        // It is no link; another process may make it one meanwhile.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
        let file = options.write(true).open(target)?;
        attributes::take_privileges(&file)?;
        message::print(&format!(
            "{name} is written in place because {why}; it is incomplete until this command succeeds"
        ));
        file.set_len(0)?;
        Ok(Self { name, file, end: End::InPlace, modified: None })
    }

    /// The same file, which then says that it was modified at this time.
    pub fn dated(self, modified: Option<SystemTime>) -> Self {
        Self { modified, ..self }
    }

    /// Where the bytes go.
    pub fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// All is written: makes it durable and visible.
    ///
    /// Where this is dropped, the temporary goes with it. So it stays with the caller, and only
    /// what takes long is done in another thread.
    pub async fn finish(self) -> io::Result<()> {
        if let End::Nothing = self.end {
            return Ok(());
        }
        let (file, modified) = (self.writer()?, self.modified);
        offload(move || sync(&file, modified)).await?;
        self.publish()
    }

    /// The same for a caller that may wait.
    pub fn finish_here(self) -> io::Result<()> {
        if let End::Nothing = self.end {
            return Ok(());
        }
        sync(&self.file, self.modified)?;
        self.publish()
    }

    fn publish(mut self) -> io::Result<()> {
        let End::Replace { temporary, target, was_there } = self.end else { return Ok(()) };
        let error = match temporary.persist(&target) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !was_there || !may_be_written_in_place(&error.error) {
            return Err(error.error);
        }
        // Such as a file that is mounted by itself.
        let why = format!("it cannot be replaced ({})", error.error);
        let mut place = Self::in_place(&target, &why, self.name)?.file;
        self.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.file, &mut place)?;
        place.sync_all()
    }
}

fn sync(file: &File, modified: Option<SystemTime>) -> io::Result<()> {
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    file.sync_all()
}

/// Whether a file that cannot be replaced for this reason can perhaps be written all the same.
fn may_be_written_in_place(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::ResourceBusy
            | Kind::CrossesDevices
    )
}

fn temporary_beside(target: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".artifact-store-");
    #[cfg(unix)]
    let permissions: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    #[cfg(unix)]
    builder.permissions(permissions);
    #[cfg(not(unix))]
    let _ = mode;
    builder.tempfile_in(target.parent().unwrap_or(Path::new(".")))
}
