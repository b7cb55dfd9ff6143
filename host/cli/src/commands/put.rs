use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use artifact_store::{ArtifactWriter, WriteOptions};
use clap::{Args, ValueHint};
use tokio::io::AsyncWriteExt;

use crate::failure;
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::message;
use crate::progress::Progress;
use crate::store::StoreArguments;

/// Stores a file or standard input as an artifact
///
/// An existing artifact is replaced atomically, after all bytes have been read and stored durably.
/// After a failure or Ctrl-C nothing has changed.
#[derive(Args)]
#[command(after_help = "\
A pipe that ends early looks like a complete one: if `produce` fails in
`produce | artifact-store put k`, what it wrote until then is stored. If the size is known,
--size prevents this.

Examples:
  artifact-store put builds/app-1.2 app.tar
  artifact-store put builds/app-1.2 app.tar --create    # only if the key has no artifact
  tar c src | artifact-store put snapshots/src
  produce | artifact-store put big --size 1073741824    # any other size stores nothing")]
pub struct Arguments {
    /// The key of the artifact
    key: String,

    /// The file to store; `-`, the default, is standard input (`./-` is a file named `-`)
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Store only if the key has no artifact; otherwise exit with 4
    #[arg(long)]
    create: bool,

    /// The exact size of the input; if it has another size, nothing is stored
    #[arg(long, value_name = "BYTES")]
    size: Option<u64>,
}

pub async fn run(
    store: &StoreArguments,
    Arguments { key, file, create, size }: Arguments,
    interrupt: &Interrupt,
) -> Result<()> {
    let cannot = || format!("cannot put `{}`", key.escape_debug());
    let (mut input, mut writer) = interrupt
        .or(async {
            let input = match file.as_deref().filter(|path| *path != Path::new("-")) {
                Some(path) => Input::file(path).await,
                None => Input::standard(),
            };
            let input = input.with_context(cannot)?;
            let options = WriteOptions::default().create(create).size(size.or(input.size()));
            let (store, made) = store.create().await?;
            let writer = store.writer(&key, options)?;
            made.keep();
            Ok((input, writer))
        })
        .await?;
    if input.is_terminal() {
        message::print("reading from the terminal; end with Ctrl-D at the beginning of a line");
    }
    match interrupt.or(send(&mut input, size, &mut writer)).await {
        Ok(sent) => {
            // From here on it is the backend's: the interrupt came too late, and the outcome is true.
            writer.commit().await?;
            if sent == 0 && file.is_none() && Path::new(&key).is_file() {
                message::print(&format!(
                    "standard input was empty, so an empty artifact was stored; to store the \
                     file `{0}`, use `artifact-store put KEY {0}`",
                    key.escape_debug()
                ));
            }
            Ok(())
        }
        Err(error) => {
            writer.abort().await;
            // The store's own errors name the key.
            let own = failure::find::<artifact_store::Error>(&error).is_some();
            Err(if own { error } else { error.context(cannot()) })
        }
    }
}

/// Hands all of it to the writer, in bounded memory, and compares the size; how much it was.
async fn send(
    input: &mut Input,
    expected: Option<u64>,
    writer: &mut ArtifactWriter,
) -> Result<u64> {
    let known = expected.or(input.size());
    let mut progress = Progress::new("put", known);
    let mut sent = 0;
    loop {
        let bytes = input.next().await?;
        let count = bytes.len() as u64;
        sent += count;
        let is_end = count == 0;
        if known.is_none_or(|size| sent <= size) {
            writer.write_all(bytes).await?;
            progress.add(count);
            if !is_end {
                continue;
            }
        }
        match expected {
            Some(size) if sent > size => {
                bail!("{} has more than the expected {size} bytes", input.name())
            }
            Some(size) if sent < size => {
                bail!("{} has only {sent} of the expected {size} bytes", input.name())
            }
            _ => input.check_unchanged(sent)?,
        }
        return Ok(sent);
    }
}
