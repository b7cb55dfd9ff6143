//! Put, get and delete.

use std::fs::{self, File};
use std::io::Write;

use crate::artifact::storage::types::{Error, Mode};
use crate::exports::artifact::storage::artifact_store;
use crate::files::{About, CRC, Temporary, all, explain, open, read_all, remove};
use crate::names::{check, path};
use crate::{STATE, Wrong, fault};

impl artifact_store::Guest for Wrong {
    async fn put(key: String, mut data: Vec<u8>) -> Result<(), Error> {
        if fault("payload-in-error") {
            check(&key).map_err(|_| {
                Error::InvalidKey(format!("for {}", String::from_utf8_lossy(&data)))
            })?;
        }
        let path = path(&key)?;
        if fault("memory") {
            STATE.with_borrow_mut(|state| state.insert(key, data));
            return Ok(());
        }
        if fault("lose-empty") && data.is_empty() {
            return remove(&path);
        }
        if fault("append") {
            data = [read_all(&path).unwrap_or_default(), data].concat();
        }
        if fault("refuse-again") && path.exists() && read_all(&path)? == data {
            return Err(Error::AlreadyExists);
        }
        if fault("stumble-over-damage") && path.exists() {
            read_all(&path)?;
        }
        let kept = match open(&path) {
            Ok(found) if fault("put-keeps-attributes") => found.info.attributes,
            _ => Vec::new(),
        };
        let (size, checksum) = (data.len() as u64, CRC.checksum(&data));
        let about = About { size, checksum, attributes: &kept };
        if fault("in-place") {
            let write = || {
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                let mut file = File::create(&path)?;
                file.write_all(&about.header())?;
                data.chunks(1024).try_for_each(|chunk| file.write_all(chunk))
            };
            return write().map_err(explain);
        }
        let mut temporary = Temporary::new()?;
        temporary.0.write_all(&data).map_err(explain)?;
        temporary.publish(&path, &about, &Mode::Overwrite)
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let path = path(&key)?;
        if fault("memory") {
            return STATE.with_borrow(|state| state.get(&key).cloned()).ok_or(Error::NotFound);
        }
        if fault("cache")
            && let Some(data) = STATE.with_borrow(|state| state.get(&key).cloned())
        {
            return Ok(data);
        }
        let data = read_all(&path);
        if fault("absent-is-empty") && matches!(data, Err(Error::NotFound)) {
            return Ok(Vec::new());
        }
        if fault("absent-is-other") && matches!(data, Err(Error::NotFound)) {
            return Err(Error::Other("no such file".into()));
        }
        let mut data = data?;
        if fault("cache") {
            STATE.with_borrow_mut(|state| state.insert(key, data.clone()));
        }
        if fault("trailing-byte") {
            data.push(b'\n');
        }
        if fault("lose-last-byte") && !data.is_empty() && data.len().is_multiple_of(8192) {
            data.pop();
        }
        Ok(data)
    }

    async fn delete(key: String) -> Result<(), Error> {
        let path = path(&key)?;
        if fault("delete-prefix") {
            for (other, path) in all()?.into_iter().filter(|(other, _)| other.starts_with(&key)) {
                drop(other);
                remove(&path)?;
            }
        }
        if fault("delete-panics") {
            panic!("nobody told me about `{}`", "\u{1b}[2J");
        }
        if fault("delete-does-nothing") {
            return Ok(());
        }
        if fault("delete-of-absent-fails") {
            return fs::remove_file(&path).map_err(explain);
        }
        if fault("undeletable-damage") && path.exists() {
            read_all(&path)?;
        }
        STATE.with_borrow_mut(|state| state.remove(&key));
        remove(&path)
    }
}
