use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueHint};

use crate::failure::Usage;
use crate::output::Standard;

/// Creates a backend in Rust to start from: a crate that builds and passes `check`
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store new-backend my-backend
  cd my-backend
  cargo build --target wasm32-wasip2 --release
  artifact-store check target/wasm32-wasip2/release/my_backend.wasm")]
pub struct Arguments {
    /// The name of the crate: letters, digits, `-` and `_`
    name: String,

    /// The directory to create [default: a directory of that name]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    path: Option<PathBuf>,
}

const WIT: [(&str, &str); 7] = [
    ("artifact-store.wit", include_str!("../../template/wit/artifact-store.wit")),
    ("inventory.wit", include_str!("../../template/wit/inventory.wit")),
    ("maintenance.wit", include_str!("../../template/wit/maintenance.wit")),
    ("settings.wit", include_str!("../../template/wit/settings.wit")),
    ("streams.wit", include_str!("../../template/wit/streams.wit")),
    ("types.wit", include_str!("../../template/wit/types.wit")),
    ("worlds.wit", include_str!("../../template/wit/worlds.wit")),
];

/// A backend that the project's own tests put through every check.
const SOURCE: &str = include_str!("../../template/lib.rs");

pub async fn run(Arguments { name, path }: Arguments) -> Result<()> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(is_name) {
        let text = "cannot be the name of a crate: it must have letters, digits, `-` and `_`, and \
                    begin with a letter";
        return Err(Usage(format!("`{}` {text}", name.escape_debug())).into());
    }
    let mut out = Standard::open()?;
    let dir = path.unwrap_or_else(|| PathBuf::from(&name));
    let cannot = || format!("cannot create the backend in `{}`", dir.display());
    // Nothing that is there is written over.
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).with_context(cannot)?;
    }
    fs::create_dir(&dir).with_context(cannot)?;
    write(&dir, &name).with_context(cannot)?;
    let file = name.replace('-', "_");
    let text = format!(
        "Created a backend in `{}`. Next:\n  cd {}\n  cargo build --target wasm32-wasip2 --release\n  \
         artifact-store check target/wasm32-wasip2/release/{file}.wasm\n",
        dir.display(),
        dir.display()
    );
    out.text(&text).await?;
    out.finish().await
}

fn write(dir: &Path, name: &str) -> std::io::Result<()> {
    let named = |text: &str| text.replace("NAME", name).replace("FILE", &name.replace('-', "_"));
    let source = SOURCE
        .replace("#![cfg(target_family = \"wasm\")]\n", "")
        .replace("path: \"../../wit\"", "path: \"wit\"")
        .replace(
            "A second backend, independent of the built-in one: put, get and delete",
            "Put, get and delete",
        );
    fs::create_dir(dir.join("src"))?;
    fs::create_dir(dir.join("wit"))?;
    fs::write(dir.join("Cargo.toml"), named(include_str!("../../template/Cargo.toml.in")))?;
    fs::write(dir.join("README.md"), named(include_str!("../../template/README.md.in")))?;
    fs::write(dir.join(".gitignore"), "/target\n")?;
    fs::write(dir.join("src/lib.rs"), source)?;
    WIT.iter().try_for_each(|(name, text)| fs::write(dir.join("wit").join(name), text))
}
