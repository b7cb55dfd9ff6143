//! Files of others that are read again when they change.

use std::io;
use std::path::PathBuf;

use super::look::Looks;
use crate::file;

/// Files that people write and replace while a program runs, such as certificates. Their changes are
/// found out as those of a configuration are.
///
/// ```
/// use artifact_store::WatchedFiles;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
/// # std::fs::write(&certificate, "first")?;
/// let mut files = WatchedFiles::new([&certificate, &key]);
/// let read = files.read().await;
/// assert_eq!(read[0].as_ref().unwrap(), b"first");
/// assert!(read[1].is_err());
/// std::fs::write(&key, "its key")?;
/// files.changed().await;
/// assert_eq!(files.read().await[1].as_ref().unwrap(), b"its key");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WatchedFiles {
    files: Vec<PathBuf>,
    looks: Looks<Vec<io::Result<Vec<u8>>>>,
}

impl WatchedFiles {
    /// These files, which need not be there yet. Nothing is read or watched before
    /// [`read`](Self::read).
    #[must_use]
    pub fn new<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Self {
        Self { files: files.into_iter().map(Into::into).collect(), looks: Looks::new() }
    }

    /// The contents of each file now, or why it cannot be read: it is also an error if it is no
    /// regular file or has more than 4 MiB. The caller's thread does not wait for the disk.
    pub async fn read(&mut self) -> Vec<io::Result<Vec<u8>>> {
        let files = self.files.clone();
        let look = self.looks.look(move || {
            let contents = files.iter().map(|path| file::read(path)).collect();
            (files, contents)
        });
        look.await.unwrap_or_else(|error| {
            let error = || Err(io::Error::new(io::ErrorKind::TimedOut, error.to_string()));
            self.files.iter().map(|_| error()).collect()
        })
    }

    /// Returns when a file has changed and come to rest since the last [`read`](Self::read), or after
    /// 5 seconds, because some mounts report no changes. Needs a runtime of Tokio.
    pub async fn changed(&self) {
        self.looks.changes.wait().await;
    }
}

impl std::fmt::Debug for WatchedFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WatchedFiles").field(&self.files).finish()
    }
}
