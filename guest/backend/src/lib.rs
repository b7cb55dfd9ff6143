//! The common parts of backends in Rust: the rules of the contract that do not depend on where
//! artifacts are kept.
//!
//! - [`key`] checks a key before it is used, and [`attributes`] those of an artifact.
//! - [`name`] helps to name the files or objects of keys, and to interpret names that were found.
//! - [`checksum`] is that of the contract, for data in one piece or joined from those of parts.
//! - [`page`] limits a page of a listing.
//!
//! These build for any target, so that the code around them can be tested natively. For WebAssembly
//! there are also `types`, those of the contract, with `Error` and `Result`; `seal`, which ends a
//! write; and `outcome`, which ends a read. `cargo doc --target wasm32-wasip2` shows them.
//!
//! # A backend
//!
//! The bindings of a backend take their types from here, so that the errors of this crate are its
//! own, and `?` passes them on. This one is complete and runs, but is not safe: a put that fails
//! halfway destroys the artifact of its key, and a long key does not fit into a file name.
//!
//! ```no_run,standalone_crate
//! # #[cfg(target_family = "wasm")]
//! # mod backend {
//! use artifact_store_backend::{Error, Result, key, name};
//! use std::fs;
//! use std::io::{self, ErrorKind};
//!
//! wit_bindgen::generate!({
//!     path: "wit",
//!     world: "backend",
//!     with: { "artifact:storage/types@0.1.0": artifact_store_backend::types },
//! });
//!
//! use exports::artifact::storage::artifact_store::Guest;
//!
//! struct Backend;
//!
//! export!(Backend);
//!
//! fn path(key: &str) -> Result<String> {
//!     key::check(key)?;
//!     Ok(format!("/{}", name::hex(key.as_bytes())))
//! }
//!
//! fn explain(error: io::Error) -> Error {
//!     match error.kind() {
//!         ErrorKind::NotFound => Error::NotFound,
//!         _ => Error::Other(error.to_string()),
//!     }
//! }
//!
//! impl Guest for Backend {
//!     async fn put(key: String, data: Vec<u8>) -> Result<()> {
//!         fs::write(path(&key)?, data).map_err(explain)
//!     }
//!
//!     async fn get(key: String) -> Result<Vec<u8>> {
//!         fs::read(path(&key)?).map_err(explain)
//!     }
//!
//!     async fn delete(key: String) -> Result<()> {
//!         match fs::remove_file(path(&key)?).map_err(explain) {
//!             Err(Error::NotFound) => Ok(()),
//!             removed => removed,
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! # Streams
//!
//! The end of a stream does not mean that the artifact is complete; the seal does. Therefore a
//! `write` reads the bytes, waits for the seal, and compares. A `read` returns at once, and reports
//! after the bytes how it ended. A small artifact needs no stream: a `read` may bring up to 64 KiB with
//! its answer.
//!
//! ```no_run,standalone_crate
//! # #[cfg(target_family = "wasm")]
//! # mod backend {
//! # wit_bindgen::generate!({
//! #     path: "wit",
//! #     inline: "
//! #         package my:backend;
//! #         world backend { export artifact:storage/streams@0.1.0; }
//! #     ",
//! #     world: "my:backend/backend",
//! #     with: { "artifact:storage/types@0.1.0": artifact_store_backend::types },
//! #     generate_all,
//! # });
//! # struct Backend;
//! # export!(Backend);
//! # fn store(_: &str, _: Vec<u8>, _: WriteOptions) -> Result<Info> { todo!() }
//! # fn find(_: &str, _: u64, _: Option<u64>) -> Result<(Info, Vec<u8>)> { todo!() }
//! use artifact_store_backend::checksum::checksum;
//! use artifact_store_backend::{Info, Result, Seal, key, outcome, seal};
//! use exports::artifact::storage::streams::{Contents, Guest, WriteOptions};
//! use wit_bindgen::{FutureReader, StreamReader};
//!
//! impl Guest for Backend {
//!     async fn write(
//!         key: String,
//!         data: StreamReader<u8>,
//!         end: FutureReader<std::result::Result<Seal, String>>,
//!         options: WriteOptions,
//!     ) -> Result<Info> {
//!         key::check(&key)?;
//!         let bytes = data.collect().await;
//!         let seal = seal::wait(end, options.size).await?;
//!         seal::check(&seal, bytes.len() as u64, checksum(&bytes))?;
//!         store(&key, bytes, options)
//!     }
//!
//!     async fn read(
//!         key: String,
//!         offset: u64,
//!         length: Option<u64>,
//!     ) -> Result<(Info, Contents)> {
//!         key::check(&key)?;
//!         let (info, bytes) = find(&key, offset, length)?;
//!         if bytes.len() <= 64 << 10 {
//!             return Ok((info, Contents::Bytes(bytes)));
//!         }
//!         let (mut writer, stream) = wit_stream::new();
//!         let (report, outcome) = wit_future::new(outcome::dropped);
//!         outcome::report(report, async move {
//!             // What is left was not wanted: the reader is gone.
//!             let _ = writer.write_all(bytes).await;
//!             Ok(())
//!         });
//!         Ok((info, Contents::Streamed((stream, outcome))))
//!     }
//! }
//! # }
//! ```

#![no_std]

extern crate alloc;

pub mod attributes;
pub mod checksum;
pub mod key;
pub mod name;
pub mod page;

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
pub mod outcome;
#[cfg(target_family = "wasm")]
pub mod seal;

#[cfg(target_family = "wasm")]
pub use bindings::artifact::storage::types;
#[cfg(target_family = "wasm")]
pub use types::{Attribute, Error, Info, Instant, Mode, Seal};

/// The result of a call of the contract.
#[cfg(target_family = "wasm")]
pub type Result<T> = core::result::Result<T, Error>;
