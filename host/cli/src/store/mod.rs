//! The store that the commands work on: how it is named, and how it is opened.

mod opening;

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, ValueHint};

pub use opening::{Absent, built_in};

/// Names the cache of compiled code where no option does.
pub const CACHE_VARIABLE: &str = "ARTIFACT_STORE_CACHE";

/// Which store the commands work on. Accepted before and after the command.
#[derive(Clone, Args)]
#[command(next_help_heading = "Store options")]
pub struct StoreArguments {
    /// The directory that the backend sees as `/`, to read and write [default: ./artifacts]
    ///
    /// The first put creates it; every other command needs it to be there. The backend reaches
    /// nothing outside of it.
    #[arg(long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    #[arg(env = "ARTIFACT_STORE_DIR", hide_env_values = true)]
    pub dir: Option<PathBuf>,

    /// `fs` or `s3`, which are built in, or the file of a component (`./fs` for one of that name)
    #[arg(long, value_name = "fs|s3|FILE.wasm", global = true, default_value = "fs")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub backend: PathBuf,

    /// Opens the network to one endpoint, `https://HOST[:PORT]` or `http://…`; may be repeated
    ///
    /// The backend reaches these only, and no redirect is followed. `s3` needs none: it reaches
    /// the one of AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL", global = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub allow_net: Vec<String>,

    /// Who signs the requests of `s3`: the host, outside of the sandbox, or the backend
    #[arg(long, value_enum, value_name = "WHO", global = true, default_value_t = Signer::Host)]
    pub sign: Signer,

    /// Trusts these certificate authorities (a PEM file) besides the system's
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,

    /// Reaches all endpoints through this HTTP proxy, `http://HOST:PORT`
    #[arg(long, value_name = "URL", global = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub proxy: Option<String>,

    /// Sets an environment variable that the backend sees; may be repeated
    ///
    /// The backend sees these only. `--env NAME` without a value hands on the variable of this
    /// process: a secret then shows in no list of processes.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// A file of named stores, instead of --dir, --backend, --env and the options of the network
    ///
    /// `artifact-store config check` shows what it says; docs/configuration.md describes it. What
    /// is on the command line counts more than what comes from the environment.
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    #[arg(env = "ARTIFACT_STORE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// The store of that file [default: the only one]
    #[arg(long, value_name = "NAME", global = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub store: Option<String>,

    /// How long the backend may take over one step of a call, such as `5s` [default: 30s]
    ///
    /// Its start counts as a step. Reading and compiling a component does not: that may take the
    /// `load` limits of a store of --config, by default 2 minutes.
    #[arg(long, value_name = "DURATION", global = true, value_parser = timeout)]
    pub timeout: Option<Duration>,

    /// How much memory one instance of the backend may use, such as `64MiB` [default: 256MiB]
    ///
    /// The process that compiles a component has a limit of its own, `load` of a store of --config,
    /// by default 1 GiB.
    #[arg(long, value_name = "SIZE", global = true, value_parser = memory)]
    pub memory: Option<u64>,

    /// Where compiled components are kept for the next start, or `off` [default: the user's cache]
    ///
    /// It is used only where no other user can write. `./off` is a directory of that name.
    #[arg(long, value_name = "DIR|off", global = true, value_hint = ValueHint::DirPath)]
    #[arg(env = CACHE_VARIABLE, hide_env_values = true)]
    pub cache: Option<PathBuf>,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it has to be above 0".into()) } else { Ok(duration) }
}

fn memory(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>()?.as_u64();
    if size == 0 { Err("it has to be above 0".into()) } else { Ok(size) }
}

/// Who knows the secret.
#[derive(Clone, Copy, ValueEnum)]
pub enum Signer {
    Host,
    Backend,
}
