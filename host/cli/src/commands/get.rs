use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, Result};
use artifact_store::ReadOptions;
use clap::{Args, ValueHint};

use crate::output::Output;
use crate::progress::Progress;
use crate::store::StoreArguments;

/// Writes an artifact to standard output or a file
///
/// A whole artifact is compared with its checksum. With -o the file appears only after that; after
/// a failure or Ctrl-C the old file is unchanged. Standard output receives the bytes before the
/// comparison: there, only the exit code tells whether they are right.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store get builds/app-1.2 -o app.tar
  artifact-store get snapshots/src | tar x
  artifact-store get log --offset 4096 --length 512
  artifact-store get -- -h                              # the key `-h`")]
pub struct Arguments {
    /// The key of the artifact
    key: String,

    /// The file to write; `-`, the default, is standard output (`./-` is a file named `-`)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// The first byte to write; an offset beyond the end of the artifact is an error
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,

    /// The largest number of bytes to write [default: all]
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<()> {
    let Arguments { key, output, offset, length } = arguments;
    let cannot = || format!("cannot get `{}`", key.escape_debug());
    let store = store.open_unswept().await.with_context(cannot)?;
    let options = ReadOptions::default().offset(offset).length(length);
    let mut reader = store.read(&key, options).await?;
    let mut output = Output::open(output.as_deref()).await?;
    let mut progress = match &output {
        Output::Standard(_) if io::stdout().is_terminal() => Progress::hidden(),
        _ => {
            let rest = reader.info().size.saturating_sub(offset);
            Progress::new("get", Some(length.map_or(rest, |length| length.min(rest))))
        }
    };
    while let Some(chunk) = reader.next_chunk().await? {
        output.write(&chunk).await?;
        progress.add(chunk.len() as u64);
    }
    output.finish().await
}
