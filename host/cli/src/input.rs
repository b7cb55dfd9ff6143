//! What `put` reads.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use artifact_store::ArtifactWriter;
use tokio::io::AsyncWriteExt;

use crate::descriptor::{self, Patient};
use crate::failure::Single;
use crate::offload::{Offload, offload};
use crate::output::Destination;

const CHUNK: usize = 256 << 10;

/// What is to be stored.
pub struct Input {
    /// Taken while another thread reads.
    reader: Option<Box<dyn Read + Send>>,
    buffer: Vec<u8>,
    thread: Offload,
    /// What messages call it.
    name: String,
    is_terminal: bool,
    /// Of a regular file, to see whether it changes.
    file: Option<(File, Stamp)>,
}

/// What a change of a file changes.
#[derive(PartialEq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// None where the system does not know how much there is to read: files of `/proc` say that
    /// they are empty, those of `/sys` that they are a page. Neither has a block on a disk.
    fn of(file: &Metadata) -> Option<Self> {
        #[cfg(unix)]
        let has_blocks = std::os::unix::fs::MetadataExt::blocks(file) > 0;
        #[cfg(not(unix))]
        let has_blocks = true;
        let (size, modified) = (file.len(), file.modified().ok());
        (file.is_file() && size > 0 && has_blocks).then_some(Self { size, modified })
    }

    /// Whether the `read` bytes are the whole file of this stamp.
    fn check(&self, file: &File, read: u64, name: &str) -> Result<()> {
        let now = file.metadata().with_context(|| format!("cannot read {name}"))?;
        if Self::of(&now).as_ref() == Some(self) && read == self.size {
            return Ok(());
        }
        Err(Single(format!(
            "{name} changed while it was read: it had {} bytes before, and {read} bytes were read; \
             to store a file that may change, use `artifact-store put KEY < FILE`",
            self.size
        ))
        .into())
    }
}

impl Input {
    /// Standard input, which is read to its end.
    pub fn standard() -> Result<Self> {
        let reader = descriptor::for_reading(descriptor::INPUT);
        let reader = reader.context("cannot read standard input")?;
        let is_terminal = io::stdin().is_terminal();
        Ok(Self { is_terminal, ..Self::new(reader, "standard input".into()) })
    }

    /// A file. Opening a pipe waits for its writer.
    pub async fn file(path: &Path) -> Result<Self> {
        let name = format!("`{}`", path.display());
        let cannot = || format!("cannot read {name}");
        let owned = path.to_owned();
        let opening = offload(move || {
            if let Ok(Destination::Descriptor(number)) = Destination::of(&owned) {
                // Opened by its name, a closed one would be what took its place.
                drop(descriptor::for_reading(number)?);
            }
            let file = File::open(owned)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        let (file, metadata) = opening.await.with_context(cannot)?;
        if metadata.is_dir() {
            bail!(
                "cannot read {name}: it is a directory, and an artifact is one file (pack it with `tar`)"
            );
        }
        Self::opened(file, &metadata, name)
    }

    /// A file that is open.
    pub fn opened(file: File, metadata: &Metadata, name: String) -> Result<Self> {
        let reader = file.try_clone().with_context(|| format!("cannot read {name}"))?;
        let file = Stamp::of(metadata).map(|stamp| (file, stamp));
        Ok(Self { file, ..Self::new(Box::new(Patient::new(reader)), name) })
    }

    fn new(reader: Box<dyn Read + Send>, name: String) -> Self {
        let (buffer, thread) = (vec![0; CHUNK], Offload::new("input"));
        Self { reader: Some(reader), buffer, thread, name, is_terminal: false, file: None }
    }

    /// Whether somebody types it.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// How many bytes there are to read, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.file.as_ref().map(|(_, stamp)| stamp.size)
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<&[u8]> {
        let Some(mut reader) = self.reader.take() else {
            bail!("cannot read {}: an earlier read was interrupted", self.name)
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut reading = self.thread.begin(move || {
            let outcome = reader.read(&mut buffer);
            (reader, buffer, outcome)
        });
        let (reader, buffer, outcome) = reading.ended().await?;
        self.buffer = buffer;
        self.reader = Some(reader);
        let count = outcome.with_context(|| format!("cannot read {}", self.name))?;
        Ok(&self.buffer[..count])
    }

    /// Hands all of it to the writer, in bounded memory, and compares it with the expected size; how
    /// much it was. `passed` is told of the bytes as they go.
    pub async fn send(
        &mut self,
        expected: Option<u64>,
        writer: &mut ArtifactWriter,
        mut passed: impl FnMut(u64),
    ) -> Result<u64> {
        let known = expected.or(self.size());
        let mut sent = 0;
        loop {
            let bytes = self.next().await?;
            let count = bytes.len() as u64;
            sent += count;
            let is_end = count == 0;
            if known.is_none_or(|size| sent <= size) {
                writer.write_all(bytes).await?;
                passed(count);
                if !is_end {
                    continue;
                }
            }
            match expected {
                Some(size) if sent > size => {
                    bail!("{} has more than the expected {size} bytes", self.name)
                }
                Some(size) if sent < size => {
                    bail!("{} has only {sent} of the expected {size} bytes", self.name)
                }
                _ => self.check_unchanged(sent).await?,
            }
            return Ok(sent);
        }
    }

    /// Whether the `read` bytes are the whole file as it was when it was opened.
    ///
    /// # Errors
    ///
    /// Where it has changed since: what was read was perhaps never there at once.
    pub async fn check_unchanged(&mut self, read: u64) -> Result<()> {
        let Some((file, before)) = self.file.take() else { return Ok(()) };
        let name = self.name.clone();
        let mut checking = self.thread.begin(move || {
            let checked = before.check(&file, read, &name);
            (checked, file, before)
        });
        let (checked, file, before) = checking.ended().await?;
        self.file = Some((file, before));
        checked
    }
}

/// All bytes of a file that is small.
///
/// # Errors
///
/// Where it changes meanwhile.
pub fn whole(mut file: File, metadata: &Metadata, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reserved = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1);
    let _ = bytes.try_reserve_exact(reserved);
    file.read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if let Some(before) = Stamp::of(metadata) {
        before.check(&file, bytes.len() as u64, name)?;
    }
    Ok(bytes)
}
