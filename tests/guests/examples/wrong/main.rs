//! A right backend with one fault, which the variable `FAULT` names; without one it keeps every
//! rule that calls can show (it syncs no directory, which only a crash does). It is here to show
//! that the checks of the contract notice each of them.
#![cfg(target_family = "wasm")]

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:wrong;
        world wrong {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/maintenance@0.1.0;
        }
    ",
    world: "artifact:wrong/wrong",
    generate_all,
});

use artifact::storage::types::{Error, Info, Instant, Seal};
use exports::artifact::storage::{artifact_store, inventory, maintenance, streams};
use maintenance::{Finding, FindingKind, Findings, SweepReport};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

struct Wrong;

export!(Wrong);

fn fault(name: &str) -> bool {
    static FAULT: LazyLock<String> = LazyLock::new(|| std::env::var("FAULT").unwrap_or_default());
    FAULT.as_str() == name
}

thread_local! {
    /// What a backend must not have.
    static STATE: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
}

const TEMPORARIES: &str = "/tmp";
const ARTIFACTS: &str = "/artifacts";
/// Size and checksum, before the payload.
const HEADER: u64 = 16;

static CRC: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_NVME);

fn explain(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::AlreadyExists => Error::AlreadyExists,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NoSpace(error.to_string()),
        _ => Error::Other(error.to_string()),
    }
}

fn check(key: &str) -> Result<(), Error> {
    let is_wrong = key.is_empty() || key.len() > 1024 || key.chars().any(char::is_control);
    if is_wrong && !fault("no-key-check") || fault("short-keys") && key.len() > 255 {
        return Err(Error::InvalidKey("1 to 1024 bytes without control characters".into()));
    }
    Ok(())
}

/// The key's bytes in hexadecimal digits, cut into folders.
fn path(key: &str) -> Result<PathBuf, Error> {
    check(key)?;
    let mut key = key.to_owned();
    if fault("fold-case") {
        key = key.to_lowercase();
    }
    if fault("collapse-slashes") {
        key = key.replace("//", "/");
    }
    if fault("decode-percent") {
        key = key.replace("%2F", "/").replace("%20", " ").replace("%25", "%");
    }
    if fault("trim-spaces") {
        key = key.trim().to_owned();
    }
    if fault("cut-keys") {
        key.truncate(key.floor_char_boundary(255));
    }
    if fault("normalise") {
        key = key.replace("e\u{301}", "\u{e9}");
    }
    let mut path = PathBuf::from(ARTIFACTS);
    for part in key.as_bytes().chunks(100) {
        path.push(part.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    if key.is_empty() {
        path.push("empty");
    }
    path.set_extension("data");
    Ok(path)
}

fn key_of(path: &Path) -> Option<String> {
    let digits = path.with_extension("").strip_prefix(ARTIFACTS).ok()?.to_str()?.replace('/', "");
    let bytes =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    let key = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
    Some(if fault("plus-for-space") { key.replace(' ', "+") } else { key })
}

/// A file that is removed unless it is published.
struct Temporary(File, PathBuf);

impl Temporary {
    fn new() -> Result<Self, Error> {
        fs::create_dir_all(TEMPORARIES).map_err(explain)?;
        let random = RandomState::new().build_hasher().finish();
        let path = Path::new(TEMPORARIES).join(format!("{random:x}"));
        let mut file = File::create_new(&path).map_err(explain)?;
        file.write_all(&[0; HEADER as usize]).map_err(explain)?;
        Ok(Self(file, path))
    }

    fn publish(
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

struct Found {
    file: File,
    info: Info,
    length: u64,
}

fn open(path: &Path) -> Result<Found, Error> {
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
    let info = Info { size: number(&header[..8]), checksum: Some(checksum), modified };
    Ok(Found { file, info, length: metadata.len() - HEADER })
}

fn read_all(path: &Path) -> Result<Vec<u8>, Error> {
    let mut found = open(path)?;
    let mut data = Vec::new();
    found.file.read_to_end(&mut data).map_err(explain)?;
    let is_right = found.info.size == data.len() as u64
        && CRC.checksum(&data) == found.info.checksum.unwrap_or_default();
    let lies =
        ["wrong-checksum", "no-verify", "ignore-seal-size", "cut-at-seal"].into_iter().any(fault);
    if is_right || lies { Ok(data) } else { Err(Error::Corrupt("not its checksum".into())) }
}

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
            return artifact_store_delete(&path);
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
        if fault("in-place") {
            let write = || {
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                let mut file = File::create(&path)?;
                file.write_all(&(data.len() as u64).to_le_bytes())?;
                file.write_all(&CRC.checksum(&data).to_le_bytes())?;
                data.chunks(1024).try_for_each(|chunk| file.write_all(chunk))
            };
            return write().map_err(explain);
        }
        let mut temporary = Temporary::new()?;
        temporary.0.write_all(&data).map_err(explain)?;
        temporary.publish(&path, data.len() as u64, CRC.checksum(&data), false)
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
                artifact_store_delete(&path)?;
            }
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
        artifact_store_delete(&path)
    }
}

fn artifact_store_delete(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(explain(error)),
        _ => Ok(()),
    }
}

impl streams::Guest for Wrong {
    async fn write(
        key: String,
        mut data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        options: streams::WriteOptions,
    ) -> Result<Info, Error> {
        let path = path(&key)?;
        let create = options.mode == streams::Mode::Create;
        if create && path.exists() && !fault("create-replaces") {
            return Err(match fault("create-says-other") {
                true => Error::Other("it exists".into()),
                false => Error::AlreadyExists,
            });
        }
        let mut temporary = Temporary::new()?;
        let (mut digest, mut size) = (CRC.digest(), 0);
        let early_end = fault("end-first-only").then_some(());
        let mut buffer = Vec::with_capacity(64 << 10);
        loop {
            let (result, bytes) = data.read(buffer).await;
            digest.update(&bytes);
            size += bytes.len() as u64;
            temporary.0.write_all(&bytes).map_err(explain)?;
            if fault("visible-early") {
                temporary.0.flush().map_err(explain)?;
                fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(explain)?;
                fs::copy(&temporary.1, &path).map_err(explain)?;
            }
            buffer = bytes;
            buffer.clear();
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        let own = digest.finalize();
        let sealed = match end.await {
            Ok(seal) => seal,
            Err(_) if fault("drop-commits") => Seal { size, checksum: own },
            Err(_) if fault("silent-reason") => return Err(Error::Other("no seal".into())),
            Err(_) if fault("aborted-is-unavailable") => {
                return Err(Error::Unavailable("no seal".into()));
            }
            Err(why) => {
                if fault("failure-removes") {
                    artifact_store_delete(&path)?;
                }
                return Err(Error::Other(why));
            }
        };
        if early_end.is_some() && size == 0 {
            return Err(Error::Other("no bytes".into()));
        }
        let announced = options.size.is_none_or(|announced| announced == sealed.size);
        if !announced && !fault("ignore-announced") {
            return Err(Error::Other("another size was announced".into()));
        }
        let fits = match sealed.size {
            sealed if size > sealed => fault("cut-at-seal"),
            sealed if size < sealed => fault("ignore-seal-size"),
            _ => true,
        };
        if !fits {
            return Err(Error::Other(format!("{size} bytes came, {} were sealed", sealed.size)));
        }
        if own != sealed.checksum && size == sealed.size && !fault("own-checksum") {
            return Err(Error::Other("the checksum is not the seal's".into()));
        }
        let size = size.min(sealed.size);
        if fault("cut-at-seal") {
            temporary.0.set_len(HEADER + size).map_err(explain)?;
        }
        let is_swept = !temporary.1.exists();
        if is_swept && fault("swept-is-ok") {
            artifact_store_delete(&path)?;
            return Ok(Info { size, checksum: None, modified: None });
        }
        temporary.publish(&path, size, own, create)?;
        let mut info = open(&path)
            .or_else(|error| match error {
                // Replaced or deleted since.
                Error::NotFound => open(&path),
                error => Err(error),
            })
            .map(|found| found.info)
            .unwrap_or(Info { size, checksum: Some(own), modified: None });
        if !fault("wrong-checksum") {
            (info.size, info.checksum) = (size, Some(own));
        }
        if fault("wrong-info") {
            info.size += HEADER;
        }
        Ok(info)
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, StreamReader<u8>, FutureReader<Result<(), Error>>), Error> {
        let path = path(&key)?;
        let (mut writer, stream) = wit_stream::new();
        let (report, outcome) =
            wit_future::new(|| Err(Error::Other("the read was dropped".into())));
        let found = match open(&path) {
            Err(Error::NotFound) if fault("read-of-absent-is-empty") => {
                drop(writer);
                wit_bindgen::spawn_local(async move {
                    let _ = report.write(Ok(())).await;
                });
                return Ok((Info { size: 0, checksum: None, modified: None }, stream, outcome));
            }
            found => found?,
        };
        let Found { mut file, mut info, length: size } = found;
        if offset > size && !fault("beyond-is-empty") || offset == size && fault("end-is-invalid") {
            return Err(Error::InvalidRange);
        }
        if length == Some(0) && fault("no-length-0") {
            return Err(Error::InvalidRange);
        }
        let end = match length {
            Some(length) if fault("length-overflows") => offset.wrapping_add(length).min(size),
            Some(length) if fault("length-is-end") => length.min(size),
            Some(length) => offset.saturating_add(length).min(size),
            None => size,
        };
        let mut due = end.saturating_sub(offset);
        if fault("range-off-by-one") && length.is_some() && offset > 0 {
            due = due.saturating_sub(1);
        }
        let from = offset + u64::from(fault("offset-off-by-one") && offset > 0);
        if fault("info-of-the-part") {
            info.size = due;
        }
        file.seek(SeekFrom::Start(HEADER + from)).map_err(explain)?;
        wit_bindgen::spawn_local(async move {
            let mut at = from;
            while due > 0 {
                if fault("reopens") {
                    let Ok(mut again) = File::open(&path) else { break };
                    let _ = again.seek(SeekFrom::Start(HEADER + at));
                    file = again;
                }
                let mut chunk = vec![0; due.min(64 << 10) as usize];
                let Ok(read) = file.read(&mut chunk) else { break };
                if read == 0 {
                    break;
                }
                chunk.truncate(read);
                at += read as u64;
                due -= read as u64;
                if !writer.write_all(chunk).await.is_empty() {
                    break;
                }
            }
            if fault("stream-too-long") {
                writer.write_all(vec![b'!']).await;
            }
            drop(writer);
            let end = match fault("reads-end-badly") {
                true => Err(Error::Other("the end of the file".into())),
                false => Ok(()),
            };
            let _ = report.write(end).await;
        });
        Ok((info, stream, outcome))
    }
}

/// What is in a directory; nothing where there is none.
fn paths(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
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
fn all() -> Result<BTreeMap<String, PathBuf>, Error> {
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

/// Some items, and the cursor for those that follow.
type Cut<T> = (Vec<(String, T)>, Option<String>);

/// Cuts a page out of items in the order of their names, behind the one that the cursor names.
fn page<T>(items: Vec<(String, T)>, cursor: Option<&str>, limit: u32) -> Result<Cut<T>, Error> {
    let after = match cursor {
        None => None,
        Some(_) if fault("cursor-in-memory") && STATE.with_borrow(|state| state.is_empty()) => {
            return Err(Error::Other("this cursor is not known".into()));
        }
        Some(cursor) => match cursor.strip_prefix("after:") {
            Some(name) => Some(name.to_owned()),
            None if fault("any-cursor") => None,
            None if fault("cursor-says-not-found") => return Err(Error::NotFound),
            None => return Err(Error::Other("this is no cursor".into())),
        },
    };
    STATE.with_borrow_mut(|state| state.insert(String::new(), Vec::new()));
    if fault("limit-is-memory") {
        std::hint::black_box(vec![1_u8; limit as usize]);
    }
    let mut rest = items;
    if let Some(after) = &after {
        match after.parse::<usize>() {
            Ok(at) if fault("cursor-is-a-number") => drop(rest.drain(..at.min(rest.len()))),
            _ => rest.retain(|(name, _)| name > after || fault("page-overlaps") && name == after),
        }
    }
    let most = match limit {
        0 => 1000,
        _ if fault("ignore-limit") => 1000,
        _ => limit as usize,
    };
    if rest.len() <= most {
        return Ok((rest, None));
    }
    rest.truncate(most);
    let next = match rest.last() {
        _ if fault("one-page-only") => None,
        _ if fault("cursor-loops") => Some("after:".to_owned()),
        Some(_) if fault("cursor-is-a-number") => {
            let before: usize = after.and_then(|after| after.parse().ok()).unwrap_or_default();
            Some(format!("after:{}", before + most))
        }
        Some((name, _)) => Some(format!("after:{name}")),
        None => None,
    };
    if fault("page-loses-its-last") {
        rest.pop();
    }
    Ok((rest, next))
}

impl inventory::Guest for Wrong {
    async fn stat(key: String) -> Result<Info, Error> {
        let path = path(&key)?;
        match open(&path) {
            Ok(mut found) => {
                found.info.size += if fault("size-with-header") { HEADER } else { 0 };
                Ok(found.info)
            }
            Err(Error::NotFound) if fault("stat-of-absent-is-0") => {
                Ok(Info { size: 0, checksum: None, modified: None })
            }
            Err(error) => Err(error),
        }
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<inventory::Page, Error> {
        let is_meant = |key: &String| match fault("prefix-is-a-path") {
            true => {
                prefix.is_empty()
                    || *key == prefix
                    || key.starts_with(&format!("{}/", prefix.trim_end_matches('/')))
            }
            false => key.starts_with(&prefix),
        };
        let found = all()?.into_iter().filter(|(key, _)| is_meant(key));
        let mut found: Vec<_> = found.collect();
        if fault("lists-twice")
            && let Some(first) = found.first().cloned()
        {
            found.insert(0, first);
        }
        let (found, next) = page(found, cursor.as_deref(), limit)?;
        let mut entries = Vec::new();
        for (key, path) in found {
            match fs::metadata(&path) {
                Ok(metadata) => {
                    let header = if fault("listed-with-header") { 0 } else { HEADER };
                    let size = metadata.len().saturating_sub(header);
                    if size > 0 || !fault("empty-is-not-listed") {
                        entries.push(inventory::Entry { key, size });
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(explain(error)),
            }
        }
        Ok(inventory::Page { entries, next })
    }
}

fn finding(kind: FindingKind, path: &Path, detail: &str) -> (String, Finding) {
    let name = path.display().to_string();
    let size = fs::metadata(path).ok().map(|metadata| metadata.len());
    (name.clone(), Finding { kind, name, size, modified: None, detail: detail.into() })
}

impl maintenance::Guest for Wrong {
    async fn audit(cursor: Option<String>, limit: u32) -> Result<Findings, Error> {
        let mut found = Vec::new();
        for path in paths("/")? {
            if ![TEMPORARIES, ARTIFACTS].map(Path::new).contains(&path.as_path()) {
                found.push(finding(FindingKind::Foreign, &path, "not of this store"));
            }
        }
        if fault("audit-overlooks") {
            found.pop();
        }
        for path in paths(TEMPORARIES)? {
            found.push(finding(FindingKind::Temporary, &path, "an unfinished write"));
            if fault("audit-removes") {
                let _ = fs::remove_file(&path);
            }
        }
        for (_, path) in all()? {
            if fault("audit-trusts") {
                break;
            }
            let is_sound = open(&path).is_ok_and(|found| found.info.size == found.length);
            if !is_sound || fault("audit-doubts") {
                found.push(finding(FindingKind::Damaged, &path, "not its size"));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let limit = if fault("audit-ignores-limit") { 0 } else { limit };
        let (found, next) = page(found, cursor.as_deref(), limit)?;
        Ok(Findings { items: found.into_iter().map(|(_, finding)| finding).collect(), next })
    }

    async fn sweep(older_than_seconds: u64) -> Result<SweepReport, Error> {
        let mut report = SweepReport { removed: 0, bytes: 0, kept: 0 };
        let mut swept = paths(TEMPORARIES)?;
        if fault("sweep-takes-all") {
            let of_store = [TEMPORARIES, ARTIFACTS].map(PathBuf::from);
            swept.extend(paths("/")?.into_iter().filter(|path| !of_store.contains(path)));
        }
        if fault("sweep-of-nothing-fails") && swept.is_empty() {
            return Err(Error::NotFound);
        }
        for path in swept {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let age = metadata
                .modified()
                .ok()
                .map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
            if age.is_none_or(|age| age.as_secs() < older_than_seconds)
                && !fault("sweep-ignores-age")
            {
                report.kept += 1;
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => {
                    report.removed += 1 + u64::from(fault("sweep-counts-twice"));
                    report.bytes += metadata.len();
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(explain(error)),
            }
        }
        Ok(report)
    }
}
