//! What to do about a failure.

use std::io;
use std::sync::OnceLock;

use artifact_store::{Backend, ErrorKind, LoadError};

use crate::disk::Silent;
use crate::failure::{self, Refused};
use crate::lack;
use crate::store::{Absent, Described};

/// How the stores of this command are described.
static DESCRIBED: OnceLock<Described> = OnceLock::new();

/// From now on hints are about stores that are described so.
pub fn about(described: Described) {
    let _ = DESCRIBED.set(described);
}

/// What to say to who wrote options, a place, or a configuration.
fn by<'a>(options: &'a str, place: &'a str, configuration: &'a str) -> &'a str {
    match DESCRIBED.get() {
        None | Some(Described::Options) => options,
        Some(Described::Place) => place,
        Some(Described::Configuration) => configuration,
    }
}

pub fn of(error: &anyhow::Error) -> Option<String> {
    if failure::find::<Absent>(error).is_some() {
        let text = by(
            "name the store's directory with --dir or ARTIFACT_STORE_DIR; a put makes it",
            "check the path behind `dir:`; a put makes the directory",
            "check the path behind `dir:`; a put makes the directory",
        );
        return Some(text.into());
    }
    if let Some(limit) = lack::limit(error) {
        return Some(format!("{limit}; try again later, or raise that limit"));
    }
    if failure::find::<Silent>(error).is_some() {
        return of_kind(&ErrorKind::Unavailable(String::new())).map(str::to_owned);
    }
    if let Some(refused) = failure::find(error) {
        return of_kind(match refused {
            Refused::Taken => &ErrorKind::AlreadyExists,
            Refused::Changed => &ErrorKind::ConditionFailed,
        })
        .map(str::to_owned);
    }
    let whole = error;
    let error: &artifact_store::Error = failure::find(whole)?;
    let hint = match error.kind() {
        ErrorKind::Load(LoadError::Settings(problems)) => {
            let hint = of_kind(error.kind())?.to_owned();
            return Some(match problems.iter().find_map(|problem| misspelt(&problem.name)) {
                Some(found) => format!("`{found}` is set, which no backend reads; {hint}"),
                None => hint,
            });
        }
        ErrorKind::Load(LoadError::Directory { .. }) => of_directory(failure::find(whole)),
        kind if error.backend() == "s3" => of_bucket(kind).or_else(|| of_kind(kind))?,
        kind => of_kind(kind)?,
    };
    Some(hint.to_owned())
}

/// A variable of this process whose name is nearly this one's.
fn misspelt(name: &str) -> Option<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let is_near = |found: &String| {
        let common = found.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&found.as_bytes()[common..], &name.as_bytes()[common..]);
        let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        found != name && common > 2 && a.len().max(b.len()) - end <= 2
    };
    let is_setting = |found: &String| Backend::S3_VARIABLES.contains(&found.as_str());
    names.filter(|found| !is_setting(found)).find(is_near)
}

/// What is different where artifacts are in a bucket, and no directory is.
fn of_bucket(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::AccessDenied(_) => {
            "check the credentials and what they may do, which docs/s3.md lists, and the clock"
        }
        ErrorKind::NoSpace(_) => {
            "nothing was changed; make space in the bucket, or raise its quota"
        }
        _ => return None,
    })
}

/// Why a directory cannot be opened or made.
fn of_directory(cause: Option<&io::Error>) -> &'static str {
    use io::ErrorKind as Kind;

    match cause.map(io::Error::kind) {
        Some(Kind::NotADirectory | Kind::AlreadyExists) => {
            "a file or a link stands in its place, or in that of one above it; a store needs a \
             directory of its own"
        }
        Some(Kind::ReadOnlyFilesystem | Kind::PermissionDenied) => {
            "check who may read and write there, and whether the disk is mounted read-only"
        }
        Some(Kind::NotFound) => {
            "the directory of a configuration has to be there: make it, or mount the disk it is on"
        }
        _ => "check this directory, and the disk that it is on",
    }
}

fn of_kind(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "`artifact-store list` shows what there is",
        ErrorKind::AlreadyExists => "without --create it is replaced",
        ErrorKind::ConditionFailed => {
            "`artifact-store stat KEY` shows what is there now; get it again before you replace or delete it"
        }
        ErrorKind::InvalidAttribute(_) => {
            "a name has lower-case letters, digits and `-`; a value has no control characters, and no \
             white space at its ends; together they have at most 2048 bytes"
        }
        ErrorKind::InvalidKey(_) => "a key has 1 to 1024 bytes of UTF-8 and no control characters",
        ErrorKind::InvalidRange => "`artifact-store stat KEY` shows the size",
        ErrorKind::TooLarge { .. } => {
            "nothing was changed; where a backend has no streams, an artifact is held in memory, up \
             to `buffer` in the `limits` of a configuration (`Limits::buffer`); where it has them, \
             `get -o FILE` and, in an application, `read` take any size"
        }
        ErrorKind::AccessDenied(_) => by(
            "check who may read and write the --dir, the --allow-net, the credentials, and the \
             --identity of what is encrypted",
            "check who may read and write there, and the --identity of what is encrypted",
            "check who may read and write the `directories` of the configuration, its `network`, the \
             credentials in its `env-from`, and the identity in its `layers`",
        ),
        ErrorKind::NoSpace(_) => by(
            "nothing was changed; make space, or name another place with --dir, and try again",
            "nothing was changed; make space, or name another place, and try again",
            "nothing was changed; make space, or name another directory in the configuration, and try \
             again",
        ),
        ErrorKind::Corrupt(_) => {
            "if something else is in the place of a directory of the store, put the directory back; \
             otherwise put the artifact again from its source, or delete it"
        }
        ErrorKind::Unavailable(_) | ErrorKind::Busy { .. } => "try again later",
        ErrorKind::Timeout(_) => {
            "try again; a put or delete may have taken effect, and is safe to repeat"
        }
        ErrorKind::Unsupported(_) => "another backend, or another place for this one, may offer it",
        ErrorKind::Trap(_) | ErrorKind::Protocol(_) => {
            "this is a fault of the backend; its author should see this message"
        }
        ErrorKind::Load(error) => return of_load(error),
        _ => return None,
    })
}

const SETTINGS: &str = "set it in the environment or with --env, and that of a layer behind its file \
                        (`--layer FILE,NAME=VALUE`)";
const NETWORK: &str = "see --allow-net, --ca and --proxy";

fn of_load(error: &LoadError) -> Option<&'static str> {
    Some(match error {
        LoadError::Read(_) => "a backend is `fs`, `s3` or the path of a component file",
        LoadError::Settings(_) => {
            by(SETTINGS, SETTINGS, "set it in the `env` or `env-from` of the store or of its layer")
        }
        LoadError::Credentials(_) => {
            "docs/s3.md lists where credentials are looked for; `--sign none` needs none"
        }
        LoadError::Network { .. } => {
            by(NETWORK, NETWORK, "see `network` of the store in the configuration")
        }
        LoadError::WrongDigest { .. } => {
            "where this component is the one that is meant, its SHA-256 is the `digest` to configure"
        }
        LoadError::UnknownWasi { is_draft: true, .. } => {
            "it was built for a draft of WASI, which is older than the WASI of this program: build \
             it again with a current toolchain"
        }
        LoadError::UnknownWasi { .. } => {
            "it was built for a newer WASI than this program offers: build it for WASI 0.3.0 or \
             0.2, or use a newer `artifact-store`"
        }
        LoadError::Invalid(_) => "the file may be damaged, or made by a newer toolchain",
        LoadError::NotAComponent(_) => {
            "`artifact-store extract fs -o fs.wasm` writes a backend that works, to compare with"
        }
        LoadError::MissingExport { .. } | LoadError::WrongInterface { .. } => {
            "build it against the package `artifact:storage` of this version"
        }
        LoadError::UnexpectedImports(_) => {
            "a backend may import WASI and nothing else; compose it with what it needs"
        }
        LoadError::Overlap { .. } => {
            "give the backend a directory of its own, which holds and lies in none of another \
             backend, and keep configurations, components and links out of it"
        }
        LoadError::Limit { .. } => {
            "where you trust this component, raise that limit in the `limits.load` of a store of \
             --config"
        }
        LoadError::Compiler(_) => {
            "look whether the machine has too little memory; else it is a fault of the component"
        }
        _ => return None,
    })
}
