//! What stands between the callers of a store and its backend.

use super::Backend;

/// A layer of a store: what stands between its callers and its [`Backend`]. Made from what it is, by
/// [`Backend::layer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// A component that imports the interfaces of a store and exports them: the world `layer` of the
    /// contract. It runs in a sandbox of its own, with its own grants, limits and pin.
    Component(Box<Backend>),
}

impl From<Backend> for Layer {
    fn from(component: Backend) -> Self {
        Self::Component(Box::new(component))
    }
}

impl Backend {
    /// Puts a layer over this backend, and over the layers that it has. What is called then is the
    /// layer, which calls what is below it.
    ///
    /// ```no_run
    /// use artifact_store::{Backend, blocking::ArtifactStore};
    ///
    /// let scope = Backend::from_file("prefix.wasm").map_grants(|it| it.env("PREFIX", "team-a/"));
    /// let store = ArtifactStore::open(Backend::fs("artifacts").layer(scope))?;
    /// # Ok::<(), artifact_store::Error>(())
    /// ```
    #[must_use]
    pub fn layer(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// Its layers; the innermost first.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter()
    }
}
