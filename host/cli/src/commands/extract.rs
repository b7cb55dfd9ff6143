use std::path::PathBuf;

use anyhow::Result;
use artifact_store::Backend;
use clap::{Args, ValueEnum, ValueHint};

use crate::output::Output;

/// Writes a built-in backend as a component file, for the wasmtime CLI or another host
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store extract fs -o fs.wasm
  wasmtime run --dir ./artifacts::/ --invoke 'put(\"k\", [1, 2, 3])' fs.wasm
  artifact-store --backend fs.wasm get k")]
pub struct Arguments {
    /// The backend
    #[arg(id = "built_in", value_name = "BACKEND")]
    backend: BuiltIn,

    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum BuiltIn {
    /// Keeps artifacts in the directory that it sees as `/`
    Fs,
}

pub async fn run(Arguments { backend, output }: Arguments) -> Result<()> {
    let BuiltIn::Fs = backend;
    let mut output = Output::open(Some(&output)).await?;
    output.write(Backend::fs_component()).await?;
    output.finish().await
}
