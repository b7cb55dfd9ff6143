//! `new-layer`: a layer to start from, which is `guest/prefix` of this project.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};

use super::template::{self, Files, New, filled, rust};

/// Creates a layer to start from, in Rust: it builds and passes `check`
///
/// A layer stands between the callers of a store and its backend, and can change keys, bytes and
/// answers. This one is a store within a store: its artifacts are those whose keys begin with the
/// variable PREFIX.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store new-layer my-layer
  cd my-layer
  cargo build --target wasm32-wasip2 --release
  artifact-store check --layer target/wasm32-wasip2/release/my_layer.wasm,PREFIX=a/
  artifact-store --layer target/wasm32-wasip2/release/my_layer.wasm,PREFIX=a/ list")]
pub struct Arguments {
    /// The name of the layer: letters, digits, `-` and `_`
    name: String,

    /// The directory to create [default: a directory of that name]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    path: Option<PathBuf>,
}

pub async fn run(Arguments { name, path }: Arguments) -> Result<()> {
    template::check_name("layer", &name)?;
    let check = format!("artifact-store check --layer {},PREFIX=a/", rust::component(&name));
    let new = New { kind: "layer", name: &name, build: rust::BUILD, check: &check };
    template::create(new, path, files(&name)).await
}

fn files(name: &str) -> Files {
    let component = rust::component(name);
    let values = [("NAME", name), ("BUILD", rust::BUILD), ("COMPONENT", &*component)];
    let mut files = rust::plain("layer", name, "layer", &[rust::wit_bindgen()]);
    files.extend(template::common(filled("layer.md", &values)));
    files
}
