//! A backend with put, get and delete on plain files, which is right as it stands, and leaves out
//! what the variable `CARELESS` names.
#![cfg(target_family = "wasm")]

use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::random::random::get_random_u64;
use wit_bindgen::StreamResult;

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Careless;

export!(Careless);

/// Where the artifacts lie, in the granted directory.
const DIRECTORY: &str = "artifacts";

fn leaves_out(what: &str) -> bool {
    std::env::var("CARELESS").is_ok_and(|found| found == what)
}

fn file_name(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn explain(code: ErrorCode) -> Error {
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

/// The outcome of what follows the publication is open.
fn open(code: ErrorCode) -> Error {
    Error::Unavailable(format!("the filesystem says {code:?}"))
}

fn root() -> Result<Descriptor, Error> {
    let granted = get_directories().into_iter().next();
    granted.map(|(root, _)| root).ok_or_else(|| Error::AccessDenied("no directory".into()))
}

async fn open_dir(root: &Descriptor) -> Result<Descriptor, ErrorCode> {
    let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    root.open_at(PathFlags::empty(), DIRECTORY.into(), OpenFlags::DIRECTORY, flags).await
}

async fn sync_dir(dir: &Descriptor) -> Result<(), ErrorCode> {
    match dir.sync().await {
        Err(ErrorCode::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The directory, made where it is absent, and durably so.
async fn make_dir() -> Result<Descriptor, Error> {
    let root = root()?;
    match root.create_directory_at(DIRECTORY.into()).await {
        Ok(()) | Err(ErrorCode::Exist) => {}
        Err(code) => return Err(explain(code)),
    }
    if !leaves_out("sync of the parent") {
        sync_dir(&root).await.map_err(explain)?;
    }
    open_dir(&root).await.map_err(explain)
}

async fn sync(file: &Descriptor) -> Result<(), ErrorCode> {
    match file.sync().await {
        Err(_) if leaves_out("care for a failed sync") => Ok(()),
        Err(_) if leaves_out("a new file after a failed sync") => file.sync().await,
        synced => synced,
    }
}

async fn write(file: &Descriptor, data: Vec<u8>) -> Result<(), ErrorCode> {
    let size = data.len() as u64;
    let (mut writer, reader) = wasip3::wit_stream::new();
    let written = file.write_via_stream(reader, 0);
    writer.write_all(data).await;
    drop(writer);
    written.await?;
    if file.stat().await?.size == size { Ok(()) } else { Err(ErrorCode::Io) }
}

async fn create(dir: &Descriptor, name: &str, how: OpenFlags) -> Result<Descriptor, Error> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let how = OpenFlags::CREATE | how;
    dir.open_at(PathFlags::empty(), name.into(), how, flags).await.map_err(explain)
}

async fn fill(
    dir: &Descriptor,
    file: &Descriptor,
    from: &str,
    to: &str,
    data: Vec<u8>,
) -> Result<(), Error> {
    write(file, data).await.map_err(explain)?;
    let early = !leaves_out("sync of the file") && !leaves_out("order");
    if early {
        sync(file).await.map_err(explain)?;
    }
    dir.rename_at(from.into(), dir, to.into()).await.map_err(explain)?;
    if leaves_out("order") {
        file.sync().await.map_err(open)?;
    }
    if !leaves_out("sync of the directory") {
        sync_dir(dir).await.map_err(open)?;
    }
    Ok(())
}

impl Guest for Careless {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        let dir = make_dir().await?;
        let name = file_name(&key);
        if leaves_out("a temporary file") {
            let file = create(&dir, &name, OpenFlags::TRUNCATE).await?;
            write(&file, data).await.map_err(explain)?;
            file.sync().await.map_err(explain)?;
            return sync_dir(&dir).await.map_err(explain);
        }
        let temporary = format!("{:x}.temporary", get_random_u64());
        let file = create(&dir, &temporary, OpenFlags::EXCLUSIVE).await?;
        let filled = fill(&dir, &file, &temporary, &name, data).await;
        if filled.is_err() && !leaves_out("removal of a temporary file") {
            let _ = dir.unlink_file_at(temporary).await;
        }
        filled
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let dir = open_dir(&root()?).await.map_err(explain)?;
        let name = file_name(&key);
        let flags = DescriptorFlags::READ;
        let opened = dir.open_at(PathFlags::empty(), name, OpenFlags::empty(), flags).await;
        let file = opened.map_err(explain)?;
        let (mut stream, ended) = file.read_via_stream(0);
        let mut data = Vec::new();
        loop {
            let (how, chunk) = stream.read(Vec::with_capacity(1 << 16)).await;
            data.extend(chunk);
            if let StreamResult::Dropped | StreamResult::Cancelled = how {
                break;
            }
        }
        ended.await.map_err(explain)?;
        match file.stat().await.map_err(explain)?.size == data.len() as u64 {
            true => Ok(data),
            false => Err(Error::Corrupt(format!("{} bytes could be read", data.len()))),
        }
    }

    async fn delete(key: String) -> Result<(), Error> {
        let dir = match open_dir(&root()?).await {
            Err(ErrorCode::NoEntry) => return Ok(()),
            opened => opened.map_err(explain)?,
        };
        match dir.unlink_file_at(file_name(&key)).await {
            Ok(()) | Err(ErrorCode::NoEntry) => {}
            Err(code) => return Err(explain(code)),
        }
        match leaves_out("sync after a deletion") {
            true => Ok(()),
            false => sync_dir(&dir).await.map_err(open),
        }
    }
}
