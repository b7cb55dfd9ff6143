//! The files: size and checksum before the payload, written aside and renamed.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use crate::artifact::storage::types::{Attribute, Error, Info, Instant, Mode};
use crate::fault;
use crate::names::{ARTIFACTS, key_of};

pub(crate) const TEMPORARIES: &str = "/tmp";
/// Size, checksum, generation and the length of the attributes, which come after the payload.
pub(crate) const HEADER: u64 = 40;

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

/// What is stored beside the payload.
pub(crate) struct About<'a> {
    pub(crate) size: u64,
    pub(crate) checksum: u64,
    pub(crate) attributes: &'a [Attribute],
}

impl About<'_> {
    /// The first bytes of the file.
    pub(crate) fn header(&self) -> Vec<u8> {
        let Self { size, checksum, .. } = self;
        let mut header = [size.to_le_bytes(), checksum.to_le_bytes()].concat();
        let generation = [random(), random()].map(u64::to_le_bytes).concat();
        header.extend(if fault("same-version") { vec![7; 16] } else { generation });
        header.extend((self.trailer().len() as u64).to_le_bytes());
        header
    }

    /// The last bytes of the file.
    fn trailer(&self) -> String {
        let attributes = self.attributes.iter().filter(|_| !fault("loses-attributes"));
        attributes.map(|Attribute { name, value }| format!("{name}={value}\n")).collect()
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Nobody else stores or removes anything meanwhile, in a store where something was replaced by its
/// version: elsewhere a lock that a crash leaves would only be waited for. Each holder makes the
/// next one of the numbered files in `LOCKS`, which one alone can, and at the end another one beside
/// it. None is ever removed, so that one who comes late for a number does not take it.
pub(crate) struct Alone(u64);

const LOCKS: &str = "/lock";

/// After so many milliseconds without an end, a holder is gone.
static PATIENCE: LazyLock<u32> = LazyLock::new(|| {
    std::env::var("PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(3000)
});

/// Who looked before there was a lock has renamed by then, if there is anybody else.
const GRACE: u32 = 200;

impl Alone {
    pub(crate) fn wait(replaces: bool) -> io::Result<Option<Self>> {
        if !replaces && !Path::new(LOCKS).exists() {
            return Ok(None);
        }
        fs::create_dir_all(LOCKS)?;
        let (mut newest, mut waited) = (0, 0);
        loop {
            let found = Self::newest(newest);
            waited = if found == newest { waited + 1 } else { 0 };
            newest = found;
            if newest == 0 || Self::end(newest).exists() || waited > *PATIENCE {
                match File::create_new(Self::begin(newest + 1)) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    made => {
                        made?;
                        if newest == 0 {
                            std::thread::sleep(Duration::from_millis(GRACE.min(*PATIENCE).into()));
                        }
                        return Ok(Some(Self(newest + 1)));
                    }
                }
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// The last number that is there, at `from` or behind it.
    fn newest(from: u64) -> u64 {
        let (mut newest, mut step) = (from, 1);
        while Self::begin(newest + step).exists() {
            newest += step;
            step *= 2;
        }
        while step > 0 {
            if Self::begin(newest + step).exists() {
                newest += step;
            }
            step /= 2;
        }
        newest
    }

    fn begin(number: u64) -> PathBuf {
        Path::new(LOCKS).join(number.to_string())
    }

    fn end(number: u64) -> PathBuf {
        Path::new(LOCKS).join(format!("{number}.end"))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = File::create_new(Self::end(self.0));
    }
}

impl Temporary {
    pub(crate) fn new() -> Result<Self, Error> {
        fs::create_dir_all(TEMPORARIES).map_err(explain)?;
        let path = Path::new(TEMPORARIES).join(format!("{:x}", random()));
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path);
        let mut file = file.map_err(explain)?;
        file.write_all(&[0; HEADER as usize]).map_err(explain)?;
        Ok(Self(file, path))
    }

    pub(crate) fn publish(
        &mut self,
        path: &Path,
        about: &About<'_>,
        mode: &Mode,
    ) -> Result<(), Error> {
        let Self(file, temporary) = self;
        let create = matches!(mode, Mode::Create);
        let looks_first = create && fault("create-looks-then-renames");
        let is_apart = match mode {
            Mode::Overwrite => fault("put-overtakes"),
            Mode::Create => looks_first,
            Mode::Replace(_) => fault("replace-looks-then-renames"),
        };
        let mut write = || {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&about.header())?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(about.trailer().as_bytes())?;
            file.sync_all()
        };
        write().map_err(explain)?;
        let replaces = matches!(mode, Mode::Replace(_));
        let _alone = (!is_apart).then(|| Alone::wait(replaces)).transpose().map_err(explain)?;
        let publish = || {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            if looks_first && path.exists() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if !fault("racy-replace")
                && let Err(error) = compare(path, mode)
            {
                return Ok(Err(error));
            }
            if create && !looks_first && !fault("racy-create") && !fault("create-replaces") {
                fs::hard_link(&*temporary, path)?;
                fs::remove_file(&*temporary)?;
            } else if !fault("put-only-once") || !path.exists() {
                fs::rename(&*temporary, path)?;
            }
            Ok(Ok(()))
        };
        publish().unwrap_or_else(|error: io::Error| {
            Err(match error.kind() {
                // Swept away under the write.
                ErrorKind::NotFound => Error::Unavailable("the temporary is gone".into()),
                _ => explain(error),
            })
        })
    }
}

/// Whether the artifact is the one to be replaced.
pub(crate) fn compare(path: &Path, mode: &Mode) -> Result<(), Error> {
    let Mode::Replace(version) = mode else { return Ok(()) };
    let present = match open(path) {
        Err(Error::NotFound) if fault("replace-of-absent-stores") => return Ok(()),
        Err(Error::NotFound) => None,
        found => found?.info.version,
    };
    match present {
        Some(present) if present == *version || fault("replace-ignores-version") => Ok(()),
        Some(present) if fault("replace-compares-a-part") && present.starts_with(version) => Ok(()),
        _ if fault("replace-says-other") => Err(Error::Other("another version".into())),
        _ => Err(Error::ConditionFailed),
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
    let (info, length) = describe(&mut file)?;
    Ok(Found { file, info, length })
}

/// The info and the size of the payload, at whose begin the file is then.
pub(crate) fn describe(file: &mut File) -> Result<(Info, u64), Error> {
    file.seek(SeekFrom::Start(0)).map_err(explain)?;
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
    let mut checksum = number(&header[8..16]);
    if fault("wrong-checksum") {
        checksum = checksum.swap_bytes() ^ 7;
    }
    let checksum = Some(checksum).filter(|_| !fault("no-checksum"));
    let mut version: String = header[16..32].iter().map(|byte| format!("{byte:02x}")).collect();
    if fault("version-is-size") {
        version = metadata.len().to_string();
    }
    if fault("version-of-each-answer") {
        version = random().to_string();
    }
    if fault("long-version") {
        version = version.repeat(9);
    }
    let length = metadata.len().saturating_sub(HEADER + number(&header[32..]));
    let mut text = String::new();
    file.seek(SeekFrom::Start(HEADER + length)).map_err(explain)?;
    if length == number(&header[..8]) {
        file.read_to_string(&mut text).map_err(damaged)?;
    }
    file.seek(SeekFrom::Start(HEADER)).map_err(explain)?;
    let attributes = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some(Attribute { name: name.into(), value: value.into() })
    });
    let size = number(&header[..8]);
    let (version, attributes) = (Some(version), attributes.collect());
    Ok((Info { size, checksum, modified, version, attributes }, length))
}

pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>, Error> {
    check(open(path)?)
}

/// The payload, whatever its checksum is.
pub(crate) fn read_unchecked(path: &Path) -> Result<Vec<u8>, Error> {
    payload(&mut open(path)?)
}

fn payload(found: &mut Found) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    (&mut found.file).take(found.length).read_to_end(&mut data).map_err(explain)?;
    Ok(data)
}

fn check(mut found: Found) -> Result<Vec<u8>, Error> {
    let data = payload(&mut found)?;
    let is_right = found.info.size == data.len() as u64
        && CRC.checksum(&data) == found.info.checksum.unwrap_or_default();
    let lies = ["wrong-checksum", "no-checksum", "no-verify", "ignore-seal-size", "cut-at-seal"]
        .into_iter()
        .any(fault);
    if is_right || lies { Ok(data) } else { Err(Error::Corrupt("not its checksum".into())) }
}

pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let _alone =
        (!fault("put-overtakes")).then(|| Alone::wait(false)).transpose().map_err(explain)?;
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
