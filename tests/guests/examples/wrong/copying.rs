//! Copies within the store.

use std::io::Write;

use crate::artifact::storage::types::{Error, Info, Mode};
use crate::exports::artifact::storage::copying;
use crate::files::{
    About, CRC, Temporary, compare, explain, open, read_all, read_unchecked, remove,
};
use crate::names::path;
use crate::{Wrong, fault};

impl copying::Guest for Wrong {
    async fn copy_artifact(source: String, target: String, mode: Mode) -> Result<Info, Error> {
        let (from, to) = (path(&source)?, path(&target)?);
        let found = match open(&from) {
            Err(Error::NotFound) if fault("copy-of-nothing-removes") => {
                remove(&to)?;
                return Err(Error::NotFound);
            }
            found => found?.info,
        };
        if fault("copy-is-refused") {
            return Err(Error::Unsupported("not this one".into()));
        }
        while fault("copy-hangs") {}
        if fault("copy-onto-itself-fails") && from == to {
            return Err(Error::Other("this is the source".into()));
        }
        let mode = if fault("copy-ignores-mode") { Mode::Overwrite } else { mode };
        if matches!(mode, Mode::Create) && to.exists() {
            return Err(Error::AlreadyExists);
        }
        compare(&to, &mode)?;
        let mut data =
            if fault("copy-conceals-damage") { read_unchecked(&from)? } else { read_all(&from)? };
        if fault("copy-cuts") {
            data.truncate(65_536);
        }
        let kept = if fault("copy-loses-attributes") { &[][..] } else { &found.attributes };
        let (size, checksum) = (data.len() as u64, CRC.checksum(&data));
        let about = About { size, checksum, attributes: kept };
        let mut temporary = Temporary::new()?;
        temporary.0.write_all(&data).map_err(explain)?;
        temporary.publish(&to, &about, &mode)?;
        if fault("copy-moves") && from != to {
            remove(&from)?;
        }
        if fault("copy-states-its-source") { Ok(found) } else { Ok(open(&to)?.info) }
    }
}
