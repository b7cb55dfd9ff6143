//! What stands between the callers and a backend.

use super::Backend;
#[cfg(feature = "encrypt")]
use crate::Encryption;

/// What can stand between the callers of a store and its backend, or another layer: see
/// [`Backend::layer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// Encrypts what is stored.
    #[cfg(feature = "encrypt")]
    Encrypt(Encryption),
}

#[cfg(feature = "encrypt")]
impl From<Encryption> for Layer {
    fn from(encryption: Encryption) -> Self {
        Self::Encrypt(encryption)
    }
}

impl Backend {
    /// Puts a layer around what is there: the one added last is the outermost, which callers meet
    /// first.
    ///
    /// ```
    /// use artifact_store::{Backend, Encryption, KeyPair};
    ///
    /// let pair = KeyPair::generate();
    /// let encryption = Encryption::new([pair.recipient()])?;
    /// let backend = Backend::fs("artifacts").layer(encryption);
    /// # let _ = backend;
    /// # Ok::<(), artifact_store::LoadError>(())
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// The same without what the host does itself: checks are about components.
    #[cfg(feature = "conformance")]
    pub(crate) fn unencrypted(mut self) -> Self {
        self.layers.retain(|layer| match layer {
            #[cfg(feature = "encrypt")]
            Layer::Encrypt(_) => false,
            #[allow(unreachable_patterns, reason = "there may be no other kind")]
            _ => true,
        });
        self
    }
}
