//! One configuration for all the watched stores of a file. Each of them reads the file every few
//! seconds; to parse it for each would take, with hundreds of stores, all of a processor.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use crate::config::Configuration;
use crate::error::Result;

pub(super) struct Parsed {
    /// As it was named, and where that was.
    file: (PathBuf, PathBuf),
    bytes: Vec<u8>,
    pub(super) configuration: Configuration,
}

/// What watches hold.
static KNOWN: Mutex<Vec<Weak<Parsed>>> = Mutex::new(Vec::new());

/// The configuration that the file has now.
pub(super) fn read(path: &Path) -> Result<Arc<Parsed>> {
    let (bytes, whole) = Configuration::bytes(path)?;
    let file = (path.to_owned(), whole);
    let known = || KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    let same = known().iter().find_map(|known| {
        known.upgrade().filter(|known| known.file == file && known.bytes == bytes)
    });
    if let Some(same) = same {
        return Ok(same);
    }
    let configuration = Configuration::parse(&file.0, &file.1, &bytes)?;
    let parsed = Arc::new(Parsed { file, bytes, configuration });
    let mut known = known();
    known.retain(|known| known.strong_count() > 0);
    known.push(Arc::downgrade(&parsed));
    Ok(parsed)
}
