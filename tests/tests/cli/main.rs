//! The command line, through the real binary.
#![cfg(unix)]

mod answers;
mod bundle;
mod copy;
mod encryption;
mod get;
mod help;
mod layers;
mod many;
mod output;
mod own;
mod places;
mod refusals;
mod sessions;
mod signals;
mod stores;
mod streams;
mod transfers;
mod tree;
mod verify;
