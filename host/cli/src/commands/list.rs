use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::arguments::StoreArguments;
use crate::output::Standard;

/// Lists the keys that begin with a prefix, in the backend's own order
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store list
  artifact-store list builds/ | sort
  artifact-store list --json | jq -s 'map(.size) | add'
  artifact-store list --null old/ | xargs -0 artifact-store delete --")]
pub struct Arguments {
    /// What the keys begin with, byte for byte; none lists all
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,

    /// Write one object a line: {"key": string, "size": number}
    #[arg(long)]
    json: bool,

    /// End each key with a NUL instead of a newline, for `xargs -0`
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    size: u64,
}

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<()> {
    let Arguments { prefix, json, null } = arguments;
    let Some(store) = store.open_unswept().await? else { return Ok(()) };
    let mut out = Standard::new();
    let mut listing = store.list(&prefix);
    loop {
        let entry = match listing.next().await {
            Ok(Some(entry)) => entry,
            Ok(None) => return out.finish().await,
            Err(error) => {
                out.finish().await?;
                return Err(error.into());
            }
        };
        let mut line = match json {
            true => serde_json::to_vec(&Line { key: &entry.key, size: entry.size })?,
            false => entry.key.into_bytes(),
        };
        line.push(if null { 0 } else { b'\n' });
        out.write(&line).await?;
    }
}
