//! The contract as Rust types, generated from `wit/`.

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package artifact:host;
        world host {
            export artifact:storage/artifact-store@0.1.0;
            export artifact:storage/streams@0.1.0;
            export artifact:storage/inventory@0.1.0;
        }
    ",
    world: "artifact:host/host",
});

pub(crate) use artifact::storage::types;
pub(crate) use exports::artifact::storage::{artifact_store, inventory, streams};
