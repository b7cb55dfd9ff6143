//! Builds the backends that are embedded in the library, and computes their digests, which would
//! otherwise be computed whenever one is loaded.

use std::path::Path;
use std::{env, fs};

use sha2::{Digest, Sha256};

#[path = "build/embed.rs"]
mod embed;

fn main() {
    backend("fs");
    if env::var_os("CARGO_FEATURE_NETWORK").is_some() {
        backend("s3");
    }
}

fn backend(name: &str) {
    embed::embed("../guest", name);
    let built = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join(name);
    let bytes = fs::read(built.with_extension("wasm")).expect("it was put there");
    let written = fs::write(built.with_extension("sha256"), Sha256::digest(bytes));
    written.unwrap_or_else(|e| panic!("cannot write the digest of `{name}`: {e}"));
}
