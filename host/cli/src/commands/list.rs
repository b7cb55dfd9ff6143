use anyhow::{Context, Result};
use artifact_store::Entry;
use clap::Args;
use serde::Serialize;

use crate::output::Standard;
use crate::store::StoreArguments;

/// Lists the keys that begin with a prefix, in the backend's own order
///
/// On a terminal, invisible characters and control characters are escaped. Elsewhere each key is
/// written unchanged.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store list
  artifact-store list builds/ | sort
  artifact-store list --json | jq -s 'map(.size) | add'
  artifact-store list --null old/ | xargs -0 artifact-store delete --")]
pub struct Arguments {
    /// The prefix, compared byte for byte [default: all keys]
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// Write one JSON object per line: {"type": "artifact", "key": string, "size": number}
    #[arg(long)]
    json: bool,

    /// End each key with a NUL byte instead of a newline, for `xargs -0`
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "artifact")]
struct Line<'a> {
    key: &'a str,
    size: u64,
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<()> {
    let Arguments { prefix, json, null } = arguments;
    let mut out = Standard::open()?;
    let store = store.open_unswept().await.context("cannot list")?;
    let mut listing = store.list(&prefix);
    loop {
        let Entry { key, size, .. } = match listing.next().await {
            Ok(Some(entry)) => entry,
            Ok(None) => return out.finish().await,
            Err(error) => {
                out.finish().await?;
                return Err(error.into());
            }
        };
        match (json, null) {
            (true, _) => out.json(&Line { key: &key, size }).await?,
            (false, true) => out.write(&[key.as_bytes(), b"\0"].concat()).await?,
            (false, false) => out.text(&(key + "\n")).await?,
        }
    }
}
