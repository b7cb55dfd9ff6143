mod question;
mod report;

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, ErrorKind, ReadOptions};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures::{StreamExt, stream};
use report::{Outcome, Report};

use super::age::{self, Ages};
use super::keys::distinct;
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Standard;
use crate::store::StoreArguments;

/// Deletes artifacts
///
/// A key without an artifact is not an error. With --prefix, a question is asked first, which shows how
/// many artifacts it is about; where standard input is no terminal, --yes is required instead. An
/// artifact that is replaced between the listing and its deletion is deleted, too.
///
/// After a failure the remaining artifacts are still deleted, unless they would fail in the same way;
/// the exit code is that of the first failure. After Ctrl-C the deletions that have begun are
/// finished, and what was done is written. `delete --` without a key does nothing, so that `xargs`
/// may pass an empty list.
#[derive(Args)]
#[command(override_usage = "\
artifact-store delete [OPTIONS] <KEY>...
       artifact-store delete [OPTIONS] --prefix <PREFIX>")]
#[command(after_help = "\
Examples:
  artifact-store delete builds/app-1.1 builds/app-1.2
  artifact-store delete lock --if-match 0b9c…    # only that version, which stat shows
  artifact-store delete --prefix builds/old/ --dry-run
  artifact-store delete --prefix builds/old/
  artifact-store delete --prefix nightly/ --older-than 30d --yes    # a line of cron
  artifact-store delete --prefix nightly/ --older-than 30d --keep-last 7 --yes
  artifact-store list --null old/ | xargs -0 artifact-store delete --")]
pub struct Arguments {
    /// The keys of the artifacts
    #[arg(value_name = "KEY")]
    pub keys: Vec<String>,

    /// Delete the artifact only if it has this version; otherwise exit with 4
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["prefix", "dry_run"])]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    if_match: Option<String>,

    /// Delete all artifacts whose keys begin with this, which may be empty
    #[arg(long, value_name = "PREFIX", conflicts_with = "keys")]
    pub prefix: Option<String>,

    #[command(flatten)]
    ages: Ages,

    /// With --prefix: keep the N artifacts that were put last, whatever their age
    ///
    /// They are counted among all whose keys begin with the prefix. So a store whose writer has
    /// stopped keeps the last ones. What was put at the same time as the Nth is kept, too: S3 counts
    /// whole seconds.
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,

    /// Show which artifacts would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,

    /// Ask no question
    #[arg(short, long)]
    yes: bool,

    /// The number of artifacts to delete at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,

    /// Write one JSON object per line for each artifact, and a summary
    ///
    /// {"type": "artifact", "key", "size", "state": "deleted", "would-delete", "absent" or "failed",
    /// "error"}; {"type": "failure", "error"} if the store cannot be listed; and at the end {"type":
    /// "summary", "dry_run", "deleted", "bytes", "would_delete", "would_delete_bytes", "absent",
    /// "failed", "complete"}. A size is null where it is not known.
    #[arg(long)]
    json: bool,
}

/// What is to be deleted, and its size if a listing told it.
type Chosen = (String, Option<u64>);

/// The exit code.
pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    arguments.check()?;
    let Arguments { keys, prefix, ages, keep_last, dry_run, yes, jobs, json, if_match } = arguments;
    if keys.is_empty() && prefix.is_none() {
        return Ok(0);
    }
    let out = Standard::open()?.and_goes_on();
    let opened = async {
        let opened = if dry_run { store.open_unswept().await } else { store.open().await };
        opened.context("cannot delete")
    };
    let store = interrupt.or(opened).await?;
    let mut report = Report::new(out, json, dry_run);
    let how = How { is_listed: prefix.is_some(), dry_run, if_match };
    let chosen = match prefix {
        None => distinct(keys).into_iter().map(|key| (key, None)).collect(),
        Some(prefix) => match interrupt.or(listed(&store, &prefix, &ages, keep_last)).await {
            Ok(chosen) => {
                if !dry_run && !yes && !chosen.is_empty() {
                    interrupt.or(question::ask(&prefix, &chosen)).await?;
                }
                chosen
            }
            Err(error) => {
                report.is_cut(&error).await?;
                return report.finish().await;
            }
        },
    };
    let mut left = chosen.len();
    let is_stopped = Cell::new(false);
    let chosen = stream::iter(chosen).take_while(|_| std::future::ready(!is_stopped.get()));
    // What has begun then comes to its end, and is told.
    let begun = chosen.take_until(interrupt.happened()).map(async |(key, size)| {
        let outcome = one(&store, &key, size, &how).await;
        (key, outcome)
    });
    let mut deleting = std::pin::pin!(begun.buffered(jobs.into()));
    while let Some((key, outcome)) = deleting.next().await {
        left -= 1;
        if !report.add(&key, outcome).await? {
            is_stopped.set(true);
        }
    }
    if let Some(interrupted) = interrupt.so_far().filter(|_| left > 0) {
        report.is_cut(&interrupted.into()).await?;
    }
    report.finish().await
}

impl Arguments {
    fn check(&self) -> Result<(), Usage> {
        if self.if_match.is_some() && self.keys.len() != 1 {
            return Err(Usage("--if-match needs one key, whose version it names".into()));
        }
        if self.prefix.is_none() && (self.ages.are_given() || self.keep_last.is_some()) {
            return Err(Usage("--older-than, --newer-than and --keep-last need --prefix".into()));
        }
        let is_asked = self.prefix.is_some() && !self.dry_run && !self.yes;
        if is_asked && !question::can_be_asked() {
            let text = "`delete --prefix` asks before it deletes, and standard input is no terminal: \
                        it needs --yes, or --dry-run to show what would be deleted";
            return Err(Usage(text.into()));
        }
        Ok(())
    }
}

async fn listed(
    store: &ArtifactStore,
    prefix: &str,
    ages: &Ages,
    keep_last: Option<usize>,
) -> Result<Vec<Chosen>> {
    let (mut listing, mut chosen) = (store.list(prefix), Vec::new());
    // When the newest ones were put, the oldest of them on top.
    let mut last = BinaryHeap::new();
    while let Some(entry) = listing.next().await? {
        let mut put = None;
        if let Some(most) = keep_last {
            put = age::put(store, &entry, "--keep-last needs").await?;
            last.extend(put.map(Reverse));
            if last.len() > most {
                last.pop();
            }
        }
        if ages.include(store, &entry).await? {
            chosen.push((put, (entry.key, Some(entry.size))));
        }
    }
    // A service may count whole seconds: of those with one time nobody knows which is the newer.
    if let Some(Reverse(kept)) = last.peek() {
        chosen.retain(|(put, _)| put.is_some_and(|put| put < *kept));
    }
    Ok(chosen.into_iter().map(|(_, artifact)| artifact).collect())
}

/// What holds for each artifact.
struct How {
    /// Whether the keys come from a listing.
    is_listed: bool,
    dry_run: bool,
    if_match: Option<String>,
}

async fn one(
    store: &ArtifactStore,
    key: &str,
    mut size: Option<u64>,
    how: &How,
) -> Result<Outcome> {
    if !how.is_listed {
        match store.read(key, ReadOptions::default().length(0)).await {
            Ok(reader) => size = Some(reader.info().size),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => {
                    // A deletion before this one may not be durable yet.
                    if !how.dry_run {
                        store.delete(key).await?;
                    }
                    return Ok(Outcome::Absent);
                }
                ErrorKind::InvalidKey(_) => return Err(error.into()),
                // What cannot be read may be deleted all the same.
                _ => {}
            },
        }
    }
    if how.dry_run {
        return Ok(Outcome::WouldDelete(size));
    }
    match &how.if_match {
        Some(version) => store.delete_if(key, version).await?,
        None => store.delete(key).await?,
    }
    Ok(Outcome::Deleted(size))
}
