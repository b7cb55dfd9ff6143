//! The S3 backend of the artifact store: each artifact is one object of a bucket.
//!
//! [`name`], [`attributes`], [`version`], [`settings`], [`cursor`] and [`xml`] define what is sent,
//! as `docs/s3.md` describes it, and build for any target; the component around them is built for
//! WebAssembly only.

pub mod attributes;
/// The clock for signatures; the host has the same file.
#[path = "../../../host/src/network/sign/clock.rs"]
pub mod clock;
pub mod cursor;
pub mod name;
pub mod settings;
/// The signatures; the host has the same file.
#[path = "../../../host/src/network/sign/sigv4.rs"]
pub mod sigv4;
pub mod version;
pub mod xml;

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod client;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod copy;
#[cfg(target_family = "wasm")]
mod download;
#[cfg(target_family = "wasm")]
mod failure;
#[cfg(target_family = "wasm")]
mod http;
#[cfg(target_family = "wasm")]
mod list;
#[cfg(target_family = "wasm")]
mod maintenance;
#[cfg(target_family = "wasm")]
mod metadata;
#[cfg(target_family = "wasm")]
mod multipart;
#[cfg(target_family = "wasm")]
mod upload;
