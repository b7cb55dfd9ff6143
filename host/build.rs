//! Builds the filesystem backend, which is embedded in the library.

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "build/component.rs"]
mod component;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let guest = here.join("../guest/fs");
    let built = if guest.is_dir() {
        for input in ["src", "Cargo.toml", "../../wit", "../../Cargo.toml", "../../Cargo.lock"] {
            println!("cargo::rerun-if-changed={}", guest.join(input).display());
        }
        component::build(&guest.join("Cargo.toml"), "--lib").join("artifact_store_fs.wasm")
    } else {
        // The published crate holds the component, since its source is a crate of its own.
        here.join("fs.wasm")
    };
    println!("cargo::rerun-if-changed=build");
    let out = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join("fs.wasm");
    fs::copy(&built, out).unwrap_or_else(|e| panic!("cannot copy `{}`: {e}", built.display()));
}
