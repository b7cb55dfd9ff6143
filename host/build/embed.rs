//! Puts a component that is built in where the crate includes it from.

use std::path::{Path, PathBuf};
use std::{env, fs};

mod component;

/// Builds the guest `name`, whose folder is in `guests`, to be the file `NAME.wasm` in `OUT_DIR`.
pub fn embed(guests: &str, name: &str) {
    println!("cargo::rerun-if-changed=build");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let guest = here.join(guests).join(name);
    let file = format!("{name}.wasm");
    let built = if guest.is_dir() {
        // The last one is what the backend for S3 has in common with the host.
        for input in [
            "src",
            "Cargo.toml",
            "../backend",
            "../../wit",
            "../../Cargo.toml",
            "../../Cargo.lock",
            "../../host/src/network/sign",
        ] {
            println!("cargo::rerun-if-changed={}", guest.join(input).display());
        }
        let folder = component::build(&guest.join("Cargo.toml"), &["--lib"]);
        folder.join(format!("artifact_store_{file}"))
    } else {
        // The published crate holds the component, since its source is a crate of its own.
        here.join(&file)
    };
    let out = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join(file);
    fs::copy(&built, out).unwrap_or_else(|e| panic!("cannot copy `{}`: {e}", built.display()));
}
