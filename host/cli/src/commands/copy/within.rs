//! A copy of one artifact within its store.

use anyhow::Result;

use super::Arguments;
use crate::commands::put::mode;
use crate::failure::Usage;
use crate::store::StoreArguments;

pub async fn run(store: &StoreArguments, arguments: Arguments) -> Result<()> {
    let Arguments { keys, create, if_match, .. } = arguments;
    let Ok([source, target]) = <[String; 2]>::try_from(keys) else {
        let text = "`copy` takes the keys SOURCE and TARGET, or --from STORE and --to STORE";
        return Err(Usage(text.into()).into());
    };
    let mode = mode(create, if_match);
    store.open().await?.copy_with(&source, &target, mode).await?;
    Ok(())
}
