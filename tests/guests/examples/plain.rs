//! A second backend, independent of the built-in one: put, get and delete on plain files, one
//! for each key, named by the key's bytes in hexadecimal digits and cut into folders.
#![cfg(target_family = "wasm")]

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Plain;

export!(Plain);

/// `/6b/6579.data`-like paths: a name holds at most 100 bytes of the key.
fn path(key: &str) -> Result<PathBuf, Error> {
    if key.is_empty() || key.len() > 1024 || key.chars().any(char::is_control) {
        return Err(Error::InvalidKey("1 to 1024 bytes without control characters".into()));
    }
    let mut path = PathBuf::from("/");
    for part in key.as_bytes().chunks(100) {
        path.push(part.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    path.set_extension("data");
    Ok(path)
}

fn explain(path: &Path, error: std::io::Error) -> Error {
    let text = format!("`{}`: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NoSpace(text),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::AccessDenied(text),
        _ => Error::Other(text),
    }
}

impl Guest for Plain {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        let path = path(&key)?;
        let store = || {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            // Other instances may be storing the same key right now.
            let random = RandomState::new().build_hasher().finish();
            let temporary = path.with_extension(format!("{random:x}"));
            let mut file = fs::File::create_new(&temporary)?;
            let written = file.write_all(&data).and_then(|()| file.sync_all());
            let stored = written.and_then(|()| fs::rename(&temporary, &path));
            if stored.is_err() {
                // Where this fails too it stays as litter, which nobody sees.
                let _ = fs::remove_file(&temporary);
            }
            stored
        };
        store().map_err(|e| explain(&path, e))
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let path = path(&key)?;
        fs::read(&path).map_err(|e| explain(&path, e))
    }

    async fn delete(key: String) -> Result<(), Error> {
        let path = path(&key)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(explain(&path, error)),
            _ => Ok(()),
        }
    }
}
