//! The contract as Rust types, generated from `wit/`.

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package artifact:host;
        world host {
            export artifact:storage/artifact-store@0.1.0;
            export artifact:storage/streams@0.1.0;
            export artifact:storage/inventory@0.1.0;
            export artifact:storage/conditional@0.1.0;
            export artifact:storage/copying@0.1.0;
            export artifact:storage/ordered@0.1.0;
            export artifact:storage/maintenance@0.1.0;
            export artifact:storage/settings@0.1.0;
        }
    ",
    world: "artifact:host/host",
});

pub(crate) use artifact::storage::types;
pub(crate) use exports::artifact::storage::{
    artifact_store, conditional, copying, inventory, maintenance, ordered, settings, streams,
};

/// The interface that every backend exports, as a component names it.
pub(crate) const STORE: &str = "artifact:storage/artifact-store@0.1.0";
pub(crate) const STREAMS: &str = "artifact:storage/streams@0.1.0";
pub(crate) const INVENTORY: &str = "artifact:storage/inventory@0.1.0";
pub(crate) const CONDITIONAL: &str = "artifact:storage/conditional@0.1.0";
pub(crate) const COPYING: &str = "artifact:storage/copying@0.1.0";
pub(crate) const ORDERED: &str = "artifact:storage/ordered@0.1.0";
pub(crate) const MAINTENANCE: &str = "artifact:storage/maintenance@0.1.0";
pub(crate) const SETTINGS: &str = "artifact:storage/settings@0.1.0";
