use std::ffi::OsString;
use std::path::PathBuf;

use clap::{
    Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
};

use crate::commands::{
    bundle, check, delete, extract, get, inspect, list, new_backend, put, shell, stat, verify,
};

/// Stores artifacts (large opaque files) through a backend that is a WebAssembly component.
///
/// The built-in backend `fs` keeps them in one directory, `s3` in a bucket. Any other component
/// that exports the package `artifact:storage` takes their place with `--backend FILE.wasm`; it
/// runs in a sandbox and reaches that directory, the variables of `--env` and the endpoints of
/// `--allow-net`, nothing else.
#[derive(Parser)]
#[command(name = "artifact-store", version, after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    pub store: StoreArguments,
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Keys:
  A key has 1 to 1024 bytes of UTF-8 and no control characters. `--` ends the options, so
  that any key can be named: `artifact-store get -- -h`.

Exit codes:
  0    success; also when the reader of the output closed it early
  1    any other failure; a rule that a backend breaks (check), new access (inspect)
  2    wrong usage
  3    not found
  4    there is an artifact under the key already (put --create)
  5    corrupt: the stored bytes are not the ones that were put (get, verify)
  6    unavailable or too slow: trying again later can help
  130  interrupted; a put has then stored nothing, a get -o has left the file as it was

Examples:
  artifact-store put builds/app-1.2 app.tar
  tar c src | artifact-store put snapshots/src
  artifact-store get builds/app-1.2 -o app.tar
  artifact-store --backend my-backend.wasm --dir /srv/artifacts list builds/
  S3_BUCKET=artifacts artifact-store --backend s3 put builds/app-1.2 app.tar

Variables of --backend s3, from --env or else the environment:
  S3_BUCKET (needed), S3_PREFIX, S3_STYLE (path or virtual), S3_PART_SIZE, S3_CHECKSUM,
  AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN";

/// Which store the commands work on. Accepted before and after the command.
#[derive(Clone, Args)]
#[command(next_help_heading = "Store options")]
pub struct StoreArguments {
    /// The directory that the backend sees as `/`, to read and write [default: ./artifacts]
    ///
    /// The first put creates it. The backend reaches nothing outside of it.
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
    pub allow_net: Vec<String>,

    /// Who signs the requests of `s3`: the host, outside of the sandbox, or the backend
    #[arg(long, value_enum, value_name = "WHO", global = true, default_value_t = Signer::Host)]
    pub sign: Signer,

    /// Trusts these certificate authorities (a PEM file) besides the system's
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,

    /// Reaches all endpoints through this HTTP proxy, `http://HOST:PORT`
    #[arg(long, value_name = "URL", global = true)]
    pub proxy: Option<String>,

    /// Sets an environment variable that the backend sees; may be repeated
    ///
    /// The backend sees these only. `--env NAME` without a value hands on the variable of this
    /// process: a secret then shows in no list of processes.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
}

/// Who knows the secret.
#[derive(Clone, Copy, ValueEnum)]
pub enum Signer {
    Host,
    Backend,
}

/// The `--env` behind the command. Were it the same global option, clap would drop those before
/// the command without a word.
const ENV_BEHIND: &str = "env_behind";

impl Arguments {
    /// Parses the process's arguments; ends it where they are wrong or ask for help.
    pub fn from_process() -> Self {
        Self::try_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The whole command line, for clap and what is generated from it.
    pub fn whole() -> clap::Command {
        Self::command().mut_subcommands(|command| {
            let env = Arg::new(ENV_BEHIND).long("env").value_name("NAME[=VALUE]");
            let env =
                env.help("Sets an environment variable that the backend sees; may be repeated");
            command.arg(env.action(ArgAction::Append).help_heading("Store options"))
        })
    }

    fn try_from(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let matches = Self::whole().try_get_matches_from(arguments)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        if let Some((_, command)) = matches.subcommand() {
            let behind = command.get_many(ENV_BEHIND).into_iter().flatten();
            arguments.store.env.extend(behind.cloned());
        }
        Ok(arguments)
    }
}

// No `Debug` here or above: values of `--env` may be secrets.
#[derive(Subcommand)]
pub enum Command {
    Put(put::Arguments),
    Get(get::Arguments),
    Delete(delete::Arguments),
    List(list::Arguments),
    Stat(stat::Arguments),
    Verify(verify::Arguments),
    Check(check::Arguments),
    Inspect(inspect::Arguments),
    Bundle(bundle::Arguments),
    NewBackend(new_backend::Arguments),
    Extract(extract::Arguments),
    Completions(shell::Completions),
    Man(shell::Man),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::whole().debug_assert();
    }

    #[test]
    fn store_options_are_taken_before_and_after_the_command() {
        for command in
            ["put k", "get k", "delete k", "list", "stat k", "verify", "extract fs -o f", "man"]
        {
            let line = format!("artifact-store --env A=1 {command} --env B=2 --backend b --dir d");
            let arguments =
                Arguments::try_from(line.split(' ')).map_err(|e| e.to_string()).unwrap();
            assert_eq!(arguments.store.env, ["A=1", "B=2"]);
            assert_eq!(arguments.store.backend, PathBuf::from("b"));
            assert_eq!(arguments.store.dir, Some("d".into()));
        }
    }
}
