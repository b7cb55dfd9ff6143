//! A backend of the artifact store: put, get and delete on plain files, one for each key, named by
//! the key's bytes in hexadecimal digits and cut into folders.
//!
//! It calls `wasi:filesystem` itself: Rust's standard library cannot sync a directory here, and a
//! rename is durable only after that.
#![cfg(target_family = "wasm")]

use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::random::random::get_random_u64;
use wit_bindgen::StreamResult;

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Backend;

export!(Backend);

/// How many bytes of a key are in one name: each takes two digits.
const PART: usize = 100;

/// Where the artifact of a key lies below the granted directory.
struct Place {
    /// The folders on the way, the outermost first. Most keys need none.
    folders: Vec<String>,
    /// No folder has a name that ends so: `.data`.
    file: String,
}

impl Place {
    fn of(key: &str) -> Result<Self, Error> {
        if key.is_empty() || key.len() > 1024 || key.chars().any(char::is_control) {
            return Err(Error::InvalidKey("1 to 1024 bytes without control characters".into()));
        }
        let (mut folders, mut path) = (Vec::new(), String::new());
        for part in key.as_bytes().chunks(PART) {
            if !path.is_empty() {
                folders.push(path.clone());
                path.push('/');
            }
            path.extend(part.iter().map(|byte| format!("{byte:02x}")));
        }
        Ok(Self { folders, file: format!("{path}.data") })
    }
}

/// The directory that was granted.
fn root() -> Result<Descriptor, Error> {
    let granted = get_directories().into_iter().next();
    let missing = || Error::AccessDenied("no directory is granted".into());
    granted.map(|(root, _)| root).ok_or_else(missing)
}

/// The error of a call that changed nothing.
fn failed(code: ErrorCode) -> Error {
    let text = format!("the filesystem says {code:?}");
    match code {
        ErrorCode::NoEntry => Error::NotFound,
        ErrorCode::InsufficientSpace | ErrorCode::Quota => Error::NoSpace(text),
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly => {
            Error::AccessDenied(text)
        }
        _ => Error::Other(text),
    }
}

/// The error after a change became visible: whether it is durable is not known.
fn unknown(code: ErrorCode) -> Error {
    Error::Unavailable(format!("the filesystem says {code:?}"))
}

async fn open(
    root: &Descriptor,
    path: &str,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    root.open_at(PathFlags::empty(), path.into(), how, flags).await
}

/// Makes the names on the way to an artifact durable, the innermost folder first.
async fn sync_folders(root: &Descriptor, folders: &[String]) -> Result<(), ErrorCode> {
    for folder in folders.iter().rev() {
        match open(root, folder, OpenFlags::DIRECTORY, DescriptorFlags::READ).await {
            Ok(folder) => sync_folder(&folder).await?,
            // Nothing was ever stored in it.
            Err(ErrorCode::NoEntry) => {}
            Err(code) => return Err(code),
        }
    }
    sync_folder(root).await
}

/// Some systems cannot sync a directory, and keep its entries in order by themselves.
async fn sync_folder(folder: &Descriptor) -> Result<(), ErrorCode> {
    match folder.sync().await {
        Err(ErrorCode::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Fills a new file with all of `data`, and syncs it.
async fn fill(file: &Descriptor, data: Vec<u8>) -> Result<(), ErrorCode> {
    let size = data.len() as u64;
    let (mut writer, reader) = wasip3::wit_stream::new();
    let written = file.write_via_stream(reader, 0);
    writer.write_all(data).await;
    drop(writer);
    written.await?;
    if file.stat().await?.size != size {
        return Err(ErrorCode::Io);
    }
    file.sync().await
}

/// All bytes of a file.
async fn contents(file: &Descriptor) -> Result<Vec<u8>, ErrorCode> {
    let (mut stream, ended) = file.read_via_stream(0);
    let mut data = Vec::new();
    loop {
        let (how, chunk) = stream.read(Vec::with_capacity(64 << 10)).await;
        data.extend(chunk);
        if let StreamResult::Dropped | StreamResult::Cancelled = how {
            break;
        }
    }
    ended.await?;
    Ok(data)
}

impl Guest for Backend {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        let Place { folders, file: name } = Place::of(&key)?;
        let root = root()?;
        for folder in &folders {
            match root.create_directory_at(folder.clone()).await {
                Ok(()) | Err(ErrorCode::Exist) => {}
                Err(code) => return Err(failed(code)),
            }
        }
        // Other instances may be storing the same key right now.
        let temporary = format!("{name}.{:016x}", get_random_u64());
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let file = open(&root, &temporary, how, flags).await.map_err(failed)?;
        let stored = match fill(&file, data).await {
            Ok(()) => root.rename_at(temporary.clone(), &root, name).await,
            failed => failed,
        };
        if let Err(code) = stored {
            // If this fails, too, it stays as litter, which nobody sees.
            let _ = root.unlink_file_at(temporary).await;
            return Err(failed(code));
        }
        sync_folders(&root, &folders).await.map_err(unknown)
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let place = Place::of(&key)?;
        let root = root()?;
        let flags = DescriptorFlags::READ;
        let file = open(&root, &place.file, OpenFlags::empty(), flags).await.map_err(failed)?;
        let data = contents(&file).await.map_err(failed)?;
        match file.stat().await.map_err(failed)?.size == data.len() as u64 {
            true => Ok(data),
            false => Err(Error::Corrupt(format!("only {} bytes can be read", data.len()))),
        }
    }

    async fn delete(key: String) -> Result<(), Error> {
        let place = Place::of(&key)?;
        let root = root()?;
        match root.unlink_file_at(place.file).await {
            // Another delete may have been faster, and not be durable yet.
            Ok(()) | Err(ErrorCode::NoEntry) => {}
            Err(code) => return Err(failed(code)),
        }
        sync_folders(&root, &place.folders).await.map_err(unknown)
    }
}
