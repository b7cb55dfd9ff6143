//! One file per command.

pub mod bundle;
pub mod check;
pub mod config;
pub mod copy;
pub mod delete;
pub mod extract;
pub mod get;
mod gone;
pub mod inspect;
pub mod list;
pub mod new_backend;
pub mod put;
pub mod shell;
pub mod stat;
mod transfer;
pub mod verify;
