use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient};
use zeroize::Zeroizing;

use crate::error::LoadError;

/// How many recipients a header has room for.
const MOST: usize = 16;

/// Encrypts artifacts before a backend gets them, as a [layer](crate::Backend::layer), in the format
/// of [age](https://age-encryption.org/v1).
///
/// An artifact is encrypted for all recipients; each identity that belongs to one of them can
/// decrypt it. A process without an identity may only store, list and delete. `docs/layers.md` says
/// what this protects, and what it does not.
///
/// Its `Debug` shows the recipients, and only the number of identities.
///
/// ```
/// use artifact_store::{Backend, Encryption, KeyPair, blocking::ArtifactStore};
///
/// # let dir = tempfile::tempdir()?;
/// let pair = KeyPair::generate();
/// let encryption = Encryption::new([pair.recipient()])?.identities(pair.identity())?;
/// let store = ArtifactStore::open(Backend::fs(dir.path()).layer(encryption))?;
/// store.put("k", "a secret")?;
/// assert_eq!(store.get("k")?, "a secret");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Encryption {
    pub(super) recipients: Arc<[Recipient]>,
    pub(super) identities: Arc<[Identity]>,
    /// The file that they were read from, which no backend of a stack may reach.
    file: Option<Arc<Path>>,
}

impl Encryption {
    /// Encryption for these recipients, each a public key `age1…`, at most 16. Without
    /// [identities](Self::identities) nothing can be read.
    ///
    /// # Errors
    ///
    /// [`LoadError::Encryption`] if there is none, one is not a public key of X25519, one is there
    /// twice, or there are more than 16. It shows none of them.
    pub fn new<R: AsRef<str>>(recipients: impl IntoIterator<Item = R>) -> Result<Self, LoadError> {
        let mut known: Vec<Recipient> = Vec::new();
        for (n, recipient) in recipients.into_iter().enumerate() {
            let text = recipient.as_ref().trim();
            let recipient = text.parse().map_err(|why| wrong_recipient(n + 1, text, why))?;
            if known.contains(&recipient) {
                let text = format!("recipient {} is there twice", n + 1);
                return Err(LoadError::Encryption(text));
            }
            known.push(recipient);
        }
        match known.len() {
            0 => Err(LoadError::Encryption("there is no recipient".into())),
            1..=MOST => {
                Ok(Self { recipients: known.into(), identities: Arc::default(), file: None })
            }
            count => {
                let text = format!("there are {count} recipients; the limit is {MOST}");
                Err(LoadError::Encryption(text))
            }
        }
    }

    /// The same with the identities in `text`, which is what a file of identities holds: one
    /// `AGE-SECRET-KEY-1…` a line; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    ///
    /// [`LoadError::Encryption`] if there is none, or a line is something else. It shows no line.
    pub fn identities(mut self, text: &str) -> Result<Self, LoadError> {
        self.identities = parse(text)?.into();
        self.file = None;
        Ok(self)
    }

    /// The same with the identities in a file, which is read on the calling thread. No component of
    /// somebody else in the same stack is loaded if it is granted a directory that holds this file.
    ///
    /// # Errors
    ///
    /// [`LoadError::Identities`] if it cannot be read; otherwise as [`identities`](Self::identities).
    pub fn identity_file(self, file: impl AsRef<Path>) -> Result<Self, LoadError> {
        Ok(self.identities(&text_of(file.as_ref())?)?.read_from(file.as_ref()))
    }

    /// Encryption for the recipients that belong to the identities in `text`, and with these.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`identities`](Self::identities).
    pub fn from_identities(text: &str) -> Result<Self, LoadError> {
        let recipients = parse(text)?.into_iter().map(|one| one.to_public().to_string());
        Self::new(recipients)?.identities(text)
    }

    /// The same with what is in a file, which is read on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`from_identities`](Self::from_identities) and [`identity_file`](Self::identity_file).
    pub fn from_identity_file(file: impl AsRef<Path>) -> Result<Self, LoadError> {
        Ok(Self::from_identities(&text_of(file.as_ref())?)?.read_from(file.as_ref()))
    }

    fn read_from(self, file: &Path) -> Self {
        Self { file: Some(file.into()), ..self }
    }

    /// The file that its identities were read from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The public keys for which it encrypts.
    pub fn recipients(&self) -> impl Iterator<Item = String> {
        self.recipients.iter().map(Recipient::to_string)
    }

    /// Whether it has an identity: without one it may only store.
    #[must_use]
    pub fn can_read(&self) -> bool {
        !self.identities.is_empty()
    }

    /// The public keys of its identities.
    fn readers(&self) -> impl Iterator<Item = Recipient> {
        self.identities.iter().map(Identity::to_public)
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (recipients, identities) = (&self.recipients, self.identities.len());
        f.debug_struct("Encryption")
            .field("recipients", recipients)
            .field("identities", &identities)
            .finish()
    }
}

/// Equal ones can read and write the same: a public key tells which identity it belongs to.
impl PartialEq for Encryption {
    fn eq(&self, other: &Self) -> bool {
        self.recipients == other.recipients && self.readers().eq(other.readers())
    }
}

impl Eq for Encryption {}

/// A new identity and its recipient. Its `Debug` shows the recipient only.
///
/// ```
/// let pair = artifact_store::KeyPair::generate();
/// assert!(pair.recipient().starts_with("age1"));
/// assert!(pair.identity().starts_with("AGE-SECRET-KEY-1"));
/// ```
pub struct KeyPair {
    recipient: String,
    identity: age::secrecy::SecretString,
}

impl KeyPair {
    /// A random pair of keys.
    #[must_use]
    pub fn generate() -> Self {
        let identity = Identity::generate();
        Self { recipient: identity.to_public().to_string(), identity: identity.to_string() }
    }

    /// The public key, `age1…`.
    #[must_use]
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    /// The secret key, `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.identity.expose_secret()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("recipient", &self.recipient).finish_non_exhaustive()
    }
}

/// Without what stands in its place, which may be a secret key.
fn wrong_recipient(number: usize, text: &str, why: &str) -> LoadError {
    let is_secret = text.get(..14).is_some_and(|it| it.eq_ignore_ascii_case("AGE-SECRET-KEY"));
    let why = if is_secret { "it is a secret key" } else { why };
    let text = "is no public key `age1…` of X25519";
    LoadError::Encryption(format!("recipient {number} {text}: {why}"))
}

fn text_of(file: &Path) -> Result<Zeroizing<String>, LoadError> {
    let read = || -> io::Result<_> {
        let bytes = Zeroizing::new(crate::file::read(file)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Zeroizing::new(text.to_owned()))
    };
    read().map_err(|source| LoadError::Identities { file: file.to_owned(), source })
}

fn parse(text: &str) -> Result<Vec<Identity>, LoadError> {
    let mut identities = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let identity = line.parse().map_err(|why| {
            let text = "is no secret key `AGE-SECRET-KEY-1…` of X25519";
            LoadError::Encryption(format!("line {} of the identities {text}: {why}", n + 1))
        })?;
        identities.push(identity);
    }
    match identities.is_empty() {
        true => Err(LoadError::Encryption("the identities have no secret key".into())),
        false => Ok(identities),
    }
}
