use anyhow::Result;
use clap::Args;

use crate::arguments::StoreArguments;
use crate::exit;

/// Removes artifacts
///
/// It is fine if there is none under a key. After a failure the remaining keys are still
/// deleted, and the exit code is that of the first failure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store delete builds/app-1.1 builds/app-1.2
  artifact-store list --null old/ | xargs -0 artifact-store delete --")]
pub struct Arguments {
    /// The keys of the artifacts
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

pub async fn run(store: &StoreArguments, Arguments { keys }: Arguments) -> Result<u8> {
    let Some(store) = store.open().await? else { return Ok(0) };
    let mut first = None;
    for key in keys {
        if let Err(error) = store.delete(&key).await {
            let code = exit::report(&error.into());
            first.get_or_insert(code);
        }
    }
    Ok(first.unwrap_or(0))
}
