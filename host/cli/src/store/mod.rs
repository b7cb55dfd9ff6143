//! The store that the commands work on: how it is named, and how it is opened.

mod layer;
mod opening;
mod own;
mod place;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, ValueHint};

use crate::units;
pub use layer::NamedLayer;
pub use opening::{Absent, Made, built_in, chosen};
pub use own::own_configuration;
pub use place::{Opened, Place, Purpose};

/// Names the cache of compiled code where no option does.
pub const CACHE_VARIABLE: &str = "ARTIFACT_STORE_CACHE";

/// Where in a bucket a store of the backend `s3` lies.
const PREFIX_VARIABLE: &str = "S3_PREFIX";

/// The heading of the options that describe a store.
pub const STORE_OPTIONS: &str = "Store options";

/// Which store the commands work on. Accepted before and after the command.
#[derive(Clone, Args)]
#[command(next_help_heading = STORE_OPTIONS)]
pub struct StoreArguments {
    /// The directory of the artifacts, which the backend sees as `/` [default: ./artifacts]
    ///
    /// The first put creates it; every other command requires that it exists. The backend may read
    /// and write everything in it, and reaches nothing outside of it.
    #[arg(long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    #[arg(env = "ARTIFACT_STORE_DIR", hide_env_values = true)]
    pub dir: Option<PathBuf>,

    /// The backend: `fs` or `s3` (built in), or a component file (`./fs` for a file named `fs`)
    #[arg(long, value_name = "fs|s3|FILE.wasm", global = true, default_value = "fs")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub backend: PathBuf,

    /// Put a layer around the backend, `encrypt[=RECIPIENT,…]` or `FILE.wasm[,NAME=VALUE]`; may be
    /// repeated, the outermost first
    ///
    /// A component FILE.wasm of the world `layer` gets these variables, `NAME` alone from the
    /// environment, and nothing else: a store of --config may grant it more.
    ///
    /// `encrypt` encrypts what is stored, in the format of age, for public keys `age1…` as `keygen`
    /// makes them. Without recipients it does so for those of the identities. A store of --config has
    /// its layers in the file.
    #[arg(long, value_name = "LAYER")]
    pub layer: Vec<String>,

    /// The file of the identities with which `--layer encrypt` decrypts [default: those in
    /// ARTIFACT_STORE_IDENTITY]
    ///
    /// It has what `keygen` writes. Without an identity nothing can be read.
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub identity: Option<PathBuf>,

    /// Let the backend reach this endpoint, `https://HOST[:PORT]` or `http://…`; may be repeated
    ///
    /// The backend reaches no other endpoint, and redirects are not followed. `s3` does not need
    /// this option: it reaches the endpoint of AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL", global = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub allow_net: Vec<String>,

    /// Who signs the requests of `s3`: the host (outside of the sandbox), the backend, or nobody
    ///
    /// The host signs with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Where they are not set, it
    /// finds credentials as Amazon's own tools do, and renews them: in the profile of AWS_PROFILE, by
    /// its `credential_process`, a web identity, the container or the metadata service. `none` is for
    /// buckets that everybody may use.
    #[arg(long, value_enum, value_name = "WHO", global = true, default_value_t = Signer::Host)]
    pub sign: Signer,

    /// Trust the certificate authorities in this PEM file as well as the system's
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,

    /// Reach all endpoints through this HTTP proxy, `http://HOST:PORT`
    #[arg(long, value_name = "URL", global = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub proxy: Option<String>,

    /// Set an environment variable for the backend; may be repeated
    ///
    /// The backend sees no other variables. `--env NAME` without a value passes on the variable of
    /// this process, so that a secret does not appear in the list of processes.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// The configuration: a file of named stores, instead of --dir, --backend, --env and the
    /// network options [default: the user's own, if it exists]
    ///
    /// The user's own is `artifact-store/stores.toml` in XDG_CONFIG_HOME or else in `~/.config`. It is
    /// used if neither an option nor ARTIFACT_STORE_DIR describes a store. `artifact-store config path`
    /// shows which file is used, and `config check` checks it; docs/configuration.md describes it. The
    /// command line takes precedence over the environment.
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    #[arg(env = "ARTIFACT_STORE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// The store: its name in --config [default: its `default-store`, or the only one], or
    /// its place, `dir:PATH` or `s3:BUCKET[/PREFIX]`
    ///
    /// A name that begins with `dir:` or `s3:` is always a place, which needs no configuration. The
    /// endpoint, the region and the credentials of a bucket come from the variables of `--backend s3`.
    #[arg(long, value_name = "STORE", global = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub store: Option<String>,

    /// Whether `store` is a place, which these arguments then describe.
    #[arg(skip)]
    pub is_place: bool,

    /// The timeout of one step of a call to the backend, such as `5s` [default: 30s]
    ///
    /// Starting the backend counts as a step. Reading and compiling a component does not: its timeout
    /// is in the `load` limits of a store of --config, by default 2 minutes.
    #[arg(long, value_name = "DURATION", global = true, value_parser = timeout)]
    pub timeout: Option<Duration>,

    /// The memory limit of one instance of the backend, such as `64MiB` [default: 256MiB]
    ///
    /// The process that compiles a component has its own memory limit, in the `load` limits of a
    /// store of --config, by default 1 GiB.
    #[arg(long, value_name = "SIZE", global = true, value_parser = memory)]
    pub memory: Option<u64>,

    /// The cache directory for compiled code, or `off` [default: the user's cache]
    ///
    /// It is used only if no other user can write to it. `./off` is a directory named `off`.
    #[arg(long, value_name = "DIR|off", global = true, value_hint = ValueHint::DirPath)]
    #[arg(env = CACHE_VARIABLE, hide_env_values = true)]
    pub cache: Option<PathBuf>,
}

/// How the command line describes a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Described {
    Options,
    Place,
    Configuration,
}

impl StoreArguments {
    pub fn described(&self) -> Described {
        match (self.is_place, &self.config) {
            (true, _) => Described::Place,
            (false, Some(_)) => Described::Configuration,
            (false, None) => Described::Options,
        }
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("must be greater than 0".into()) } else { Ok(duration) }
}

fn memory(text: &str) -> Result<u64, String> {
    let size = units::size(text)?;
    if size == 0 { Err("must be greater than 0".into()) } else { Ok(size) }
}

/// Who knows the secret.
#[derive(Clone, Copy, ValueEnum)]
pub enum Signer {
    Host,
    Backend,
    None,
}
