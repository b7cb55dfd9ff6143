use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use artifact_store::Backend;
use clap::{Args, ValueEnum, ValueHint};

use super::bundle::COMMAND;
use super::template;
use crate::failure::Usage;
use crate::output::Output;

/// Writes a built-in component to a file, or the contract to a directory
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store extract fs -o fs.wasm
  wasmtime run --dir ./artifacts::/ --invoke 'put(\"k\", [1, 2, 3])' fs.wasm
  artifact-store --backend fs.wasm get k
  artifact-store extract s3 -o s3.wasm
  artifact-store extract wit -o wit")]
pub struct Arguments {
    /// What to write: a component, for the wasmtime CLI or another host, or the contract
    component: BuiltIn,

    /// The file to write; `-` is standard output. For `wit` the directory, which may exist
    #[arg(short, long, value_name = "FILE|DIR", value_hint = ValueHint::FilePath)]
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
    /// The contract of backends: the files of the WIT package `artifact:storage`
    Wit,
}

pub async fn run(Arguments { component, output }: Arguments) -> Result<()> {
    let component = match component {
        BuiltIn::Fs => Backend::fs_component(),
        BuiltIn::S3 => Backend::s3_component(),
        BuiltIn::Command => COMMAND,
        BuiltIn::Wit => return contract(&output).await,
    };
    let mut output = Output::open(Some(&output)).await?;
    output.write(component).await?;
    output.finish().await
}

async fn contract(dir: &Path) -> Result<()> {
    if dir == Path::new("-") {
        return Err(Usage("`wit` is several files, and needs a directory".into()).into());
    }
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the directory `{}`", dir.display()))?;
    for (name, bytes) in template::wit() {
        let mut output = Output::open(Some(&dir.join(name))).await?;
        output.write(bytes).await?;
        output.finish().await?;
    }
    Ok(())
}
