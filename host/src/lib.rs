//! A store for artifacts (large opaque blobs: patches, snapshot manifests, build outputs)
//! whose storage backend is a WebAssembly component, loaded at run time.
//!
//! The backend decides where artifacts lie and when they become visible; it runs in a
//! sandbox, touches only what its [`Grants`] name, and is exchanged for another file without
//! rebuilding the application. The host checks keys, seals each write with a checksum and
//! verifies what is read.
//!
//! ```
//! use artifact_store::ArtifactStore;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! let store = ArtifactStore::open_dir(dir.path()).await?;
//! store.put("snapshots/42", "a manifest").await?;
//! assert_eq!(store.get("snapshots/42").await?, "a manifest");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without an executor, [`blocking::ArtifactStore`] offers the same calls. Any other
//! component that exports the package `artifact:storage` takes the place of the built-in one
//! through [`ArtifactStore::open`] and a [`Backend`].
//!
//! # Features
//!
//! | feature | default | content |
//! |---|---|---|
//! | `config` | on | stores that operators name in a file ([`Configuration`], [`ArtifactStore::open_configured`]), and watching it ([`ArtifactStore::open_watched`]) |
//! | `encrypt` | on | the layer that encrypts artifacts ([`Encryption`]) |
//! | `network` | on | grants for network endpoints, and the built-in backend for S3 ([`Backend::s3`]) |
//! | `conformance` | off | the checks that `artifact-store check` runs on a backend; not stable yet |
#![cfg_attr(guide, doc = "# Guide\n\nThe module [`guide`] has a page for each subject.")]
#![warn(missing_debug_implementations, missing_docs)]

mod attributes;
mod backend;
mod bindings;
pub mod blocking;
mod budget;
mod checksum;
mod chunk;
#[cfg(feature = "config")]
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod encryption;
mod engine;
mod error;
mod file;
mod grants;
#[cfg(guide)]
pub mod guide {
    //! The pages for operators, for authors of backends, and for all who want to know how it works.
    include!("../guide.rs");
}
mod info;
mod inspect;
mod instance;
mod interface;
mod key;
mod limits;
mod maintenance;
#[cfg(feature = "network")]
mod network;
mod serving;
mod setters;
mod stack;
mod store;
mod telemetry;
mod text;
mod transfer;
mod verbs;
mod wasi;

pub use attributes::Attributes;
#[cfg(feature = "network")]
pub use backend::Sign;
pub use backend::{Backend, Layer, Setting};
#[cfg(feature = "config")]
pub use config::{
    Configuration, ServeAccess, ServeKey, ServeTls, StoreConfiguration, Watch, WatchStatus,
    WatchedFiles,
};
#[cfg(feature = "encrypt")]
pub use encryption::{Encryption, KeyPair};
pub use engine::{Cache, Compile, Engine, EngineBuilder};
#[cfg(feature = "config")]
pub use error::{ConfigurationError, MissingVariable, Problem};
pub use error::{Error, ErrorKind, LoadError, Operation, Resource, Result, SettingProblem};
pub use grants::Grants;
#[cfg(feature = "network")]
pub use grants::{S3Bucket, S3Credentials};
pub use info::{Entry, Info, Mode, ReadOptions, WriteOptions};
pub use inspect::{Access, Inspection};
pub use interface::Interface;
pub use limits::{Limits, LoadLimits};
pub use maintenance::{Finding, FindingKind, Swept};
pub use serving::{LoadedBackend, SwapOptions};
pub use store::ArtifactStore;
pub use transfer::reader::ArtifactReader;
pub use transfer::writer::ArtifactWriter;
pub use verbs::{Audit, ListOptions, ListPage, Listing};

/// Its example is compiled as those of the documentation are.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
