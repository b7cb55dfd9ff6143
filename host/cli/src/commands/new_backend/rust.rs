//! A new backend in Rust: the small one of `guest/rust`, or all of `guest/fs`.

use super::{Files, below, contract, text};

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
    let manifest = text("rust.toml")
        .replace("NAME", name)
        .replace("WASIP3", &dependency("wasip3"))
        .replace("WIT_BINDGEN", &with_features(&dependency("wit-bindgen")));
    let mut files = vec![("Cargo.toml".into(), manifest.into_bytes())];
    files.extend(below("rust").map(|(path, bytes)| (format!("src/{path}"), own_wit(bytes, "wit"))));
    files.extend(contract("wit"));
    files
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

/// The source with the contract in this folder.
fn own_wit(bytes: &[u8], folder: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.replace("path: \"../../wit\"", "path: \"wit\"");
    text.replace("path: \"wit\"", &format!("path: \"{folder}\"")).into_bytes()
}

/// The line of this project's manifest that names a dependency and its version.
fn dependency(name: &str) -> String {
    let manifest = text("workspace.toml");
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
    line.unwrap_or_default().to_owned()
}

/// With the features that a crate on the standard library needs of it.
fn with_features(wit_bindgen: &str) -> String {
    let features =
        r#", features = ["macros", "realloc", "async", "async-spawn", "bitflags", "std"] }"#;
    wit_bindgen.replace(" }", features)
}

/// The workspace of the two crates, with the versions of this project.
fn workspace() -> String {
    let mut text = String::from("[workspace]\nmembers = [\"backend\"]\n\n[workspace.package]\n");
    for name in ["version", "edition", "rust-version"] {
        text.push_str(&format!("{}\n", dependency(name)));
    }
    text.push_str("\n[workspace.dependencies]\nartifact-store-backend = { path = \"backend\" }\n");
    for name in ["crc", "proptest", "sha2", "wasip3", "wit-bindgen"] {
        text.push_str(&format!("{}\n", dependency(name)));
    }
    text
}
