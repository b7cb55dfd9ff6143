//! The filesystem backend of the artifact store: each artifact is one file in the single
//! directory that the component is granted.
//!
//! [`name`] and [`header`] define what lies on disk, as `docs/format.md` describes it, and
//! build for any target; the component around them exists for WebAssembly only.

// A panic's message alone would import seven interfaces and take a quarter of the component.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

pub mod age;
pub mod header;
pub mod name;

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod claim;
#[cfg(target_family = "wasm")]
mod commit;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod delete;
#[cfg(target_family = "wasm")]
mod durable;
#[cfg(target_family = "wasm")]
mod folder;
#[cfg(target_family = "wasm")]
mod follow;
#[cfg(target_family = "wasm")]
mod mark;
#[cfg(target_family = "wasm")]
mod read;
#[cfg(target_family = "wasm")]
mod runtime;
#[cfg(target_family = "wasm")]
mod settings;
#[cfg(target_family = "wasm")]
mod versions;
#[cfg(target_family = "wasm")]
mod walk;
#[cfg(target_family = "wasm")]
mod wasi;
