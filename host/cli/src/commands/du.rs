use std::collections::BTreeMap;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Entry};
use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use crate::commands::age::Ages;
use crate::output::Standard;
use crate::store::StoreArguments;

/// Shows how many artifacts begin with a prefix, and how many bytes they have
///
/// The bytes are those of the artifacts; what the storage needs for them may be more or less.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store du
  artifact-store du builds/ --depth 1
  artifact-store du --older-than 90d
  artifact-store du --json | jq -r 'select(.type == \"summary\") | .bytes'")]
pub struct Arguments {
    /// The prefix of the keys [default: all keys]
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// Also show each prefix that ends at one of the first N `/` behind PREFIX
    #[arg(short, long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    depth: usize,

    #[command(flatten)]
    ages: Ages,

    /// Write exact numbers of bytes
    #[arg(short, long, conflicts_with = "json")]
    bytes: bool,

    /// Write one JSON object per line: {"type": "prefix", "prefix", "artifacts", "bytes"} for what
    /// --depth asks for, and at the end {"type": "summary", "artifacts", "bytes", "complete"}
    ///
    /// If the store cannot be listed to its end, {"type": "failure", "error"} comes before the
    /// summary, and "complete" is false.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Prefix {
        prefix: &'a str,
        #[serde(flatten)]
        usage: Usage,
    },
    /// The store could not be listed to its end.
    Failure { error: String },
    Summary {
        #[serde(flatten)]
        usage: Usage,
        complete: bool,
    },
}

#[derive(Clone, Copy, Default, Serialize)]
struct Usage {
    artifacts: u64,
    bytes: u64,
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<()> {
    let mut out = Standard::open()?;
    let store = store.open_unswept().await.context("cannot list")?;
    let (mut total, mut below) = (Usage::default(), BTreeMap::new());
    let counted = arguments.count(&store, &mut total, &mut below).await;
    if let Err(error) = counted {
        // For people, the message alone says more than a number that is wrong.
        if arguments.json {
            out.json(&Line::Failure { error: format!("{error:#}") }).await?;
            out.json(&Line::Summary { usage: total, complete: false }).await?;
        }
        out.finish().await?;
        return Err(error);
    }
    for (prefix, usage) in &below {
        arguments.write(&mut out, prefix, *usage, Line::Prefix { prefix, usage: *usage }).await?;
    }
    let summary = Line::Summary { usage: total, complete: true };
    arguments.write(&mut out, "total", total, summary).await?;
    out.finish().await
}

impl Usage {
    fn add(&mut self, entry: &Entry) {
        self.artifacts += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
    }
}

impl Arguments {
    async fn count(
        &self,
        store: &ArtifactStore,
        total: &mut Usage,
        below: &mut BTreeMap<String, Usage>,
    ) -> Result<()> {
        let Self { prefix, depth, ages, .. } = self;
        let mut listing = store.list(prefix);
        while let Some(entry) = listing.next().await? {
            if !ages.include(store, &entry).await? {
                continue;
            }
            total.add(&entry);
            let rest = &entry.key[prefix.len()..];
            for (slash, _) in rest.match_indices('/').take(*depth) {
                let prefix = &entry.key[..prefix.len() + slash + 1];
                match below.get_mut(prefix) {
                    Some(usage) => usage.add(&entry),
                    None => below.entry(prefix.to_owned()).or_default().add(&entry),
                }
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        out: &mut Standard,
        name: &str,
        Usage { artifacts, bytes }: Usage,
        line: Line<'_>,
    ) -> Result<()> {
        if self.json {
            return out.json(&line).await;
        }
        let size = if self.bytes { bytes.to_string() } else { HumanBytes(bytes).to_string() };
        out.text(&format!("{size:>12}  {artifacts:>9}  {name}\n")).await
    }
}
