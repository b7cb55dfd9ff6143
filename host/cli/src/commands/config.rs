use anyhow::Result;
use artifact_store::{ArtifactStore, Configuration, ConfigurationError, ErrorKind, Problem};
use clap::{Args, Subcommand};

use crate::arguments::StoreArguments;
use crate::exit;
use crate::output::Standard;

/// Works on the configuration file itself
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Check),
}

/// Shows what the configuration says and opens each store to prove it
///
/// Each store is written as the file could have it, with all defaults and with no value of an
/// environment variable. What is wrong is on standard error, a line for each; the exit code is then
/// 1. Nothing is stored or removed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store --config stores.toml config check
  artifact-store --config stores.toml config check --store releases
  artifact-store --config stores.toml config check --no-open    # the file alone")]
struct Check {
    /// Only read the file: open no store
    #[arg(long)]
    no_open: bool,
}

pub async fn run(arguments: &StoreArguments, Arguments { command }: Arguments) -> Result<u8> {
    let Command::Check(Check { no_open }) = command;
    let configuration = match arguments.configuration().await {
        Ok(configuration) => configuration,
        Err(error) => return refuse(error),
    };
    let names = match &arguments.store {
        Some(name) => vec![name.as_str()],
        None => configuration.stores().collect(),
    };
    let mut out = Standard::new();
    let mut code = 0;
    for (n, name) in names.into_iter().enumerate() {
        let mut text = configuration.store(name)?.to_string();
        if n > 0 {
            text.insert(0, '\n');
        }
        match proof(arguments, &configuration, name, no_open).await {
            Ok(proof) => text.push_str(&proof),
            Err(error) => {
                exit::message(&format!("store `{}`: {error:#}", name.escape_debug()));
                code = exit::FAILURE;
            }
        }
        out.write(text.as_bytes()).await?;
    }
    out.finish().await?;
    Ok(code)
}

/// What opening the store shows.
async fn proof(
    arguments: &StoreArguments,
    configuration: &Configuration,
    name: &str,
    no_open: bool,
) -> Result<String> {
    let backend = arguments.named(configuration, name)?.sweep_older_than(None);
    if no_open {
        return Ok(String::new());
    }
    let store = ArtifactStore::open(backend).await?;
    Ok(format!("# opened; SHA-256 of the component: {}\n", store.backend().digest()))
}

/// A line for each problem, as an editor can jump to it.
fn refuse(error: anyhow::Error) -> Result<u8> {
    let kind = exit::find(&error).map(artifact_store::Error::kind);
    let Some(ErrorKind::Configuration(ConfigurationError::Invalid { file, problems })) = kind
    else {
        return Err(error);
    };
    for Problem { line, text, .. } in problems {
        exit::message(&format!("{}:{line}: {text}", file.display()));
    }
    Ok(exit::FAILURE)
}
