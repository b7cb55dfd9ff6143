#![doc = include_str!("../README.md")]
#![warn(missing_debug_implementations, missing_docs)]

mod access;
mod admin;
mod attributes;
mod body;
mod buckets;
mod conditions;
mod error;
mod etag;
mod front;
mod hidden;
mod http;
mod kept;
mod keys;
mod limits;
mod listen;
mod log;
mod opened;
mod ops;
mod payload;
mod rechunk;
mod served;
mod server;
mod service;
mod stall;
mod telemetry;
mod tls;
mod unquoted;
mod verdict;
mod verify;

pub use admin::Admin;
pub use buckets::{Buckets, InvalidBucketName};
pub use keys::{Access, Key, Keys};
pub use limits::ServerLimits;
pub use server::Server;
pub use tls::{Tls, TlsError};
