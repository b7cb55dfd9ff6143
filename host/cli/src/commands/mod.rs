//! One file per command.

mod age;
pub mod bundle;
pub mod check;
pub mod config;
pub mod copy;
pub mod delete;
pub mod du;
pub mod exists;
pub mod extract;
pub mod get;
mod gone;
pub mod inspect;
pub mod keygen;
mod keys;
mod line;
pub mod list;
pub mod man;
pub mod new_backend;
pub mod put;
mod report;
pub mod serve;
pub mod shell;
pub mod stat;
pub mod sync;
mod transfer;
mod tree;
pub mod verify;
