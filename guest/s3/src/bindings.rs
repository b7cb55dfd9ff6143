//! The contract as Rust has it, made from `wit/`: its types, and the traits that the component
//! implements.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:s3;
        world s3 {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/maintenance@0.1.0;
        }
    ",
    world: "artifact:s3/s3",
    generate_all,
    default_bindings_module: "crate::bindings",
});

pub use artifact::storage::types::{Error, Info, Instant, Seal};
pub use exports::artifact::storage::{artifact_store, inventory, maintenance, streams};
pub use inventory::{Entry, Page};
pub use maintenance::{Finding, FindingKind, Findings, SweepReport};
pub use streams::{Mode, WriteOptions};

/// The result of a call of the contract.
pub type Result<T> = std::result::Result<T, Error>;
