//! Builds the command component, which `bundle` composes a backend with.

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "../build/component.rs"]
mod component;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let guest = here.join("../../guest/command");
    for input in ["src", "Cargo.toml", "../../wit", "../../Cargo.toml", "../../Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", guest.join(input).display());
    }
    println!("cargo::rerun-if-changed=../build");
    let built = component::build(&guest.join("Cargo.toml"), &["--lib"]);
    let out = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join("command.wasm");
    let built = built.join("artifact_store_command.wasm");
    fs::copy(&built, out).unwrap_or_else(|e| panic!("cannot copy `{}`: {e}", built.display()));
}
