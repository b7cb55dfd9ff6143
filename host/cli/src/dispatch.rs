//! Each command is given its arguments.

use anyhow::{Context, Result};

use crate::arguments::{Arguments, Command};
use crate::commands::{
    bundle, check, config, copy, delete, du, exists, extract, get, inspect, keygen, list, man,
    new_backend, new_layer, put, serve, stat, sync, verify,
};
use crate::complete;
use crate::interrupt::Interrupt;

/// Does what the arguments say; the exit code.
pub async fn run(Arguments { store, command, .. }: Arguments) -> Result<u8> {
    let interrupt = Interrupt::listen().context("cannot listen for signals")?;
    store.use_cache()?;
    match command {
        // It has something to clean up before it ends.
        Command::Put(arguments) => return put::run(&store, arguments, &interrupt).await,
        // It says what it did until then.
        Command::Delete(arguments) => return delete::run(&store, arguments, &interrupt).await,
        Command::Get(arguments) => return get::run(&store, arguments, &interrupt).await,
        Command::List(arguments) => interrupt.or(list::run(&store, arguments)).await?,
        Command::Stat(arguments) => return interrupt.or(stat::run(&store, arguments)).await,
        Command::Exists(arguments) => return interrupt.or(exists::run(&store, arguments)).await,
        Command::Du(arguments) => interrupt.or(du::run(&store, arguments)).await?,
        // Each transfer cleans up.
        Command::Sync(arguments) => return sync::run(&store, arguments, &interrupt).await,
        Command::Verify(arguments) => return verify::run(&store, arguments, &interrupt).await,
        Command::Copy(arguments) => return copy::run(&store, arguments, &interrupt).await,
        // Requests that have begun end.
        Command::Serve(arguments) => serve::run(&store, arguments, &interrupt).await?,
        Command::Config(arguments) => return interrupt.or(config::run(&store, arguments)).await,
        // A check that has begun cleans up after itself.
        Command::Check(arguments) => return check::run(&store, arguments, &interrupt).await,
        Command::Inspect(arguments) => return interrupt.or(inspect::run(arguments)).await,
        Command::Bundle(arguments) => interrupt.or(bundle::run(&store, arguments)).await?,
        Command::NewBackend(arguments) => new_backend::run(arguments).await?,
        Command::NewLayer(arguments) => new_layer::run(arguments).await?,
        Command::Extract(arguments) => interrupt.or(extract::run(arguments)).await?,
        Command::Keygen(arguments) => keygen::run(arguments).await?,
        Command::Completions(arguments) => arguments.run(complete::script).await?,
        Command::Man(arguments) => man::run(arguments, Arguments::whole()).await?,
    }
    Ok(0)
}
