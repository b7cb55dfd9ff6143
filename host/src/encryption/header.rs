//! What stands before the payload: a line for people, and the header of age.
//!
//! Header and line together have [`HEADER`] bytes. age makes the header, and checks its MAC; this
//! adds a stanza of its own, which every reader of age ignores and the MAC covers.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use age::secrecy::ExposeSecret;
use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::keys::Encryption;
use super::payload::{Opener, Sealer};
use super::size::{HEAD, HEADER};
use crate::error::ErrorKind;

/// The line, without the spaces and the line feed at its end. It is part of the format: it is
/// compared byte by byte.
const LINE: &[u8] = b"Encrypted by artifact-store; to decrypt: tail -n +2 FILE | age -d -i KEY";

/// The type of the stanza that binds an artifact to its key.
const BINDING: &str = "artifact-store";

/// The type of those with the key of the payload.
const X25519: &str = "X25519";

/// How age derives the key of the payload.
const PAYLOAD: &[u8] = b"payload";

const FOREIGN: &str = "its header is not one of age";

/// The key of a payload, which nobody else has.
type Secret = Zeroizing<[u8; 16]>;

/// The beginning of a new artifact.
pub(crate) struct Sealed {
    /// Its first [`HEAD`] bytes.
    pub(crate) head: Vec<u8>,
    /// Encrypts what follows.
    pub(crate) sealer: Sealer,
}

/// The beginning of an artifact that is there.
pub(crate) struct Opening {
    pub(crate) encryption: Encryption,
    /// The key of the artifact.
    pub(crate) key: String,
}

impl Encryption {
    /// Begins an artifact under this key.
    pub(crate) fn begin(&self, key: &str) -> Result<Sealed, ErrorKind> {
        let failed =
            |why: &dyn std::fmt::Display| ErrorKind::Other(format!("cannot encrypt: {why}"));
        let bound = Bound { encryption: self, key, secret: Mutex::default() };
        let encryptor = Encryptor::with_recipients(std::iter::once(&bound as &dyn Recipient));
        let mut header = Vec::with_capacity(HEAD);
        encryptor
            .map_err(|why| failed(&why))?
            .wrap_output(&mut header)
            .map_err(|why| failed(&why))?;
        let secret = bound.secret.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The nonce of the payload follows the header.
        let (Some(room), Some(nonce), Some(secret)) =
            ((HEAD - 1).checked_sub(LINE.len() + header.len()), header.last_chunk::<16>(), secret)
        else {
            return Err(failed(&"the header has no room for so many recipients"));
        };
        let key = Zeroizing::new(hkdf(nonce, PAYLOAD, &*secret));
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(LINE);
        head.resize(LINE.len() + room, b' ');
        head.push(b'\n');
        head.extend_from_slice(&header);
        Ok(Sealed { head, sealer: Sealer::new(&key) })
    }
}

impl Opening {
    /// Checks the first [`HEAD`] bytes of an artifact; what comes back decrypts its pieces.
    pub(crate) fn open(&self, head: &[u8]) -> Result<Opener, ErrorKind> {
        if !self.encryption.can_read() {
            return Err(self.no_identity());
        }
        let header = header(head).ok_or_else(|| corrupt("it is not an encrypted artifact"))?;
        let mut rest = header;
        let decryptor = Decryptor::new_buffered(&mut rest).map_err(|error| self.refused(&error))?;
        if !is_canonical(header) {
            return Err(corrupt(FOREIGN));
        }
        let found = Found { opening: self, secret: Mutex::default(), wrong: Mutex::default() };
        let opened = decryptor.decrypt(std::iter::once(&found as &dyn Identity)).map(drop);
        if let Some(wrong) = found.wrong.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(corrupt(wrong));
        }
        opened.map_err(|error| self.refused(&error))?;
        // The header has to end where the payload begins.
        let secret = found.secret.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (true, Some(nonce), Some(secret)) = (rest.is_empty(), head.last_chunk::<16>(), secret)
        else {
            return Err(corrupt("its header has another length"));
        };
        Ok(Opener::new(&Zeroizing::new(hkdf(nonce, PAYLOAD, &*secret))))
    }

    fn refused(&self, error: &DecryptError) -> ErrorKind {
        match error {
            DecryptError::NoMatchingKeys => {
                let recipients: Vec<_> = self.encryption.recipients().collect();
                ErrorKind::AccessDenied(format!(
                    "no identity of this process decrypts it; those of the recipients `{}` were \
                     expected",
                    recipients.join("`, `")
                ))
            }
            DecryptError::InvalidMac => corrupt("its header was changed"),
            _ => corrupt(FOREIGN),
        }
    }

    fn no_identity(&self) -> ErrorKind {
        let recipients: Vec<_> = self.encryption.recipients().collect();
        let recipients = recipients.join("`, `");
        ErrorKind::AccessDenied(format!(
            "it is encrypted, and there is no identity for `{recipients}`"
        ))
    }
}

/// The header of age and the nonce, behind the line.
fn header(head: &[u8]) -> Option<&[u8]> {
    if head.len() != HEAD {
        return None;
    }
    let rest = head.strip_prefix(LINE)?;
    let end = rest.iter().position(|byte| *byte != b' ')?;
    rest.get(end..HEADER + 16 - LINE.len())?.strip_prefix(b"\n")
}

/// Whether the body of each stanza ends with a line that is not full, as the format demands. The
/// parser also takes the headers of drafts of the format.
fn is_canonical(header: &[u8]) -> bool {
    const FULL: usize = 64;
    let mut is_open = false;
    for line in header.split(|byte| *byte == b'\n').skip(1) {
        match line {
            [b'-', ..] if is_open => return false,
            [b'-', b'-', ..] => return true,
            [b'-', ..] => is_open = true,
            body => is_open &= body.len() == FULL,
        }
    }
    false
}

fn corrupt(text: &str) -> ErrorKind {
    ErrorKind::Corrupt(text.into())
}

/// The recipients, as one that binds what it gets to a key.
struct Bound<'a> {
    encryption: &'a Encryption,
    key: &'a str,
    /// What age chose.
    secret: Mutex<Option<Secret>>,
}

impl Recipient for Bound<'_> {
    fn wrap_file_key(
        &self,
        secret: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let mut stanzas = Vec::new();
        for recipient in self.encryption.recipients.iter() {
            stanzas.append(&mut recipient.wrap_file_key(secret)?.0);
        }
        stanzas.push(binding(self.key, &stanzas));
        let secret = Zeroizing::new(*secret.expose_secret());
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
        Ok((stanzas, HashSet::new()))
    }
}

/// The stanza that binds a header to the key of its artifact. Its body is a checksum of the stanzas
/// of the recipients: a damaged one is then told from one for somebody else.
fn binding(key: &str, stanzas: &[Stanza]) -> Stanza {
    let mut checksum = Sha256::new();
    for Stanza { args, body, .. } in stanzas.iter().filter(|stanza| stanza.tag == X25519) {
        for part in args.iter().map(String::as_bytes).chain([&body[..]]) {
            checksum.update((part.len() as u64).to_be_bytes());
            checksum.update(part);
        }
    }
    let name = crate::text::hexadecimal(&Sha256::digest(key));
    Stanza { tag: BINDING.into(), args: vec![name], body: checksum.finalize().to_vec() }
}

/// The identities, as one that checks the binding.
struct Found<'a> {
    opening: &'a Opening,
    /// What an identity found in the header.
    secret: Mutex<Option<Secret>>,
    /// What is wrong with the binding.
    wrong: Mutex<Option<&'static str>>,
}

impl Identity for Found<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let identities = self.opening.encryption.identities.iter();
        identities.filter_map(|identity| identity.unwrap_stanza(stanza)).next()
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let bound = binding(&self.opening.key, stanzas);
        // A file of age that is not from this library has none.
        let mut bindings = stanzas.iter().filter(|stanza| stanza.tag == BINDING);
        let wrong = bindings.find(|stanza| **stanza != bound).map(|stanza| {
            match stanza.args == bound.args {
                true => "its header was changed",
                false => "it is the artifact of another key",
            }
        });
        if wrong.is_some() {
            *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) = wrong;
            return None;
        }
        let found = stanzas.iter().find_map(|stanza| self.unwrap_stanza(stanza))?;
        if let Ok(secret) = &found {
            let secret = Zeroizing::new(*secret.expose_secret());
            *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
        }
        Some(found)
    }
}
