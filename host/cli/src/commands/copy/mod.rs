mod report;

use std::cell::{Cell, RefCell};
use std::time::Instant;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Entry};
use clap::Args;
use futures::{StreamExt, stream};
use report::{Outcome, Report};

use super::gone;
use super::transfer::{self, Named, in_store};
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Standard;
use crate::progress::Progress;
use crate::store::StoreArguments;

/// Copies artifacts from one store of the configuration to another
///
/// An artifact that the target already has with the same size and checksum is skipped, so that an
/// interrupted copy continues where it was. With --verify, and if a backend keeps no checksum, both
/// artifacts are read and compared byte for byte; this also replaces an artifact that is damaged in
/// the target. Each artifact appears in the target whole or not at all. Artifacts that only the
/// target has stay.
///
/// After a failure the remaining artifacts are still copied, and the exit code is that of the first
/// failure. The copy stops if they would fail in the same way: after three failures in a row of a
/// store that refuses access, is full or does not answer.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store --config stores.toml copy --from disk --to archive
  artifact-store --config stores.toml copy --from disk --to archive builds/ --dry-run
  artifact-store --config stores.toml copy --from archive --to disk --jobs 16
  artifact-store --config stores.toml copy --from disk --to archive --verify
  artifact-store --config stores.toml copy --from disk --to archive --json | jq -r 'select(.state == \"copied\") | .key'")]
pub struct Arguments {
    /// The store to copy from
    #[arg(long, value_name = "STORE")]
    from: String,

    /// The store to copy to
    #[arg(long, value_name = "STORE")]
    to: String,

    /// The prefix of the keys [default: all keys]
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// The number of artifacts to copy at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,

    /// Show which artifacts would be copied, and copy nothing
    #[arg(long)]
    dry_run: bool,

    /// Compare bytes instead of checksums if the target already has an artifact
    #[arg(long)]
    verify: bool,

    /// Write one JSON object per line for each artifact that is copied or fails, and a summary
    ///
    /// {"type": "artifact", "key", "size", "state": "copied", "would-copy" or "failed", "error"},
    /// and at the end {"type": "summary", "dry_run", "copied", "bytes", "would_copy",
    /// "would_copy_bytes", "present", "failed", "complete"}.
    #[arg(long)]
    json: bool,
}

struct Copying<'a> {
    from: Named,
    to: Named,
    dry_run: bool,
    verify: bool,
    interrupt: &'a Interrupt,
    progress: RefCell<Progress>,
}

pub async fn run(
    arguments: &StoreArguments,
    Arguments { from, to, prefix, jobs, dry_run, verify, json }: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    if arguments.store.is_some() {
        return Err(Usage("`copy` takes --from and --to instead of --store".into()).into());
    }
    if from == to {
        return Err(Usage("--from and --to name the same store".into()).into());
    }
    let out = Standard::open()?.and_goes_on();
    let opened = async {
        let configuration = arguments.configuration().await?;
        let from_backend = arguments.named(&configuration, &from)?.sweep_older_than(None);
        let mut to_backend = arguments.named(&configuration, &to)?;
        if dry_run {
            to_backend = to_backend.sweep_older_than(None);
        }
        let source = ArtifactStore::open(from_backend).await.with_context(|| in_store(&from))?;
        let target = ArtifactStore::open(to_backend).await.with_context(|| in_store(&to))?;
        Ok((source, target))
    };
    let (source, target) = interrupt.or(opened).await?;
    let copying = Copying {
        from: Named { name: from, store: source },
        to: Named { name: to, store: target },
        dry_run,
        verify,
        interrupt,
        progress: RefCell::new(Progress::new("copy", None)),
    };
    let mut report = Report::new(out, json, dry_run);
    let begun = Instant::now();
    copying.all(&prefix, jobs.into(), &mut report).await?;
    drop(copying);
    report.finish(begun.elapsed()).await
}

impl Copying<'_> {
    async fn all(&self, prefix: &str, jobs: usize, report: &mut Report) -> Result<()> {
        let (is_at_end, is_stopped) = (Cell::new(false), Cell::new(false));
        let listing = Some(self.from.store.list(prefix));
        let entries = stream::unfold(listing, async |listing| {
            if is_stopped.get() {
                return None;
            }
            let mut listing = listing?;
            let next = listing.next().await.transpose();
            is_at_end.set(!matches!(next, Some(Ok(_))));
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
                Err(error) => (None, self.from.blame(Err(error))),
            }
        });
        let mut copies = std::pin::pin!(copies.buffer_unordered(jobs));
        while let Some((entry, outcome)) = copies.next().await {
            if !report.add(entry, outcome).await? {
                is_stopped.set(true);
            }
        }
        if !is_at_end.get() {
            // Whether or not a copy was under way then: the rest was not looked at.
            report.is_cut(self.interrupt.so_far());
        } else {
            let holes = report.gone.still_listed(&self.from.store, prefix);
            let holes = self.interrupt.or(holes).await.with_context(|| in_store(&self.from.name));
            report.holes(holes).await?;
        }
        Ok(())
    }

    async fn one(&self, Entry { key, size, .. }: &Entry) -> Result<Outcome> {
        let outcome = match self.interrupt.or(self.is_present(key, *size)).await {
            Ok(true) => Ok(Outcome::Present),
            Ok(false) if self.dry_run => Ok(Outcome::WouldCopy),
            Ok(false) => {
                let Self { from, to, interrupt, progress, .. } = self;
                let copied = transfer::transfer(from, to, key, None, interrupt, progress).await;
                copied.map(Outcome::Copied)
            }
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if transfer::is_absent(&error) => {
                match gone::is_absent(&self.from.store, key).await {
                    Ok(true) => Ok(Outcome::Gone),
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// Whether the other store has the very same artifact.
    async fn is_present(&self, key: &str, size: u64) -> Result<bool> {
        match transfer::is_alike(&self.from, &self.to, key, size).await? {
            Some(true) if !self.verify => Ok(true),
            Some(false) => Ok(false),
            _ => transfer::is_same(&self.from, &self.to, key).await,
        }
    }
}
