use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Entry, ErrorKind, ReadOptions, WriteOptions};
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt, stream};
use indicatif::HumanBytes;
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use crate::arguments::StoreArguments;
use crate::exit::{self, Usage};
use crate::interrupt::{Interrupt, Interrupted};
use crate::output::Standard;
use crate::progress::Progress;

/// Copies artifacts from one store of the configuration to another one
///
/// An artifact that is there already, with the same size and checksum, is not copied again, so
/// that a copy that was interrupted goes on where it was. Where a backend keeps no checksum, both
/// are read and compared byte for byte. Each appears in the other store whole or not at all; what
/// is there alone stays.
///
/// After a failure the remaining artifacts are still copied, and the exit code is that of the
/// first failure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store --config stores.toml copy --from disk --to archive
  artifact-store --config stores.toml copy --from disk --to archive builds/ --dry-run
  artifact-store --config stores.toml copy --from archive --to disk --jobs 16
  artifact-store --config stores.toml copy --from disk --to archive --json | jq .key")]
pub struct Arguments {
    /// The store to read
    #[arg(long, value_name = "STORE")]
    from: String,

    /// The store to copy to
    #[arg(long, value_name = "STORE")]
    to: String,

    /// What the keys of the artifacts begin with; none copies all
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// How many artifacts are copied at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,

    /// Write which artifacts would be copied, and copy none
    #[arg(long)]
    dry_run: bool,

    /// Write one object a line for each artifact that is copied or fails, and a summary
    #[arg(long)]
    json: bool,
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Artifact {
        key: &'a str,
        size: u64,
        copied: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Summary(&'a Summary),
}

#[derive(Default, Serialize)]
struct Summary {
    copied: u64,
    /// Of those that were copied.
    bytes: u64,
    /// Artifacts that were in the other store already.
    present: u64,
    failed: u64,
    dry_run: bool,
}

enum Outcome {
    Copied(u64),
    Present,
    /// It was deleted meanwhile.
    Gone,
}

struct Copying<'a> {
    from: (String, ArtifactStore),
    to: (String, ArtifactStore),
    dry_run: bool,
    interrupt: &'a Interrupt,
    progress: RefCell<Progress>,
}

pub async fn run(
    arguments: &StoreArguments,
    Arguments { from, to, prefix, jobs, dry_run, json }: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    if arguments.store.is_some() {
        return Err(Usage("`copy` takes --from and --to instead of --store".into()).into());
    }
    if from == to {
        return Err(Usage("--from and --to name the same store".into()).into());
    }
    let opened = async {
        let configuration = arguments.configuration().await?;
        let from_backend = arguments.named(&configuration, &from)?.sweep_older_than(None);
        let to_backend = arguments.named(&configuration, &to)?;
        let source = ArtifactStore::open(from_backend).await.with_context(|| in_store(&from))?;
        let target = ArtifactStore::open(to_backend).await.with_context(|| in_store(&to))?;
        Ok((source, target))
    };
    let (source, target) = interrupt.or(opened).await?;
    let copying = Copying {
        from: (from, source),
        to: (to, target),
        dry_run,
        interrupt,
        progress: RefCell::new(Progress::new("copy", None)),
    };
    let summary = Summary { dry_run, ..Summary::default() };
    let mut report = Report { out: Standard::new(), json, summary, failure: None };
    let begun = Instant::now();
    copying.all(&prefix, jobs.into(), &mut report).await?;
    drop(copying);
    report.finish(begun.elapsed()).await
}

fn in_store(name: &str) -> String {
    format!("store `{}`", name.escape_debug())
}

impl Copying<'_> {
    async fn all(&self, prefix: &str, jobs: usize, report: &mut Report) -> Result<()> {
        let is_whole = Cell::new(false);
        let listing = Some(self.from.1.list(prefix));
        let entries = stream::unfold(listing, async |listing| {
            let mut listing = listing?;
            let next = listing.next().await.transpose();
            is_whole.set(!matches!(next, Some(Ok(_))));
            match next? {
                Ok(entry) => Some((Ok(entry), Some(listing))),
                Err(error) => Some((Err(error), None)),
            }
        });
        // After an interrupt nothing new begins, and what has begun cleans up.
        let entries = entries.take_until(self.interrupt.happened());
        let copies = entries.map(|entry| async move {
            match entry {
                Ok(entry) => {
                    let outcome = self.one(&entry).await;
                    (Some(entry), outcome)
                }
                Err(error) => (None, Err(error).with_context(|| in_store(&self.from.0))),
            }
        });
        let mut copies = std::pin::pin!(copies.buffer_unordered(jobs));
        while let Some((entry, outcome)) = copies.next().await {
            report.add(entry, outcome).await?;
        }
        if !is_whole.get() {
            // Whether or not a copy was under way then: the rest was not looked at.
            report.failure = Some(exit::INTERRUPTED);
        }
        Ok(())
    }

    async fn one(&self, Entry { key, size, .. }: &Entry) -> Result<Outcome> {
        match self.interrupt.or(self.is_present(key, *size)).await {
            Ok(true) => Ok(Outcome::Present),
            Ok(false) if self.dry_run => Ok(Outcome::Copied(*size)),
            Ok(false) => self.transfer(key).await,
            Err(error) => Err(error),
        }
        .or_else(|error| if is_absent(&error) { Ok(Outcome::Gone) } else { Err(error) })
    }

    /// Whether the other store has the very same artifact.
    async fn is_present(&self, key: &str, size: u64) -> Result<bool> {
        match self.to.1.stat(key).await {
            Ok(there) if there.size != size => return Ok(false),
            Ok(there) => {
                let here = self.from.1.stat(key).await.with_context(|| in_store(&self.from.0))?;
                if let Some((there, here)) = there.checksum.zip(here.checksum) {
                    return Ok(there == here);
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::NotFound => return Ok(false),
                ErrorKind::Unsupported(_) => {}
                _ => return Err(error).with_context(|| in_store(&self.to.0)),
            },
        }
        self.is_same(key).await
    }

    /// Compares the bytes. What cannot be right in the other store is not the same.
    async fn is_same(&self, key: &str) -> Result<bool> {
        let differs = |error: artifact_store::Error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::Corrupt(_) => Ok(false),
            _ => Err(error).with_context(|| in_store(&self.to.0)),
        };
        let mut there = match self.to.1.read(key, ReadOptions::default()).await {
            Ok(reader) => reader,
            Err(error) => return differs(error),
        };
        let here = self.from.1.read(key, ReadOptions::default()).await;
        let mut here = here.with_context(|| in_store(&self.from.0))?;
        if here.info().size != there.info().size {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (Bytes::new(), Bytes::new());
        loop {
            if ours.is_empty() {
                let next = here.next_chunk().await.with_context(|| in_store(&self.from.0));
                ours = next?.unwrap_or_default();
            }
            if theirs.is_empty() {
                theirs = match there.next_chunk().await {
                    Ok(next) => next.unwrap_or_default(),
                    Err(error) => return differs(error),
                };
            }
            let both = ours.len().min(theirs.len());
            if both == 0 {
                return Ok(ours.is_empty() && theirs.is_empty());
            }
            if ours.split_to(both) != theirs.split_to(both) {
                return Ok(false);
            }
        }
    }

    /// Both ends compare the bytes with a checksum, as in every whole read and every write.
    async fn transfer(&self, key: &str) -> Result<Outcome> {
        let (mut reader, mut writer) = self
            .interrupt
            .or(async {
                let reader = self.from.1.read(key, ReadOptions::default()).await;
                let reader = reader.with_context(|| in_store(&self.from.0))?;
                let size = Some(reader.info().size);
                let writer = self.to.1.writer(key, WriteOptions { create: false, size });
                Ok((reader, writer.with_context(|| in_store(&self.to.0))?))
            })
            .await?;
        let sending = async {
            while let Some(chunk) =
                reader.next_chunk().await.with_context(|| in_store(&self.from.0))?
            {
                let sent = writer.write_all(&chunk).await;
                sent.with_context(|| in_store(&self.to.0))?;
                self.progress.borrow_mut().add(chunk.len() as u64);
            }
            Ok(())
        };
        match self.interrupt.or(sending).await {
            Ok(()) => {
                let stored = writer.commit().await.with_context(|| in_store(&self.to.0))?;
                Ok(Outcome::Copied(stored.size))
            }
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }
}

fn is_absent(error: &anyhow::Error) -> bool {
    let error: Option<&artifact_store::Error> = exit::find(error);
    error.is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound))
}

struct Report {
    out: Standard,
    json: bool,
    summary: Summary,
    /// The exit code of the first failure.
    failure: Option<u8>,
}

impl Report {
    /// How it went with one artifact, or with the listing.
    async fn add(&mut self, entry: Option<Entry>, outcome: Result<Outcome>) -> Result<()> {
        let entry = entry.as_ref();
        let (key, size) = entry.map_or(("", 0), |entry| (&entry.key, entry.size));
        match outcome {
            Ok(Outcome::Present) => self.summary.present += 1,
            Ok(Outcome::Gone) => {}
            Ok(Outcome::Copied(size)) => {
                self.summary.copied += 1;
                self.summary.bytes += size;
                let text = self.summary.dry_run.then(|| format!("{key}\n"));
                let copied = !self.summary.dry_run;
                self.write(Line::Artifact { key, size, copied, error: None }, text).await?;
            }
            Err(error) if exit::find::<Interrupted>(&error).is_some() => {
                self.failure = Some(exit::INTERRUPTED);
            }
            Err(error) => {
                let code = exit::report(&error);
                self.failure.get_or_insert(code);
                if entry.is_some() {
                    self.summary.failed += 1;
                    let error = Some(format!("{error:#}"));
                    self.write(Line::Artifact { key, size, copied: false, error }, None).await?;
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, line: Line<'_>, text: Option<String>) -> Result<()> {
        match text {
            _ if self.json => {
                let mut line = serde_json::to_vec(&line)?;
                line.push(b'\n');
                self.out.write(&line).await
            }
            Some(text) => self.out.write(text.as_bytes()).await,
            None => Ok(()),
        }
    }

    async fn finish(mut self, took: Duration) -> Result<u8> {
        let summary = std::mem::take(&mut self.summary);
        self.write(Line::Summary(&summary), Some(summary.text(took))).await?;
        self.out.finish().await?;
        Ok(self.failure.unwrap_or(0))
    }
}

impl Summary {
    fn text(&self, took: Duration) -> String {
        let Self { copied, bytes, present, failed, dry_run } = self;
        let size = HumanBytes(*bytes);
        let mut text = if *dry_run {
            format!("{copied} artifacts would be copied, {size}")
        } else {
            let rate = (*bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
            format!("{copied} artifacts copied, {size} at {}/s", HumanBytes(rate))
        };
        text.push_str(&format!("; {present} were there already"));
        if *failed > 0 {
            text.push_str(&format!("; {failed} failed"));
        }
        text.push('\n');
        text
    }
}
