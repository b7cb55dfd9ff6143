//! The contract in Rust, generated from `wit/`: the traits that the component implements, and their
//! types. The types that all backends share come from [`artifact_store_backend`].

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:s3;
        world s3 {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/copying@0.1.0;
            export artifact:storage/maintenance@0.1.0;
            export artifact:storage/settings@0.1.0;
        }
    ",
    world: "artifact:s3/s3",
    with: { "artifact:storage/types@0.1.0": artifact_store_backend::types },
    generate_all,
    default_bindings_module: "crate::bindings",
});

pub use exports::artifact::storage::{
    artifact_store, copying, inventory, maintenance, settings, streams,
};
pub use inventory::{Entry, Page};
pub use maintenance::{Finding, FindingKind, Findings, SweepReport};
pub use streams::{Contents, WriteOptions};
