//! A new backend in Rust: the small one of `guest/rust`, or all of `guest/fs`.

use crate::commands::template::rust::{self, dependency, own_wit, wit_bindgen};
use crate::commands::template::{Files, below, contract, text};

pub const ABOUT: &str = "\
`src/lib.rs` is the whole backend. `wit/` is the contract; its comments are the rules. A backend must \
export only `put`, `get` and\n`delete`. To store artifacts of any size and to list them, replace `world: \
\"backend\"` with `world: \"full-backend\"` and also write\n`streams` and `inventory`; \
`artifact-store new-backend --full` writes a backend that has both. The compiler names what is missing,\n\
and `check` reports what is wrong. If the target is missing: `rustup target add wasm32-wasip2`.";

pub const ABOUT_FULL: &str = "\
This is the built-in backend `fs` under another name. `src/component.rs` has the exported functions, \
`src/wasi/` the calls of the\nfilesystem, and `backend/` what every backend needs: keys, checksums, seals. \
`wit/` is the contract; its comments are the rules. If\nthe target is missing: `rustup target add \
wasm32-wasip2`.";

/// Small enough for any use of the component, and as fast as it gets.
const PROFILE: &str = "\
[profile.release]\nlto = true\ncodegen-units = 1\npanic = \"abort\"\nstrip = true\n";

/// Put, get and delete.
pub fn plain(name: &str) -> Files {
    rust::plain("backend", name, "rust", &[dependency("wasip3"), wit_bindgen()])
}

/// All that the contract has: the built-in backend, and the crate that it has in common with others.
pub fn full(name: &str) -> Files {
    let package = text("fs.toml").replace("artifact-store-fs", name);
    let package = package.replace("license.workspace = true\n", "");
    let backend = text("backend.toml").replace("license.workspace = true\n", "");
    let manifests = [
        ("Cargo.toml".into(), format!("{}\n{package}\n{PROFILE}", workspace()).into_bytes()),
        ("backend/Cargo.toml".into(), backend.into_bytes()),
    ];
    let sources = below("fs").map(|(path, bytes)| (format!("src/{path}"), own_wit(bytes, "wit")));
    let common = below("backend");
    let common =
        common.map(|(path, bytes)| (format!("backend/src/{path}"), own_wit(bytes, "../wit")));
    manifests.into_iter().chain(sources).chain(common).chain(contract("wit")).collect()
}

/// The workspace of the two crates, with the versions of this project.
fn workspace() -> String {
    let mut text = String::from("[workspace]\nmembers = [\"backend\"]\n\n[workspace.package]\n");
    for name in ["version", "edition", "rust-version"] {
        text.push_str(&format!("{}\n", dependency(name)));
    }
    text.push_str("\n[workspace.dependencies]\nartifact-store-backend = { path = \"backend\" }\n");
    for name in ["crc", "proptest", "sha2", "wit-bindgen"] {
        text.push_str(&format!("{}\n", dependency(name)));
    }
    text
}
