//! The keys of access, and what their holders may do.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use s3s::auth::SecretKey;
use subtle::ConstantTimeEq;

/// What the holder of a key may do in its buckets.
pub use artifact_store::ServeAccess as Access;

/// One key of access. Its `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub struct Key {
    id: String,
    secret: SecretKey,
    access: Access,
    /// `None` means all.
    buckets: Option<BTreeSet<String>>,
}

impl Key {
    /// A key that may do everything in all buckets.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        let secret = SecretKey::from(secret.into());
        Self { id: id.into(), secret, access: Access::Write, buckets: None }
    }

    /// The same with an id and a secret that nobody knows yet.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn generate() -> io::Result<Self> {
        Ok(Self::new(format!("AS{}", random(18)?.to_uppercase()), random(40)?))
    }

    /// The same with other rights.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The same for these buckets only.
    #[must_use]
    pub fn buckets<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { buckets: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// The id, which requests name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret, which requests are signed with.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.secret.expose()
    }

    pub(crate) fn may(&self, access: Access) -> bool {
        self.access >= access
    }

    pub(crate) fn reaches(&self, bucket: &str) -> bool {
        self.buckets.as_ref().is_none_or(|names| names.contains(bucket))
    }

    /// Whether that is the secret. How long it takes tells nothing but its length.
    pub(crate) fn has(&self, secret: &SecretKey) -> bool {
        self.secret.ct_eq(secret).into()
    }

    pub(crate) fn secret_key(&self) -> &SecretKey {
        &self.secret
    }
}

/// All keys that a server accepts. A request that none of them has signed is refused.
///
/// ```
/// use artifact_store_server::{Access, Key, Keys};
///
/// let keys = Keys::new()
///     .with(Key::new("ci", "its secret").access(Access::Append).buckets(["builds"]))
///     .with(Key::new("admin", "another secret"));
/// assert!(!format!("{keys:?}").contains("secret\""));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Keys(HashMap<String, Arc<Key>>);

impl Keys {
    /// None: every request is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more key, in place of one with its id.
    #[must_use]
    pub fn with(mut self, key: Key) -> Self {
        self.0.insert(key.id.clone(), Arc::new(key));
        self
    }

    /// The key with this secret, if only one has it. All are compared.
    pub(crate) fn with_secret(&self, secret: &SecretKey) -> Option<&Arc<Key>> {
        let found: Vec<_> = self.0.values().filter(|key| key.has(secret)).collect();
        match found[..] {
            [key] => Some(key),
            _ => None,
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Key>> {
        self.0.get(id)
    }
}

/// So many random letters and digits.
pub(crate) fn random(length: usize) -> io::Result<String> {
    /// A power of two of them, so that each is as likely as the others.
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_names_a_key_if_it_is_that_of_one() {
        let keys = [("one", "same"), ("two", "same"), ("three", "other")];
        let keys = keys.iter().fold(Keys::new(), |keys, (id, it)| keys.with(Key::new(*id, *it)));
        let found = |secret| keys.with_secret(&SecretKey::from(secret)).map(|key| key.id());
        assert_eq!(found("other"), Some("three"));
        assert_eq!([found("same"), found("othe"), found("")], [None; 3]);
    }
}
