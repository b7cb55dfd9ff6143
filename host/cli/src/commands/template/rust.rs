//! What the crates have in common that `new-backend` and `new-layer` write.

use super::{Files, below, contract, filled, text};

/// The line that builds a crate.
pub const BUILD: &str = "cargo build --target wasm32-wasip2 --release";

/// The component that this makes.
pub fn component(name: &str) -> String {
    format!("target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_"))
}

/// A crate of the sources in this folder of the template, with the contract.
pub fn plain(kind: &str, name: &str, folder: &str, dependencies: &[String]) -> Files {
    let dependencies = dependencies.join("\n");
    let values = [("NAME", name), ("KIND", kind), ("DEPENDENCIES", &*dependencies)];
    let manifest = filled("rust.toml", &values);
    let mut files = vec![("Cargo.toml".into(), manifest.into_bytes())];
    files.extend(below(folder).map(|(path, bytes)| (format!("src/{path}"), own_wit(bytes, "wit"))));
    files.extend(contract("wit"));
    files
}

/// The source with the contract in this folder.
pub fn own_wit(bytes: &[u8], folder: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.replace("path: \"../../wit\"", "path: \"wit\"");
    text.replace("path: \"wit\"", &format!("path: \"{folder}\"")).into_bytes()
}

/// The line of this project's manifest that names a dependency and its version.
pub fn dependency(name: &str) -> String {
    let manifest = text("workspace.toml");
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
    line.unwrap_or_default().to_owned()
}

/// That of `wit-bindgen`, with the features that a crate on the standard library needs of it.
pub fn wit_bindgen() -> String {
    let features =
        r#", features = ["macros", "realloc", "async", "async-spawn", "bitflags", "std"] }"#;
    dependency("wit-bindgen").replace(" }", features)
}
