//! What a shell offers while a line is typed: the scripts that ask this program, and its answers.

mod bash;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use artifact_store::{ArtifactStore, Configuration, ListOptions};
use clap::{Arg, Command};
use clap_complete::CompletionCandidate;
use clap_complete::engine::{ArgValueCompleter, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use tokio::time::timeout;

use crate::arguments::Arguments;
use crate::shown;
use crate::store::StoreArguments;
use bash::Bash;

/// Set by the scripts: this program is asked what to offer.
const VARIABLE: &str = "ARTIFACT_STORE_COMPLETE";
const NAME: &str = "artifact-store";
const SHELLS: Shells<'_> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// As a file of `fpath` the script is the body of a function, and is run by the first completion, which
/// it has to answer, too.
const ZSH_AUTOLOAD: &str =
    "if [[ $funcstack[1] == _artifact-store ]]; then _clap_dynamic_completer_artifact_store; fi\n";

/// How long a user waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);
/// More keys help nobody.
const MOST: usize = 1000;

/// The script that makes a shell ask this program.
pub fn script(shell: &str) -> io::Result<Vec<u8>> {
    let shell = SHELLS.completer(shell).ok_or(io::ErrorKind::Unsupported)?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    if shell.is(Zsh.name()) {
        script.extend(ZSH_AUTOLOAD.as_bytes());
    }
    Ok(script)
}

/// Answers a script; none if this process was not started by one.
pub fn answer() -> Option<ExitCode> {
    let asked = CompleteEnv::with_factory(whole)
        .var(VARIABLE)
        .shells(SHELLS)
        .try_complete(env::args_os(), env::current_dir().ok().as_deref());
    match asked {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        // There is nothing to offer, or nobody to tell.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

fn whole() -> Command {
    let mut whole = Arguments::whole();
    // Adds the options that every command has.
    whole.build();
    offered(&whole)
}

/// A command as far as it is offered. Its other names are hidden: if one of them came first in the
/// alphabet, it would be offered instead of the command's own.
fn offered(command: &Command) -> Command {
    Command::new(command.get_name().to_owned())
        .aliases(command.get_all_aliases().map(str::to_owned))
        .about(command.get_about().cloned().unwrap_or_default())
        .hide(command.is_hide_set())
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(command.get_arguments().cloned().map(offer))
        .subcommands(command.get_subcommands().map(offered))
}

/// Adds what is known of an argument, which the name of its value tells.
fn offer(argument: Arg) -> Arg {
    // As everywhere, options are offered when they are begun, or if there is nothing else.
    let argument =
        if !argument.is_positional() { argument.hide(!is_option(&typed().1)) } else { argument };
    let name = argument.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    match name.unwrap_or_default() {
        "KEY" | "PREFIX" | "KEY|DIR" => argument.add(ArgValueCompleter::new(keys)),
        "KEY|PREFIX" => argument.add(ArgValueCompleter::new(keys_and_directories)),
        "STORE" => argument.add(ArgValueCompleter::new(stores)),
        "COMMAND" => argument.add(ArgValueCompleter::new(commands)),
        "fs|s3|FILE.wasm" | "BACKEND" => argument.add(ArgValueCompleter::new(backends)),
        _ => argument,
    }
}

/// The line as far as it is typed, the program's name included.
fn words() -> Vec<OsString> {
    env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// The line without the word that is being typed, and that word.
fn typed() -> (Vec<OsString>, OsString) {
    let mut words = words();
    // All words but those of zsh end at the cursor.
    let index = env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let mut rest = words.split_off(words.len().min(index.unwrap_or(words.len().saturating_sub(1))));
    let current = if rest.is_empty() { OsString::new() } else { rest.remove(0) };
    (words, current)
}

fn is_option(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

/// The store that the line describes so far.
fn store() -> Option<StoreArguments> {
    let (mut words, _) = typed();
    // Its value may be what is being typed.
    words.pop_if(|last| is_option(last));
    Arguments::store_so_far(words)
}

fn keys(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = current.to_str().and_then(keys_with).unwrap_or_default();
    // What cannot be shown as it is would be put on the line as it is.
    let found = found.into_iter().filter(|key| shown::is_plain(key));
    found.map(CompletionCandidate::new).collect()
}

/// With -r a directory follows the prefix.
fn keys_and_directories(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = keys(current);
    if typed().0.iter().any(|word| word == "-r" || word == "--recursive") {
        found.extend(PathCompleter::dir().complete(current));
    }
    found
}

/// What is directly below this prefix.
fn keys_with(prefix: &str) -> Option<Vec<String>> {
    let store = store()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let listed = async {
        // Who looks for a key changes nothing.
        let backend = store.existing().await.ok()?.sweep_older_than(None);
        let store = ArtifactStore::open(backend).await.ok()?;
        let options = ListOptions::default().delimiter(Some("/".into())).limit(MOST);
        store.list_page(prefix, options).await.ok()
    };
    let page = runtime.block_on(async { timeout(PATIENCE, listed).await.ok().flatten() });
    // A disk that does not answer keeps nobody.
    runtime.shutdown_background();
    let page = page?;
    let keys = page.entries.into_iter().map(|entry| entry.key);
    Some(page.prefixes.into_iter().chain(keys).collect())
}

fn stores(current: &OsStr) -> Vec<CompletionCandidate> {
    let file = store().and_then(|store| store.configuration_file());
    let configuration = file.and_then(|file| Configuration::from_file(file).ok());
    let names = configuration.iter().flat_map(Configuration::stores);
    begun(current, names.filter(|name| shown::is_plain(name)))
}

fn commands(current: &OsStr) -> Vec<CompletionCandidate> {
    begun(current, Arguments::whole().get_subcommands().map(Command::get_name))
}

fn backends(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = begun(current, ["fs", "s3"].into_iter());
    found.extend(PathCompleter::file().complete(current));
    found
}

fn begun<'n>(current: &OsStr, names: impl Iterator<Item = &'n str>) -> Vec<CompletionCandidate> {
    let current = current.to_str().unwrap_or_default();
    names.filter(|name| name.starts_with(current)).map(CompletionCandidate::new).collect()
}
