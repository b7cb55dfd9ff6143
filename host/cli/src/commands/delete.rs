use anyhow::{Context, Result};
use clap::Args;

use crate::exit;
use crate::message;
use crate::store::StoreArguments;
use crate::streak::{self, Streak};

/// Deletes artifacts
///
/// A key without an artifact is not an error. After a failure the remaining keys are still deleted,
/// unless they would fail in the same way; the exit code is that of the first failure. `delete --`
/// without a key does nothing, so that `xargs` may pass an empty list.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store delete builds/app-1.1 builds/app-1.2
  artifact-store list --null old/ | xargs -0 artifact-store delete --")]
pub struct Arguments {
    /// The keys of the artifacts
    #[arg(value_name = "KEY")]
    pub keys: Vec<String>,
}

pub async fn run(store: &StoreArguments, Arguments { keys }: Arguments) -> Result<u8> {
    if keys.is_empty() {
        return Ok(0);
    }
    let store = store.open().await.context("cannot delete")?;
    let (mut first, mut streak) = (None, Streak::default());
    for key in keys {
        let Err(error) = store.delete(&key).await else {
            streak.succeeded();
            continue;
        };
        let error = error.into();
        first.get_or_insert(exit::report(&error));
        if streak.failed(&error) {
            message::print(streak::STOPPED);
            break;
        }
    }
    Ok(first.unwrap_or(0))
}
