use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint,
};

use crate::commands::{
    bundle, check, config, copy, delete, du, exists, extract, get, inspect, keygen, list, man,
    new_backend, new_layer, put, serve, shell, stat, sync, verify,
};
use crate::store::{Described, Place, STORE_OPTIONS, StoreArguments};

/// Stores artifacts (large opaque files) through a backend that is a WebAssembly component.
///
/// Two backends are built in: `fs` keeps artifacts in a directory, `s3` in a bucket. `--backend
/// FILE.wasm` uses any other component that exports the package `artifact:storage`. It runs in a
/// sandbox and reaches only the directory of --dir, the variables of --env and the endpoints of
/// --allow-net. Stores that are used more than once can get names in a configuration file: that of
/// `--config`, or the user's own.
#[derive(Parser)]
#[command(name = "artifact-store", version, after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    pub store: StoreArguments,
    /// Show each call and its outcome on standard error; -vv also shows keys and the backend's
    /// output
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = Resettable::Reset)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Keys:
  A key has 1 to 1024 bytes of UTF-8 and no control characters. `--` ends the options, so
  that any key can be given: `artifact-store get -- -h`.

Exit codes:
  0    success, also if the reader of the output closed it early (check, config check, copy,
       delete, get -r, inspect, put -r, sync and verify then still finish their work)
  1    any other failure; also if a backend breaks a rule (check), a component has new access
       (inspect), or an artifact has no checksum to compare with (verify)
  2    wrong usage; also a key or an attribute that cannot be one
  3    not found
  4    the key already has an artifact, or another version (--create, --if-match)
  5    corrupt: the stored bytes differ from those that were put (copy, get, verify)
  6    unavailable, busy or timed out: try again later
  128+N  ended by signal N: 130 after Ctrl-C, 143 after SIGTERM; a put has then stored
       nothing, and a get -o has left the file unchanged

Environment variables:
  ARTIFACT_STORE_DIR, ARTIFACT_STORE_CONFIG and ARTIFACT_STORE_CACHE are the defaults of
  --dir, --config and --cache. Where none of these names a store, it is the one of the user's own
  configuration, `artifact-store/stores.toml` in XDG_CONFIG_HOME or else in `~/.config`, if that
  file exists. A variable that is empty counts as not set.

Examples:
  artifact-store put builds/app-1.2 app.tar
  tar c src | artifact-store put snapshots/src
  artifact-store get builds/app-1.2 -o app.tar
  artifact-store --store dir:/srv/artifacts put -r src snapshots/42
  artifact-store sync ./site s3:artifacts/site --delete --dry-run
  artifact-store --backend my-backend.wasm --dir /srv/artifacts list builds/
  S3_BUCKET=artifacts artifact-store --backend s3 put builds/app-1.2 app.tar
  artifact-store --config stores.toml --store releases get app-1.2 -o app.tar
  artifact-store --config stores.toml copy --from releases --to archive

Variables of --backend s3, taken from --env or else from the environment:
  S3_BUCKET (required), S3_PREFIX, S3_STYLE (path or virtual), S3_PART_SIZE, S3_CHECKSUM,
  AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION,
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN

Without the last three, credentials are found as by Amazon's own tools: --sign has the places.";

/// The options that describe a store, except `--env` and `--layer`.
const DESCRIBING: [&str; 7] = ["dir", "backend", "identity", "allow_net", "sign", "ca", "proxy"];

/// Commands to which the options of a store mean nothing.
const OPENING_NO_STORE: [&str; 8] =
    ["inspect", "bundle", "new-backend", "new-layer", "extract", "keygen", "completions", "man"];

/// The `--env` and `--layer` after the command. If each were the same global option, clap would
/// silently drop those before the command.
const ENV_BEHIND: &str = "env_behind";
const LAYER_BEHIND: &str = "layer_behind";

impl Arguments {
    /// The process's arguments; an error if they are wrong or ask for help.
    pub fn from_process() -> Result<Self, clap::Error> {
        Self::try_from(std::env::args_os().collect())
    }

    /// The whole command line, for clap and for what is generated from it.
    pub fn whole() -> clap::Command {
        let command = Self::command();
        let ids: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
        // In every command they stand behind its own options, in one order.
        let order = |id: &str| 100 + ids.iter().position(|known| known == id).unwrap_or(0);
        let command = command.mut_args(|arg| {
            let order = order(arg.get_id().as_str());
            arg.display_order(order)
        });
        let global = command.get_arguments().filter(|arg| arg.is_global_set());
        let unused: Vec<_> = global.cloned().map(|arg| arg.hide(true)).collect();
        let command = command.mut_subcommands(|command| {
            let opens_none = OPENING_NO_STORE.contains(&command.get_name());
            let env = Arg::new(ENV_BEHIND).long("env").value_name("NAME[=VALUE]");
            let env = env.help("Set an environment variable for the backend; may be repeated");
            let env = env.action(ArgAction::Append).help_heading(STORE_OPTIONS);
            let command = command.arg(env.display_order(order("env")).hide(opens_none));
            let layer = Arg::new(LAYER_BEHIND).long("layer").action(ArgAction::Append);
            let layer = layer.display_order(order("layer")).value_hint(ValueHint::FilePath);
            let layer = match command.get_name() {
                "bundle" => layer.value_name("FILE").help(bundle::LAYER_HELP),
                _ => {
                    let help =
                        "Put a layer around the backend; may be repeated, the outermost first";
                    let layer = layer.value_name("LAYER").help(help).help_heading(STORE_OPTIONS);
                    layer.hide(opens_none)
                }
            };
            let command = command.arg(layer);
            // They are accepted, as everywhere, and not listed.
            if opens_none { command.args(unused.clone()) } else { command }
        });
        // A variable that is empty counts as one that is not set.
        command.mut_args(|argument| {
            let variable = argument.get_env().and_then(std::env::var_os);
            match variable.is_some_and(|value| value.is_empty()) {
                true => argument.env(Resettable::Reset),
                false => argument,
            }
        })
    }

    fn try_from(line: Vec<OsString>) -> Result<Self, clap::Error> {
        let is_end = line.last().is_some_and(|last| last == "--");
        let matches = Self::whole().try_get_matches_from(line)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        if let Command::Delete(delete) = &arguments.command
            && delete.keys.is_empty()
            && delete.prefix.is_none()
            && !is_end
        {
            let text =
                "`delete` needs at least one KEY, or --prefix; `delete --` accepts an empty list";
            return Err(Self::whole().error(ErrorKind::MissingRequiredArgument, text));
        }
        arguments.store.complete(&matches)?;
        Ok(arguments)
    }

    /// How the stores of this command are described.
    pub fn described(&self) -> Described {
        match (self.store.described(), &self.command) {
            // Both sides are places, or files.
            (Described::Options, Command::Sync(_)) => Described::Place,
            (Described::Options, Command::Copy(copy)) if copy.is_between() => Described::Place,
            (described, _) => described,
        }
    }

    /// The store that a line describes so far; the line need not be complete or right.
    pub fn store_so_far(line: Vec<OsString>) -> Option<StoreArguments> {
        let matches = Self::whole().ignore_errors(true).try_get_matches_from(line).ok()?;
        let mut store = StoreArguments::from_arg_matches(&matches).ok()?;
        store.complete(&matches).ok()?;
        Some(store)
    }
}

impl StoreArguments {
    /// Adds what the derived part cannot know.
    fn complete(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some((_, command)) = matches.subcommand() {
            let behind = command.get_many(ENV_BEHIND).into_iter().flatten();
            self.env.extend(behind.cloned());
            let behind = command.get_many(LAYER_BEHIND).into_iter().flatten();
            self.layer.extend(behind.cloned());
        }
        self.choose(matches)
    }

    /// A store is either named in a file or described by options; both at once is an error. Options
    /// on the command line take precedence over the environment.
    fn choose(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let is_said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let described = match (self.env.is_empty(), self.layer.is_empty()) {
            (false, _) => Some("env"),
            (_, false) => Some("layer"),
            _ => DESCRIBING.into_iter().find(|id| is_said(id)),
        };
        let wrong = |kind, text| Arguments::whole().error(kind, text);
        if let Some(name) = self.store.clone()
            && let Some(place) =
                Place::of(&name).map_err(|error| wrong(ErrorKind::InvalidValue, error.0))?
        {
            if let Some(said) = ["dir", "backend"].into_iter().find(|id| is_said(id)) {
                let text = format!("--store names a place, and so cannot be used with --{said}");
                return Err(wrong(ErrorKind::ArgumentConflict, text));
            }
            *self = self.at(&name, place);
            return Ok(());
        }
        let named = ["config", "store"].into_iter().find(|id| is_said(id));
        match (named, described) {
            (Some(named), Some(described)) => {
                let described = described.replace('_', "-");
                let text = format!("--{named} cannot be used with --{described}");
                return Err(wrong(ErrorKind::ArgumentConflict, text));
            }
            (None, Some(_)) => self.config = None,
            // A directory of the environment is a store, too.
            (None, None) if self.config.is_none() && self.dir.is_some() => {}
            _ => self.config = self.configuration_file(),
        }
        if self.store.is_some() && self.config.is_none() {
            let text = "--store names a store of --config FILE, which is missing, or a place: \
                        `dir:PATH`, `s3:BUCKET/PREFIX`";
            return Err(wrong(ErrorKind::MissingRequiredArgument, text.into()));
        }
        Ok(())
    }
}

// No `Debug` here or above: values of `--env` may be secrets.
#[derive(Subcommand)]
pub enum Command {
    Put(put::Arguments),
    #[command(visible_alias = "cat")]
    Get(get::Arguments),
    #[command(visible_alias = "rm")]
    Delete(delete::Arguments),
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    Stat(stat::Arguments),
    Exists(exists::Arguments),
    Du(du::Arguments),
    Verify(verify::Arguments),
    #[command(visible_alias = "cp")]
    Copy(copy::Arguments),
    Sync(sync::Arguments),
    Serve(serve::Arguments),
    Config(config::Arguments),
    Check(check::Arguments),
    Inspect(inspect::Arguments),
    Bundle(bundle::Arguments),
    NewBackend(new_backend::Arguments),
    NewLayer(new_layer::Arguments),
    Extract(extract::Arguments),
    Keygen(keygen::Arguments),
    Completions(shell::Completions),
    Man(man::Arguments),
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

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
            let arguments = Arguments::try_from(words(&line)).map_err(|e| e.to_string()).unwrap();
            assert_eq!(arguments.store.env, ["A=1", "B=2"]);
            assert_eq!(arguments.store.backend, PathBuf::from("b"));
            assert_eq!(arguments.store.dir, Some("d".into()));
        }
        let line = "artifact-store --config c --store s3:b/p list --ca f";
        let arguments = Arguments::try_from(words(line)).map_err(|e| e.to_string()).unwrap();
        assert_eq!(arguments.store.env, ["S3_BUCKET=b", "S3_PREFIX=p"]);
        for command in ["put k", "copy --from a --to b", "config check", "man"] {
            let line = format!("artifact-store --config c {command} --timeout 5s --memory 1MiB");
            let arguments = Arguments::try_from(words(&line)).map_err(|e| e.to_string()).unwrap();
            assert_eq!(arguments.store.config, Some("c".into()));
            assert_eq!(arguments.store.timeout, Some(Duration::from_secs(5)));
            assert_eq!(arguments.store.memory, Some(1 << 20));
        }
    }

    #[test]
    fn a_store_is_named_or_described() {
        for line in [
            "--config c --dir d list",
            "list --config c --backend b",
            "--env A=1 list --config c",
            "--config c list --env A=1",
            "--config c --allow-net https://h list",
            "--config c --sign backend list",
            "--store s --dir d list",
            "--timeout 0s list",
            "--memory much list",
            "--store= --config c list",
            "delete",
            "delete --dir d",
            "--store dir: list",
            "--store s3://b/p list",
            "--store dir:a --dir b list",
            "--store dir:a --backend s3 list",
        ] {
            let line = format!("artifact-store {line}");
            let error = Arguments::try_from(words(&line)).map(drop).expect_err(&line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
