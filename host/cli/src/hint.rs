//! What to do about a failure.

use artifact_store::{ErrorKind, LoadError};

use crate::exit;
use crate::opening::Absent;

pub fn of(error: &anyhow::Error) -> Option<String> {
    if let Some(Absent { dir, .. }) = exit::find(error) {
        let dir = dir.display();
        return Some(format!(
            "the directory `{dir}` does not exist; name the store's with --dir or ARTIFACT_STORE_DIR"
        ));
    }
    let error: &artifact_store::Error = exit::find(error)?;
    of_kind(error.kind()).map(str::to_owned)
}

fn of_kind(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "`artifact-store list` shows what there is",
        ErrorKind::AlreadyExists => "without --create it is replaced",
        ErrorKind::InvalidKey(_) => "a key has 1 to 1024 bytes of UTF-8 and no control characters",
        ErrorKind::InvalidRange => "`artifact-store stat KEY` shows the size",
        ErrorKind::TooLarge { .. } => {
            "a backend that exports `streams` takes artifacts of any size; nothing was changed"
        }
        ErrorKind::AccessDenied(_) => {
            "check the --dir (the first put creates it), the --allow-net, and the credentials"
        }
        ErrorKind::NoSpace(_) => {
            "nothing was changed; make space, or name another place with --dir, and try again"
        }
        ErrorKind::Corrupt(_) => "put it again from its source, or delete it",
        ErrorKind::Unavailable(_) | ErrorKind::Busy { .. } => "try again later",
        ErrorKind::Timeout(_) => {
            "try again; a put or delete may have taken effect, and is safe to repeat"
        }
        ErrorKind::Unsupported(_) => "another backend may offer this; `fs` does",
        ErrorKind::Trap(_) | ErrorKind::Protocol(_) => {
            "this is a fault of the backend; its author should see this message"
        }
        ErrorKind::Load(error) => return of_load(error),
        _ => return None,
    })
}

fn of_load(error: &LoadError) -> Option<&'static str> {
    Some(match error {
        LoadError::Read(_) => "a backend is `fs`, `s3` or the path of a component file",
        LoadError::Setting { .. } => {
            "set it in the environment or with --env, which `artifact-store --help` lists, or in \
             the `env` or `env-from` of the configuration"
        }
        LoadError::Network { .. } => {
            "see --allow-net, --ca and --proxy, or `network` of the configuration"
        }
        LoadError::WrongDigest { .. } => {
            "where this component is the one that is meant, its SHA-256 is the `digest` to configure"
        }
        LoadError::NotAComponent(_) => {
            "`artifact-store extract fs -o fs.wasm` writes a backend that works, to compare with"
        }
        LoadError::MissingExport { .. } | LoadError::WrongInterface { .. } => {
            "build it against the package `artifact:storage` of this version"
        }
        LoadError::UnexpectedImports(_) => {
            "a backend may import WASI and nothing else; compose it with what it needs"
        }
        LoadError::Invalid(_) => "the file may be damaged, or made by a newer toolchain",
        LoadError::Directory { .. } => {
            "the first put creates the directory of --dir or ARTIFACT_STORE_DIR; one of a \
             configuration has to be there"
        }
        _ => return None,
    })
}
