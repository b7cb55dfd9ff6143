//! The bytes of a component: where they come from, and what they look like.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{Backend, Source};
use crate::engine;
use crate::error::LoadError;
#[cfg(feature = "config")]
use crate::error::{Error, Operation};
use crate::file::{self, Unreadable};
use crate::inspect::Inspection;
use crate::limits::LoadLimits;
use crate::text::hexadecimal;

impl Backend {
    /// Describes the component from its file: its exports, its imports, and its producers. It is
    /// neither run nor compared with the contract. The file is read on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`component`](Self::component).
    pub fn inspect(&self) -> Result<Inspection, LoadError> {
        let (bytes, digest) = self.sound_bytes()?;
        Inspection::of(&bytes, hexadecimal(&digest))
    }

    /// The bytes of the component, whose contents are within [`LoadLimits`](crate::LoadLimits):
    /// code that reads them next meets nothing that is nested too deep or instantiates without end.
    /// Whether it is valid is only known when it is loaded. The file is read on the calling thread.
    ///
    /// # Errors
    ///
    /// [`LoadError::Read`], [`LoadError::NotAComponent`], [`LoadError::Limit`],
    /// [`LoadError::Invalid`]; [`LoadError::WrongDigest`] if it is not the [pinned](Self::pin) one.
    ///
    /// ```
    /// use artifact_store::Backend;
    ///
    /// let fs = Backend::fs("artifacts").component()?;
    /// assert_eq!(fs, Backend::fs_component());
    /// # Ok::<(), artifact_store::LoadError>(())
    /// ```
    pub fn component(&self) -> Result<Vec<u8>, LoadError> {
        Ok(self.sound_bytes()?.0.into_owned())
    }

    fn sound_bytes(&self) -> Result<(Cow<'_, [u8]>, [u8; 32]), LoadError> {
        let bytes = self.bytes()?;
        let digest = self.digest(&bytes)?;
        engine::check(&bytes, &self.limits.load)?;
        Ok((bytes, digest))
    }

    /// The same backend with the files of its component and its layers in memory, and the SHA-256 of
    /// each file.
    #[cfg(feature = "config")]
    pub(crate) fn read(mut self) -> Result<(Self, Vec<String>), Error> {
        let (digest, file) = match self.bytes() {
            Ok(Cow::Owned(bytes)) => (self.sha256(&bytes), Some(bytes)),
            Ok(Cow::Borrowed(bytes)) => (self.sha256(bytes), None),
            Err(error) => {
                return Err(Error::new(error.into(), Operation::Open, None, &self.name));
            }
        };
        if let (Source::File(path), Some(bytes)) = (&self.source, file) {
            self.source = Source::Read(path.clone(), bytes.into());
        }
        let mut digests = vec![hexadecimal(&digest)];
        for layer in self.components_mut() {
            let (read, digest) = layer.clone().read()?;
            *layer = read;
            digests.extend(digest);
        }
        Ok((self, digests))
    }

    /// The bytes of the component, if they look like one.
    pub(super) fn bytes(&self) -> Result<Cow<'_, [u8]>, LoadError> {
        let bytes = match &self.source {
            Source::File(path) => {
                let load = &self.limits.load;
                let read = file::read_if(path, load.file_size, load.time, |head| {
                    check_kind(head).map_err(NotRead::Refused)
                });
                return read.map(Cow::from).map_err(|why| why.into_error(load));
            }
            Source::Read(_, bytes) | Source::Bytes(bytes) => bytes,
            Source::BuiltIn(it) => it.bytes,
        };
        check_kind(bytes)?;
        Ok(bytes.into())
    }

    /// The SHA-256 of the component, which has these bytes.
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        match &self.source {
            Source::BuiltIn(it) => *it.sha256,
            _ => Sha256::digest(bytes).into(),
        }
    }

    /// The component's SHA-256, compared with the pinned one.
    pub(super) fn digest(&self, bytes: &[u8]) -> Result<[u8; 32], LoadError> {
        let found = self.sha256(bytes);
        if let Some(expected) = &self.pin {
            let found = hexadecimal(&found);
            if !found.eq_ignore_ascii_case(expected) {
                return Err(LoadError::WrongDigest { expected: expected.clone(), found });
            }
        }
        Ok(found)
    }
}

/// Why the bytes of a file are not a component.
enum NotRead {
    Unreadable(Unreadable),
    Refused(LoadError),
}

impl From<Unreadable> for NotRead {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl NotRead {
    fn into_error(self, limits: &LoadLimits) -> LoadError {
        match self {
            Self::Refused(error) => error,
            Self::Unreadable(Unreadable::System(error)) => LoadError::Read(error),
            Self::Unreadable(Unreadable::NotAFile(kind)) => LoadError::NotAComponent(kind.into()),
            Self::Unreadable(Unreadable::TooLarge { found, limit }) => {
                let (name, unit) = ("file-size", "bytes");
                LoadError::Limit { name, limit, found: Some(found), unit }
            }
            Self::Unreadable(Unreadable::TooSlow(_)) => LoadLimits::too_slow(limits.time),
        }
    }
}

/// Describes bytes that are not a binary component; the compiler's own message would name magic
/// numbers.
fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let text = start.trim_start().to_ascii_lowercase();
    let kind = match bytes {
        [] => "an empty file",
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => "a core WebAssembly module",
        [0, b'a', b's', b'm', ..] => "WebAssembly of an unknown version",
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") => "an HTML page",
        _ if text.starts_with("(component") || text.starts_with("(module") => {
            "WebAssembly text, which must be assembled first"
        }
        _ => "some other file",
    };
    Err(LoadError::NotAComponent(kind.into()))
}
