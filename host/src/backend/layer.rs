//! What stands between the callers and a backend.

use std::path::Path;
#[cfg(feature = "conformance")]
use std::path::PathBuf;

use super::Backend;
#[cfg(feature = "encrypt")]
use crate::Encryption;
#[cfg(feature = "conformance")]
use crate::Limits;

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

impl Layer {
    /// The file that its identities were read from.
    pub(super) fn identities(&self) -> Option<&Path> {
        match self {
            #[cfg(feature = "encrypt")]
            Self::Encrypt(encryption) => encryption.file(),
            Self::Component(_) => None,
        }
    }
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

    /// The same as the checks use it: without what the host does itself, and in a stack with no more
    /// time for a turn than for a call, so that a layer that does not answer is found out sooner.
    #[cfg(feature = "conformance")]
    pub(crate) fn checked(mut self) -> Self {
        self.layers.retain(|layer| matches!(layer, Layer::Component(_)));
        if !self.layers.is_empty() {
            let Limits { turn_timeout, call_timeout, .. } = self.limits;
            self.limits.turn_timeout = turn_timeout.min(call_timeout);
        }
        self.sweep_older_than(None)
    }

    /// The component that callers meet first, alone.
    #[cfg(feature = "conformance")]
    pub(crate) fn outermost(&self) -> Self {
        let engine = self.engine.clone();
        match self.components().last() {
            Some(layer) => Self { engine: layer.engine.clone().or(engine), ..layer.clone() },
            None => Self { layers: Vec::new(), ..self.clone() },
        }
    }

    /// What is below all layers, alone.
    #[cfg(feature = "conformance")]
    pub(crate) fn innermost(&self) -> Self {
        Self { layers: Vec::new(), ..self.clone() }
    }

    /// The layers that are components, the innermost first.
    #[cfg(any(feature = "config", feature = "conformance"))]
    pub(crate) fn components(&self) -> impl Iterator<Item = &Self> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Component(component) => Some(&**component),
            #[cfg(feature = "encrypt")]
            Layer::Encrypt(_) => None,
        })
    }

    /// The same, to be changed.
    #[cfg(any(feature = "config", feature = "conformance"))]
    pub(super) fn components_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.layers.iter_mut().filter_map(|layer| match layer {
            Layer::Component(component) => Some(&mut **component),
            #[cfg(feature = "encrypt")]
            Layer::Encrypt(_) => None,
        })
    }

    /// The same on `dir`, which replaces all directories that it may write to. If a layer writes to
    /// some of its own, each component of the stack has a part of `dir`.
    #[cfg(feature = "conformance")]
    pub(crate) fn only(mut self, dir: &Path) -> Self {
        let writes = |component: &Self| component.grants.directories.iter().any(|it| it.writable);
        if !self.components().any(writes) {
            return self.map_grants(|grants| grants.only(dir));
        }
        for (n, layer) in self.components_mut().enumerate().filter(|(_, layer)| writes(layer)) {
            let own = dir.join(format!("layer-{n}"));
            layer.grants = std::mem::take(&mut layer.grants).only(&own);
        }
        self.map_grants(|grants| grants.only(&dir.join("store")))
    }

    /// The directories below `dir` that the components of the stack may write to, that of the backend
    /// first.
    #[cfg(feature = "conformance")]
    pub(crate) fn directories_in(&self, dir: &Path) -> Vec<PathBuf> {
        let all = std::iter::once(self).chain(self.components());
        let granted = all.flat_map(|component| &component.grants.directories);
        let own = granted.filter(|granted| granted.writable && granted.host.starts_with(dir));
        own.map(|granted| granted.host.clone()).collect()
    }
}
