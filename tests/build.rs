//! Builds the backends of `guests/`.

use std::path::Path;

#[path = "../host/build/component.rs"]
mod component;

fn main() {
    for input in ["guests", "../wit", "../Cargo.toml", "../Cargo.lock", "../host/build"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let built = component::build(Path::new("guests/Cargo.toml"), "--examples");
    println!("cargo::rustc-env=TEST_GUESTS={}", built.join("examples").display());
}
