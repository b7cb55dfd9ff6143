//! The files: size and checksum before the payload, written aside and renamed.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::artifact::storage::types::{Error, Info, Instant};
use crate::fault;
use crate::names::{ARTIFACTS, key_of};

pub(crate) const TEMPORARIES: &str = "/tmp";
/// Size and checksum, before the payload.
pub(crate) const HEADER: u64 = 16;

pub(crate) static CRC: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_NVME);

pub(crate) fn explain(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::AlreadyExists => Error::AlreadyExists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NoSpace(error.to_string()),
        _ => Error::Other(error.to_string()),
    }
}

/// A file that is removed unless it is published.
pub(crate) struct Temporary(pub(crate) File, pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new() -> Result<Self, Error> {
        fs::create_dir_all(TEMPORARIES).map_err(explain)?;
        let random = RandomState::new().build_hasher().finish();
        let path = Path::new(TEMPORARIES).join(format!("{random:x}"));
        let mut file = File::create_new(&path).map_err(explain)?;
        file.write_all(&[0; HEADER as usize]).map_err(explain)?;
        Ok(Self(file, path))
    }

    pub(crate) fn publish(
        &mut self,
        path: &Path,
        size: u64,
        checksum: u64,
        create: bool,
    ) -> Result<(), Error> {
        let Self(file, temporary) = self;
        let mut publish = || {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&[size.to_le_bytes(), checksum.to_le_bytes()].concat())?;
            file.sync_all()?;
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            if create && !fault("racy-create") && !fault("create-replaces") {
                fs::hard_link(&*temporary, path)?;
                return fs::remove_file(&*temporary);
            }
            if fault("put-only-once") && path.exists() {
                return Ok(());
            }
            fs::rename(&*temporary, path)
        };
        publish().map_err(|error| match error.kind() {
            // Swept away under the write.
            ErrorKind::NotFound => Error::Unavailable("the temporary is gone".into()),
            _ => explain(error),
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.1);
    }
}

pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) info: Info,
    pub(crate) length: u64,
}

pub(crate) fn open(path: &Path) -> Result<Found, Error> {
    let mut file = File::open(path).map_err(explain)?;
    let mut header = [0; HEADER as usize];
    let damaged = |_| Error::Corrupt("the header is cut".into());
    file.read_exact(&mut header).map_err(damaged)?;
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let metadata = file.metadata().map_err(explain)?;
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = since.map(|since| Instant {
        seconds: if fault("milliseconds") {
            since.as_millis() as i64
        } else {
            since.as_secs() as i64
        },
        nanoseconds: if fault("nanoseconds") { 1_000_000_000 } else { since.subsec_nanos() },
    });
    let mut checksum = number(&header[8..]);
    if fault("wrong-checksum") {
        checksum = checksum.swap_bytes() ^ 7;
    }
    let checksum = Some(checksum).filter(|_| !fault("no-checksum"));
    let info = Info { size: number(&header[..8]), checksum, modified };
    Ok(Found { file, info, length: metadata.len() - HEADER })
}

pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>, Error> {
    let mut found = open(path)?;
    let mut data = Vec::new();
    found.file.read_to_end(&mut data).map_err(explain)?;
    let is_right = found.info.size == data.len() as u64
        && CRC.checksum(&data) == found.info.checksum.unwrap_or_default();
    let lies = ["wrong-checksum", "no-checksum", "no-verify", "ignore-seal-size", "cut-at-seal"]
        .into_iter()
        .any(fault);
    if is_right || lies { Ok(data) } else { Err(Error::Corrupt("not its checksum".into())) }
}

pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(explain(error)),
        _ => Ok(()),
    }
}

/// What is in a directory; nothing where there is none.
pub(crate) fn paths(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
    let read = || fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    loop {
        match read() {
            // The host looks at each name that it finds, and one has just been removed.
            Err(error) if error.kind() == ErrorKind::NotFound && dir.as_ref().exists() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            paths => return paths.map_err(explain),
        }
    }
}

/// All artifacts by key.
pub(crate) fn all() -> Result<BTreeMap<String, PathBuf>, Error> {
    let (mut found, mut dirs) = (BTreeMap::new(), vec![PathBuf::from(ARTIFACTS)]);
    while let Some(dir) = dirs.pop() {
        for path in paths(&dir)? {
            if path.extension().is_none() {
                dirs.push(path);
            } else if let Some(key) = key_of(&path) {
                found.insert(key, path);
            }
        }
    }
    Ok(found)
}
