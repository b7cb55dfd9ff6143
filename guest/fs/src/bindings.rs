//! The contract in Rust, generated from `wit/`: the traits that the component implements, and their
//! types. The types that all backends share come from [`artifact_store_backend`].

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:fs;
        world fs {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/conditional@0.1.0;
            export artifact:storage/ordered@0.1.0;
            export artifact:storage/maintenance@0.1.0;
            export artifact:storage/settings@0.1.0;
        }
    ",
    world: "artifact:fs/fs",
    with: { "artifact:storage/types@0.1.0": artifact_store_backend::types },
    generate_all,
    default_bindings_module: "crate::bindings",
});

pub use exports::artifact::storage::{
    artifact_store, conditional, inventory, maintenance, ordered, settings, streams,
};
pub use inventory::{Entry, Page};
pub use maintenance::{Finding, FindingKind, Findings, SweepReport};
pub use ordered::OrderedPage;
pub use streams::{Contents, WriteOptions};
