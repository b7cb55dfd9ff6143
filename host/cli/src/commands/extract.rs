use std::path::PathBuf;

use anyhow::Result;
use artifact_store::Backend;
use clap::{Args, ValueEnum, ValueHint};

use super::bundle::COMMAND;
use crate::output::Output;

/// Writes a built-in component to a file, for the wasmtime CLI or another host
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store extract fs -o fs.wasm
  wasmtime run --dir ./artifacts::/ --invoke 'put(\"k\", [1, 2, 3])' fs.wasm
  artifact-store --backend fs.wasm get k
  artifact-store extract s3 -o s3.wasm")]
pub struct Arguments {
    /// The built-in component
    component: BuiltIn,

    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum BuiltIn {
    /// The backend that keeps artifacts in the directory that it sees as `/`
    Fs,
    /// The backend that keeps artifacts in a bucket of an S3-compatible service
    S3,
    /// The command that `bundle` composes with a backend
    Command,
}

pub async fn run(Arguments { component, output }: Arguments) -> Result<()> {
    let component = match component {
        BuiltIn::Fs => Backend::fs_component(),
        BuiltIn::S3 => Backend::s3_component(),
        BuiltIn::Command => COMMAND,
    };
    let mut output = Output::open(Some(&output)).await?;
    output.write(component).await?;
    output.finish().await
}
