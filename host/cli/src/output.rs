//! Where bytes go: standard output, or a file that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{Builder, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter, Stdout};

/// The reader of standard output closed it: it has seen enough, and nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct Closed;

/// Standard output, with failures that can be told apart from all others.
pub struct Standard(BufWriter<Stdout>);

impl Standard {
    pub fn new() -> Self {
        Self(BufWriter::new(tokio::io::stdout()))
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).await.or_else(failed)
    }

    pub async fn finish(&mut self) -> Result<()> {
        self.0.flush().await.or_else(failed)
    }
}

fn failed(error: io::Error) -> Result<()> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Err(Closed.into()),
        _ => Err(error).context("cannot write standard output"),
    }
}

/// Where a command's `-o` leads.
pub enum Output {
    Standard(Standard),
    /// A device or pipe, which a file must not take the place of.
    Special(File),
    /// Becomes `target` at the end; dropped before, it leaves no trace.
    File {
        file: File,
        temporary: TempPath,
        target: PathBuf,
    },
}

impl Output {
    /// `-` and nothing are standard output.
    pub async fn open(path: Option<&Path>) -> Result<Self> {
        match path {
            None => Ok(Self::Standard(Standard::new())),
            Some(path) if path == Path::new("-") => Ok(Self::Standard(Standard::new())),
            Some(path) => {
                Self::file(path).await.with_context(|| format!("cannot write `{}`", path.display()))
            }
        }
    }

    async fn file(path: &Path) -> io::Result<Self> {
        // A link stays: what it leads to is replaced.
        let (target, permissions) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                return Ok(Self::Special(File::options().write(true).open(path).await?));
            }
            Ok(found) => (fs::canonicalize(path)?, Some(found.permissions())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error),
        };
        let dir = match target.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        let temporary = temporary_in(dir)?;
        if let Some(permissions) = permissions {
            temporary.as_file().set_permissions(permissions)?;
        }
        let (file, temporary) = temporary.into_parts();
        Ok(Self::File { file: File::from_std(file), temporary, target })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Standard(standard) => standard.write(bytes).await,
            Self::Special(file) | Self::File { file, .. } => {
                file.write_all(bytes).await.context("cannot write the output file")
            }
        }
    }

    /// All is written: makes it durable and visible.
    pub async fn finish(self) -> Result<()> {
        match self {
            Self::Standard(mut standard) => standard.finish().await,
            Self::Special(mut file) => file.flush().await.context("cannot write the output file"),
            Self::File { mut file, temporary, target } => {
                let written = match file.flush().await {
                    Ok(()) => file.sync_all().await,
                    Err(error) => Err(error),
                };
                let published = written.and_then(|()| Ok(temporary.persist(&target)?));
                published.with_context(|| format!("cannot write `{}`", target.display()))
            }
        }
    }
}

/// A new file has the permissions that the user's umask leaves, as any program's output.
fn temporary_in(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".artifact-store-");
    #[cfg(unix)]
    let permissions: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(dir)
}
