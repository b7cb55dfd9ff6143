//! Deletions of one version.

use std::fs;

use crate::artifact::storage::types::Error;
use crate::exports::artifact::storage::conditional;
use crate::files::{Alone, all, explain, open};
use crate::names::path;
use crate::{Wrong, fault};

impl conditional::Guest for Wrong {
    async fn delete_if(key: String, version: String) -> Result<(), Error> {
        let path = path(&key)?;
        if fault("delete-if-is-refused") {
            return Err(Error::Unsupported("not this one".into()));
        }
        let is_apart = fault("delete-if-looks-then-removes");
        let _alone = (!is_apart).then(|| Alone::wait(true)).transpose().map_err(explain)?;
        let present = match open(&path) {
            Err(Error::NotFound) if fault("delete-if-of-absent-fails") => {
                return Err(Error::ConditionFailed);
            }
            Err(Error::NotFound) => return Ok(()),
            found => found?.info.version.unwrap_or_default(),
        };
        let is_part = fault("delete-if-compares-a-part") && present.starts_with(&version);
        if present != version && !is_part && !fault("delete-if-ignores-version") {
            return Err(match fault("delete-if-says-other") {
                true => Error::Other("another version".into()),
                false => Error::ConditionFailed,
            });
        }
        if fault("delete-if-does-nothing") {
            return Ok(());
        }
        if is_apart {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        if fault("delete-if-removes-those-below") {
            for (_, path) in all()?.into_iter().filter(|(other, _)| other.starts_with(&key)) {
                fs::remove_file(path).map_err(explain)?;
            }
            return Ok(());
        }
        fs::remove_file(&path).map_err(explain)
    }
}
