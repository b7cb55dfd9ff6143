//! What a component sees of the world through WASI.

mod preopens;

pub(crate) use preopens::{Preopen, Preopens, link as link_preopens};
