use std::cmp::Ordering;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Entry, ListOptions};
use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::commands::age::Ages;
use crate::commands::stat::rfc3339;
use crate::output::Standard;
use crate::store::StoreArguments;

/// Lists the keys that begin with a prefix, in the backend's own order
///
/// With --delimiter, --start-after or --limit, the order is that of the keys' bytes. A backend that
/// does not keep it is listed as a whole for that, and the first keys are sorted. --sort and --reverse
/// hold the whole listing in memory.
///
/// On a terminal, invisible characters and control characters are escaped. Elsewhere each key is
/// written unchanged.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store list
  artifact-store list builds/ | sort
  artifact-store list -lH builds/
  artifact-store list -l --sort time --limit 10         # the ten newest
  artifact-store list --older-than 30d builds/
  artifact-store list --delimiter / builds/
  artifact-store list --start-after builds/41 --limit 10 builds/
  artifact-store list --json | jq -s 'map(.size) | add'
  artifact-store list --null old/ | xargs -0 artifact-store delete --")]
pub struct Arguments {
    /// The prefix, compared byte for byte [default: all keys]
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// Instead of keys that contain this behind the prefix, write what they have up to its end
    ///
    /// `--delimiter / builds/` shows what is directly in `builds/`, as `ls` does.
    #[arg(long, value_name = "TEXT")]
    #[arg(conflicts_with_all = ["sort", "reverse", "older_than", "newer_than"])]
    delimiter: Option<String>,

    /// Write only what comes after this key, which need not exist
    #[arg(long, value_name = "KEY")]
    start_after: Option<String>,

    /// Write at most so many lines
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Write them in this order
    #[arg(long, value_name = "BY")]
    sort: Option<Sort>,

    /// Reverse the order: that of --sort, or else that of the keys
    #[arg(short, long)]
    reverse: bool,

    #[command(flatten)]
    ages: Ages,

    /// Write one JSON object per line: {"type": "artifact", "key", "size", "modified", "version"}
    ///
    /// Time and version are null where the listing does not tell them; `stat` may. What --delimiter
    /// makes of keys is {"type": "prefix", "prefix"}.
    #[arg(long)]
    json: bool,

    /// Write size in bytes, time and version before each key; `-` where the listing does not tell
    #[arg(short, long, conflicts_with_all = ["json", "null"])]
    long: bool,

    /// With --long: write sizes with a unit
    // Clap forgets what is required where something else conflicts with it.
    #[arg(short = 'H', long, requires = "long", conflicts_with_all = ["json", "null"])]
    human: bool,

    /// End each key with a NUL byte instead of a newline, for `xargs -0`
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    /// By the bytes of the keys
    Name,
    /// The largest first
    Size,
    /// The newest first, and last what has no time
    Time,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Artifact { key: &'a str, size: u64, modified: Option<String>, version: Option<&'a str> },
    Prefix { prefix: &'a str },
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<()> {
    let mut out = Output { to: Standard::open()?, arguments };
    let store = store.open_unswept().await.context("cannot list")?;
    let Arguments { delimiter, start_after, limit, sort, reverse, .. } = &out.arguments;
    let is_ordered = delimiter.is_some() || start_after.is_some() || limit.is_some();
    let listed = match (sort, is_ordered) {
        (Some(sort), _) => out.sorted(&store, *sort).await,
        _ if *reverse => out.sorted(&store, Sort::Name).await,
        (None, true) => out.ordered(&store).await,
        (None, false) => out.all(&store).await,
    };
    out.to.finish().await?;
    listed
}

struct Output {
    to: Standard,
    arguments: Arguments,
}

impl Output {
    async fn all(&mut self, store: &ArtifactStore) -> Result<()> {
        let mut listing = store.list(&self.arguments.prefix);
        while let Some(entry) = listing.next().await? {
            if self.arguments.ages.include(store, &entry).await? {
                self.artifact(&entry).await?;
            }
        }
        Ok(())
    }

    async fn sorted(&mut self, store: &ArtifactStore, sort: Sort) -> Result<()> {
        let Arguments { prefix, start_after, limit, reverse, ages, .. } = &self.arguments;
        let mut entries = Vec::new();
        let mut listing = store.list(prefix);
        while let Some(entry) = listing.next().await? {
            let is_behind = start_after.as_ref().is_none_or(|after| entry.key > *after);
            if is_behind && ages.include(store, &entry).await? {
                entries.push(entry);
            }
        }
        entries.sort_by(|a, b| {
            let by = match sort {
                Sort::Name => Ordering::Equal,
                Sort::Size => b.size.cmp(&a.size),
                Sort::Time => b.modified.cmp(&a.modified),
            };
            by.then_with(|| a.key.cmp(&b.key))
        });
        if *reverse {
            entries.reverse();
        }
        entries.truncate(limit.unwrap_or(usize::MAX));
        for entry in &entries {
            self.artifact(entry).await?;
        }
        Ok(())
    }

    async fn ordered(&mut self, store: &ArtifactStore) -> Result<()> {
        let Arguments { prefix, delimiter, start_after, limit, .. } = &self.arguments;
        let (prefix, mut left) = (prefix.clone(), limit.unwrap_or(usize::MAX));
        let mut options =
            ListOptions::default().delimiter(delimiter.clone()).start_after(start_after.clone());
        while left > 0 {
            // As many as a page may have: each may cost a whole listing.
            let page = store.list_page(&prefix, options.clone().limit(left)).await?;
            left = left.saturating_sub(page.prefixes.len());
            let mut prefixes = page.prefixes.iter().peekable();
            for entry in &page.entries {
                while let Some(prefix) = prefixes.next_if(|prefix| **prefix < entry.key) {
                    self.prefix(prefix).await?;
                }
                if self.arguments.ages.include(store, entry).await? {
                    self.artifact(entry).await?;
                    left = left.saturating_sub(1);
                }
            }
            for prefix in prefixes {
                self.prefix(prefix).await?;
            }
            let Some(next) = page.next else { break };
            options = options.start_after(next);
        }
        Ok(())
    }

    async fn artifact(&mut self, entry: &Entry) -> Result<()> {
        let Entry { key, size, modified, version, .. } = entry;
        let (modified, version) = (modified.and_then(rfc3339), version.as_deref());
        if self.arguments.json {
            self.to.json(&Line::Artifact { key, size: *size, modified, version }).await
        } else {
            let human = self.arguments.human;
            let size = if human { HumanBytes(*size).to_string() } else { size.to_string() };
            self.line([&size, modified.as_deref().unwrap_or("-"), version.unwrap_or("-")], key)
                .await
        }
    }

    async fn prefix(&mut self, prefix: &str) -> Result<()> {
        match self.arguments.json {
            true => self.to.json(&Line::Prefix { prefix }).await,
            false => self.line(["-"; 3], prefix).await,
        }
    }

    async fn line(&mut self, [size, modified, version]: [&str; 3], name: &str) -> Result<()> {
        if self.arguments.long {
            // A time has 20 characters, or 30 with its nanoseconds.
            let line = format!("{size:>14}  {modified:<30}  {version:<34}  {name}\n");
            self.to.text(&line).await
        } else if self.arguments.null {
            self.to.write(&[name.as_bytes(), b"\0"].concat()).await
        } else {
            self.to.text(&[name, "\n"].concat()).await
        }
    }
}
