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
    /// A component of the contract's world `layer`, which imports the interfaces of a store and
    /// exports them. It runs in a sandbox of its own, with its own grants, limits and pin.
    Component(Box<Backend>),
}

#[cfg(feature = "encrypt")]
impl From<Encryption> for Layer {
    fn from(encryption: Encryption) -> Self {
        Self::Encrypt(encryption)
    }
}

impl From<Backend> for Layer {
    fn from(component: Backend) -> Self {
        Self::Component(Box::new(component))
    }
}

impl Backend {
    /// Puts a layer around what is there: the one added last is the outermost, which callers meet
    /// first.
    ///
    /// ```no_run
    /// use artifact_store::{Backend, Encryption, KeyPair, blocking::ArtifactStore};
    ///
    /// let pair = KeyPair::generate();
    /// let encryption = Encryption::new([pair.recipient()])?;
    /// let scope = Backend::from_file("prefix.wasm").map_grants(|it| it.env("PREFIX", "team-a/"));
    /// let store = ArtifactStore::open(Backend::fs("artifacts").layer(encryption).layer(scope))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// The same without what the host does itself: checks are about components.
    #[cfg(feature = "conformance")]
    pub(crate) fn unencrypted(mut self) -> Self {
        self.layers.retain(|layer| matches!(layer, Layer::Component(_)));
        self
    }
}
