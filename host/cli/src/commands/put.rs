use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use artifact_store::{ArtifactWriter, WriteOptions};
use clap::{Args, ValueHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::arguments::StoreArguments;
use crate::exit;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

const CHUNK: usize = 256 * 1024;

/// Stores a file, or standard input, as an artifact
///
/// An artifact that is there is replaced, all at once and only when everything has been read
/// and stored durably. After a failure or Ctrl-C nothing has changed.
#[derive(Args)]
#[command(after_help = "\
A pipe that ends early looks like one that is complete: in `produce | artifact-store put k`
a failing `produce` stores what it wrote until then. Where the size is known, --size keeps
such an end from being stored.

Examples:
  artifact-store put builds/app-1.2 app.tar
  artifact-store put builds/app-1.2 app.tar --create    # only if there is none yet
  tar c src | artifact-store put snapshots/src
  produce | artifact-store put big --size 1073741824    # any other size stores nothing")]
pub struct Arguments {
    /// The key to store it under
    key: String,

    /// The file; `-` or none is standard input (`./-` for a file of that name)
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Store only if there is no artifact under the key, else exit with 4
    #[arg(long)]
    create: bool,

    /// The exact size in bytes; an input of another size stores nothing
    #[arg(long, value_name = "BYTES")]
    size: Option<u64>,
}

/// What is to be stored, and what the messages call it.
struct Source {
    reader: Box<dyn AsyncRead + Unpin>,
    name: String,
    size: Option<u64>,
}

pub async fn run(
    store: &StoreArguments,
    Arguments { key, file, create, size }: Arguments,
    interrupt: &Interrupt,
) -> Result<()> {
    let cannot = || format!("cannot put `{}`", key.escape_debug());
    let (mut source, mut writer) = interrupt
        .or(async {
            let mut source = Source::open(file.as_deref()).await.with_context(cannot)?;
            source.size = size.or(source.size);
            let options = WriteOptions { create, size: source.size };
            Ok((source, store.create().await?.writer(&key, options)?))
        })
        .await?;
    match interrupt.or(source.copy(&mut writer)).await {
        Ok(()) => {
            // From here on it is the backend's: the interrupt came too late, and the outcome is true.
            writer.commit().await?;
            Ok(())
        }
        Err(error) => {
            writer.abort().await;
            // The store's own errors name the key.
            let own = exit::find::<artifact_store::Error>(&error).is_some();
            Err(if own { error } else { error.context(cannot()) })
        }
    }
}

impl Source {
    async fn open(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file.filter(|path| *path != Path::new("-")) else {
            let reader = Box::new(tokio::io::stdin());
            return Ok(Self { reader, name: "standard input".into(), size: None });
        };
        let name = format!("`{}`", path.display());
        let cannot = || format!("cannot read {name}");
        let file = File::open(path).await.with_context(cannot)?;
        let metadata = file.metadata().await.with_context(cannot)?;
        if metadata.is_dir() {
            bail!(
                "cannot read {name}: it is a directory, and an artifact is one file (`tar` makes one)"
            );
        }
        // The files of /proc say that they are empty, and are not.
        let size = Some(metadata.len()).filter(|size| metadata.is_file() && *size > 0);
        Ok(Self { reader: Box::new(file), name, size })
    }

    /// Hands all of it to the writer, in bounded memory, and compares the size.
    async fn copy(&mut self, writer: &mut ArtifactWriter) -> Result<()> {
        let mut progress = Progress::new("put", self.size);
        let mut buffer = vec![0; CHUNK];
        let mut copied = 0;
        loop {
            let read = self.reader.read(&mut buffer).await;
            let read = read.with_context(|| format!("cannot read {}", self.name))?;
            copied += read as u64;
            match self.size {
                Some(size) if copied > size => {
                    bail!("{} has more than the expected {size} bytes", self.name)
                }
                Some(size) if read == 0 && copied < size => {
                    bail!("{} has only {copied} of the expected {size} bytes", self.name)
                }
                _ if read == 0 => return Ok(()),
                _ => writer.write_all(&buffer[..read]).await?,
            }
            progress.add(read as u64);
        }
    }
}
