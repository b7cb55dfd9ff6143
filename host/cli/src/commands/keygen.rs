use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use artifact_store::KeyPair;
use clap::{Args, ValueHint};

use crate::output::Standard;

/// Makes a pair of keys for `--layer encrypt`
///
/// It writes an identity, with its recipient in a comment, in the format of `age-keygen`. Who has the
/// recipient can encrypt; who has the identity can decrypt.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store keygen -o key.txt
  artifact-store --layer encrypt=age1… put builds/app-1.2 app.tar
  artifact-store --layer encrypt --identity key.txt get builds/app-1.2 -o app.tar")]
pub struct Arguments {
    /// The file to write, which must not exist: only its owner can read it. The recipient is then shown
    /// [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

pub async fn run(Arguments { output }: Arguments) -> Result<()> {
    let pair = KeyPair::generate();
    let created = humantime::format_rfc3339_seconds(SystemTime::now());
    let (recipient, identity) = (pair.recipient(), pair.identity());
    let text = format!("# created: {created}\n# public key: {recipient}\n{identity}\n");
    let mut out = Standard::open()?;
    let Some(file) = output else {
        out.text(&text).await?;
        return out.finish().await;
    };
    write(&file, &text)
        .with_context(|| format!("cannot write the identity to `{}`", file.display()))?;
    out.text(&format!("Public key: {recipient}\n")).await?;
    out.finish().await
}

/// Writes a new file that only its owner can read. Nothing that is there is written over: it may be
/// the only key to something.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // A part of a key is of no use.
        let _ = fs::remove_file(path);
    }
    written
}
