//! Each command is given its arguments.

use anyhow::{Context, Result};

use crate::arguments::{Arguments, Command};
use crate::commands::{
    bundle, check, config, copy, delete, extract, get, inspect, list, new_backend, put, stat,
    verify,
};
use crate::interrupt::Interrupt;

/// Does what the arguments say; the exit code.
pub async fn run(Arguments { store, command, .. }: Arguments) -> Result<u8> {
    let interrupt = Interrupt::listen().context("cannot listen for signals")?;
    store.use_cache()?;
    match command {
        // It has something to clean up before it ends.
        Command::Put(arguments) => put::run(&store, arguments, &interrupt).await?,
        Command::Delete(arguments) => return interrupt.or(delete::run(&store, arguments)).await,
        Command::Get(arguments) => interrupt.or(get::run(&store, arguments)).await?,
        Command::List(arguments) => interrupt.or(list::run(&store, arguments)).await?,
        Command::Stat(arguments) => interrupt.or(stat::run(&store, arguments)).await?,
        // Each transfer cleans up.
        Command::Verify(arguments) => return verify::run(&store, arguments, &interrupt).await,
        Command::Copy(arguments) => return copy::run(&store, arguments, &interrupt).await,
        Command::Config(arguments) => return interrupt.or(config::run(&store, arguments)).await,
        // A check that has begun cleans up after itself.
        Command::Check(arguments) => return check::run(&store, arguments, &interrupt).await,
        Command::Inspect(arguments) => return interrupt.or(inspect::run(arguments)).await,
        Command::Bundle(arguments) => interrupt.or(bundle::run(arguments)).await?,
        Command::NewBackend(arguments) => new_backend::run(arguments).await?,
        Command::Extract(arguments) => interrupt.or(extract::run(arguments)).await?,
        Command::Completions(arguments) => arguments.run(Arguments::whole()).await?,
        Command::Man(arguments) => arguments.run(Arguments::whole()).await?,
    }
    Ok(0)
}
