use anyhow::Result;
use artifact_store::{
    ArtifactStore, Backend, Cache, Configuration, ConfigurationError, Error, ErrorKind, Interface,
    LoadError, Problem, ReadOptions, SettingProblem,
};
use artifact_store_server::Tls;
use clap::{Args, Subcommand};

use crate::failure;
use crate::message;
use crate::output::Standard;
use crate::shown;
use crate::store::{StoreArguments, own_configuration};

/// The key of no artifact, most likely.
const ABSENT: &str = ".artifact-store config check";

/// Works on the configuration file itself
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(Check),
    Path(Path),
}

/// Shows which configuration file is used
///
/// It is that of --config or ARTIFACT_STORE_CONFIG, or else the user's own if it exists:
/// `artifact-store/stores.toml` in XDG_CONFIG_HOME or in `~/.config`. The exit code is 3 if none is used.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store config path
  $EDITOR \"$(artifact-store config path)\"")]
struct Path {}

/// Shows what the configuration says and opens each store to prove it
///
/// Each store is written as the file could have it, with all defaults and with no value of an
/// environment variable. Each is then opened and asked for the beginning of its listing (where the
/// backend has none, for an artifact that is not there): a service that is down, a wrong secret and
/// a missing bucket show in no other way. What is wrong is on standard error, a line for each, with the
/// line of the file where it sets what is wrong; the exit code is then 1. A variable that the backend
/// does not read is a warning. Nothing is stored or removed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store --config stores.toml config check
  artifact-store --config stores.toml config check --store releases
  artifact-store --config stores.toml config check --no-probe   # open, and ask for nothing
  artifact-store --config stores.toml config check --no-open    # the file alone")]
struct Check {
    /// Only read the file: open no store
    #[arg(long)]
    no_open: bool,

    /// Open each store, but send it no request
    #[arg(long, conflicts_with = "no_open")]
    no_probe: bool,
}

pub async fn run(arguments: &StoreArguments, Arguments { command }: Arguments) -> Result<u8> {
    match command {
        Command::Check(check) => self::check(arguments, &check).await,
        Command::Path(Path {}) => path(arguments).await,
    }
}

async fn path(arguments: &StoreArguments) -> Result<u8> {
    let mut out = Standard::open()?;
    let Some(file) = arguments.configuration_file() else {
        let own =
            own_configuration().map(|own| format!("; the user's own would be `{}`", own.display()));
        let text = "no configuration is used";
        message::print(&format!("{text}{}", own.unwrap_or_default()));
        return Ok(failure::NOT_FOUND);
    };
    out.text(&format!("{}\n", file.display())).await?;
    out.finish().await?;
    Ok(0)
}

async fn check(arguments: &StoreArguments, check: &Check) -> Result<u8> {
    let mut out = Standard::open()?.and_goes_on();
    let configuration = match arguments.configuration().await {
        Ok(configuration) => configuration,
        Err(error) => return refuse(error),
    };
    let file = arguments.configuration_file().unwrap_or_default();
    if Some(&file) == own_configuration().as_ref() {
        out.text(&format!("# the user's own configuration, `{}`\n", file.display())).await?;
    }
    let names = match &arguments.store {
        Some(name) => vec![name.as_str()],
        None => configuration.stores().collect(),
    };
    let mut code = 0;
    if let Some(cache) = configuration.cache() {
        let cache = match cache {
            Cache::Dir(folder) => serde_json::to_string(&folder.to_string_lossy())?,
            _ => "\"off\"".into(),
        };
        out.text(&format!("cache = {cache}\n\n")).await?;
    }
    if let Some(tls) = configuration.serve_tls().filter(|_| !check.no_open)
        && let Err(error) = Tls::from_files(tls.certificate(), tls.key()).await
    {
        let (file, line) = (file.display(), tls.line());
        message::print(&format!("{file}:{line}: `serve.tls`: {:#}", anyhow::Error::from(error)));
        code = failure::FAILURE;
    }
    for (n, name) in names.into_iter().enumerate() {
        if n > 0 {
            out.text("\n").await?;
        }
        out.text(&configuration.store(name)?.to_string()).await?;
        let mut proofs = Vec::new();
        let outcome = prove(arguments, &configuration, name, check, &mut proofs).await;
        for proof in proofs {
            out.text(&format!("# {proof}\n")).await?;
        }
        if let Err(error) = outcome {
            let line = configuration.store(name)?.line();
            report(&format!("{}:{line}", file.display()), name, &error);
            code = failure::FAILURE;
        }
    }
    out.finish().await?;
    Ok(code)
}

/// What opening the store and asking it once show.
async fn prove(
    arguments: &StoreArguments,
    configuration: &Configuration,
    name: &str,
    check: &Check,
    proofs: &mut Vec<String>,
) -> Result<()> {
    let backend = arguments.named(configuration, name)?.sweep_older_than(None);
    proofs.extend(backend.s3_location());
    if check.no_open {
        return Ok(());
    }
    let configured = configuration.store(name)?;
    // A store without variables need not be loaded for them, too.
    if !configured.unknown_variables(&[]).is_empty()
        && let Some(settings) = backend.settings().await?
    {
        for problem in configured.unknown_variables(&settings) {
            // A store may keep the variables of the backend that it is switched to and fro.
            if !Backend::S3_VARIABLES.contains(&&*problem.name) {
                message::print(&line_of(&shown::name(name), &problem, "warning: "));
            }
        }
    }
    let store = ArtifactStore::open(backend).await?;
    proofs.push(format!("opened; SHA-256 of the component: {}", store.backend().digest()));
    if check.no_probe {
        return Ok(());
    }
    if store.offers(Interface::Inventory) {
        store.list("").next().await?;
    } else {
        // Any answer about an artifact shows that it can be asked.
        let asked = store.read(ABSENT, ReadOptions::default()).await.map(drop);
        let is_absent = |error: &Error| matches!(error.kind(), ErrorKind::NotFound);
        asked.or_else(|error| if is_absent(&error) { Ok(()) } else { Err(error) })?;
    }
    Ok(())
}

/// What is wrong with a store. Each setting that the file has wrong gets a line to which an editor
/// can jump.
fn report(place: &str, store: &str, error: &anyhow::Error) {
    let store = shown::name(store);
    match failure::find(error).map(artifact_store::Error::kind) {
        Some(ErrorKind::Load(LoadError::Settings(problems))) => {
            problems.iter().for_each(|problem| message::print(&line_of(&store, problem, "")));
        }
        Some(ErrorKind::Configuration(ConfigurationError::Variables { missing, .. })) => {
            for variable in missing {
                let location = variable.location.as_ref();
                let place = location.map(|(file, line)| format!("{}:{line}: ", file.display()));
                let place = place.unwrap_or_default();
                message::print(&format!("{place}store `{store}` hands on {variable}"));
            }
        }
        _ => message::print(&format!("{place}: store `{store}`: {error:#}")),
    }
}

fn line_of(store: &str, problem: &SettingProblem, kind: &str) -> String {
    let SettingProblem { name, reason, location, .. } = problem;
    let text = format!("{kind}store `{store}`: the variable {name}: {reason}");
    match location {
        Some((file, line)) => format!("{}:{line}: {text}", file.display()),
        None => text,
    }
}

/// A line for each problem, as an editor can jump to it.
fn refuse(error: anyhow::Error) -> Result<u8> {
    let kind = failure::find(&error).map(artifact_store::Error::kind);
    let Some(ErrorKind::Configuration(ConfigurationError::Invalid { file, problems })) = kind
    else {
        return Err(error);
    };
    for Problem { line, text, .. } in problems {
        message::print(&format!("{}:{line}: {text}", file.display()));
    }
    Ok(failure::FAILURE)
}
