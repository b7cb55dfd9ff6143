//! Builds the backends of `guests/`, and tells the tests what only a build knows.

use std::path::Path;

#[path = "../host/build/component.rs"]
mod component;

fn main() {
    for input in [
        "guests",
        "../guest/backend",
        "../guest/fs",
        "../guest/prefix",
        "../guest/rust",
        "../wit",
        "../Cargo.toml",
        "../Cargo.lock",
        "../host/build",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    let built = component::build(Path::new("guests/Cargo.toml"), &["--examples"]);
    println!("cargo::rustc-env=TEST_GUESTS={}", built.join("examples").display());
    // The built-in backend, but with a hash under which keys collide.
    let with_weak_hash = ["--lib", "--features", "weak-hash"];
    let built = component::build_apart(Path::new("../guest/fs/Cargo.toml"), &with_weak_hash);
    println!("cargo::rustc-env=FS_WITH_WEAK_HASH={}/artifact_store_fs.wasm", built.display());
    let target = std::env::var("TARGET").expect("set by cargo");
    println!("cargo::rustc-env=TEST_TARGET={target}");
}
