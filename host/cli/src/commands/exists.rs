use anyhow::{Context, Result};
use clap::Args;

use super::gone::is_absent;
use crate::failure::NOT_FOUND;
use crate::store::StoreArguments;

/// Exits with 0 if every key has an artifact, and with 3 if one has none
///
/// It writes nothing, so that a script can ask. Any other exit code means that this could not be found
/// out.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store exists builds/app-1.2 || artifact-store put builds/app-1.2 app.tar")]
pub struct Arguments {
    /// The keys of the artifacts
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// The exit code.
pub async fn run(store: &StoreArguments, Arguments { keys }: Arguments) -> Result<u8> {
    let store = store.open_unswept().await.context("cannot look for artifacts")?;
    for key in keys {
        if is_absent(&store, &key).await? {
            return Ok(NOT_FOUND);
        }
    }
    Ok(0)
}
