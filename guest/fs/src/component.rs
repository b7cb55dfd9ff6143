//! The exports of the component: the contract in terms of the other modules.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use artifact_store_backend::checksum::checksum;
use artifact_store_backend::{Error, Info, Mode, Result, Seal, attributes, key, outcome, seal};
use futures_util::future::try_join;
use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::{
    Contents, Findings, OrderedPage, Page, SweepReport, WriteOptions, artifact_store, conditional,
    export, inventory, maintenance, ordered, settings, streams, wit_future,
};
use crate::commit::{self, Temporary};
use crate::delete;
use crate::name::{self, Place};
use crate::read;
use crate::settings::{described, problems};
use crate::walk::{self, Names};
use crate::wasi;

/// The largest artifact that `put` and `get` carry, in bytes; larger ones need streams.
const IN_MEMORY: u64 = 256 << 20;

/// The most bytes that `read` brings without a stream.
const AT_ONCE: usize = 64 << 10;

/// The most bytes that are written together with their header: to copy more takes longer than a
/// second write.
const TOGETHER: usize = 16 << 10;

struct Component;

export!(Component);

fn place(key: &str) -> Result<Place> {
    key::check(key)?;
    Ok(name::place(key))
}

impl artifact_store::Guest for Component {
    async fn put(key: String, data: Vec<u8>) -> Result<()> {
        let place = place(&key)?;
        if data.len() as u64 > IN_MEMORY {
            return Err(Error::TooLarge(IN_MEMORY));
        }
        let temporary = Temporary::create()?;
        let mut header = temporary.header(key, Vec::new());
        (header.size, header.checksum) = (data.len() as u64, checksum(&data));
        let written = temporary.file.write(header.encode(), data);
        let written = written.map(|()| header).map_err(Error::from);
        temporary.finish(&place, Mode::Overwrite, written)?;
        Ok(())
    }

    async fn get(key: String) -> Result<Vec<u8>> {
        let place = place(&key)?;
        let found = read::open_with(&key, &place, AT_ONCE)?;
        let mut found = found.ok_or(Error::NotFound)?;
        let size = usize::try_from(found.header.size).ok();
        let size = size.filter(|_| found.header.size <= IN_MEMORY);
        let data = found.bytes(0, size.ok_or(Error::TooLarge(IN_MEMORY))?)?;
        if checksum(&data) != found.header.checksum {
            return Err(Error::Corrupt(format!("`{place}` does not match its checksum")));
        }
        Ok(data)
    }

    async fn delete(key: String) -> Result<()> {
        let place = place(&key)?;
        delete::delete(&key, &place)
    }
}

impl conditional::Guest for Component {
    async fn delete_if(key: String, version: String) -> Result<()> {
        let place = place(&key)?;
        delete::delete_if(&key, &place, &version)
    }
}

/// All bytes of `data`, of which `size` were announced.
async fn take(mut data: StreamReader<u8>, size: usize) -> Result<Vec<u8>> {
    let (bytes, _) = wasi::fill(&mut data, Vec::with_capacity(size + 1)).await;
    if bytes.len() > size {
        return Err(Error::Other(format!("more than the announced {size} bytes arrived")));
    }
    Ok(bytes)
}

impl streams::Guest for Component {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<core::result::Result<Seal, String>>,
        options: WriteOptions,
    ) -> Result<Info> {
        let place = place(&key)?;
        let WriteOptions { mode, size, attributes } = options;
        attributes::check(attributes::pairs(&attributes))?;
        match &mode {
            Mode::Create if commit::exists(&key, &place)? => {
                return Err(Error::AlreadyExists);
            }
            Mode::Replace(version) => commit::expect(&key, &place, version)?,
            _ => {}
        }
        let temporary = Temporary::create()?;
        let file = &temporary.file;
        let write = async {
            let mut header = temporary.header(key, attributes);
            let few = size.and_then(|size| usize::try_from(size).ok());
            let few = few.filter(|size| *size <= TOGETHER);
            let payload = async {
                match few {
                    Some(size) => take(data, size).await,
                    // Unread, to where the header will end.
                    None => {
                        file.write_stream(header.start() as u64, data).await?;
                        Ok(Vec::new())
                    }
                }
            };
            // Both at the same time: the caller may wait for either to be taken.
            let (payload, seal) = try_join(payload, seal::wait(end, size)).await?;
            (header.size, header.checksum) = (seal.size, seal.checksum);
            let mut bytes = header.encode();
            bytes.extend(payload);
            file.write(bytes, Vec::new())?;
            Ok(header)
        };
        let written = write.await;
        temporary.finish(&place, mode, written)
    }

    async fn read(key: String, offset: u64, length: Option<u64>) -> Result<(Info, Contents)> {
        let place = place(&key)?;
        // For no bytes at all, the header is enough.
        let few = if length == Some(0) { 0 } else { AT_ONCE };
        let found = read::open_with(&key, &place, few)?;
        let mut found = found.ok_or(Error::NotFound)?;
        let left = found.header.size.checked_sub(offset).ok_or(Error::InvalidRange)?;
        let due = length.map_or(left, |length| length.min(left));
        let info = found.info.clone();
        if let Some(due) = usize::try_from(due).ok().filter(|due| *due <= AT_ONCE) {
            return Ok((info, Contents::Bytes(found.bytes(offset, due)?)));
        }
        let (report, outcome) = wit_future::new(outcome::dropped);
        let (stream, ended) = found.stream(offset);
        outcome::report(report, async move { found.end(ended).await });
        Ok((info, Contents::Streamed((stream, outcome))))
    }
}

impl inventory::Guest for Component {
    async fn stat(key: String) -> Result<Info> {
        let place = place(&key)?;
        let found = read::open(&key, &place)?.ok_or(Error::NotFound)?;
        Ok(found.info)
    }

    async fn list_artifacts(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        walk::list(&prefix, cursor.as_deref(), limit)
    }
}

impl ordered::Guest for Component {
    async fn list_ordered(
        prefix: String,
        start_after: Option<String>,
        delimiter: Option<String>,
        limit: u32,
    ) -> Result<OrderedPage> {
        walk::list_ordered(&Names { prefix, start_after, delimiter }, limit)
    }
}

impl maintenance::Guest for Component {
    async fn audit(cursor: Option<String>, limit: u32) -> Result<Findings> {
        walk::audit(cursor.as_deref(), limit)
    }

    async fn sweep(older_than_seconds: u64) -> Result<SweepReport> {
        walk::sweep(older_than_seconds)
    }
}

impl settings::Guest for Component {
    async fn describe_settings() -> Vec<settings::Setting> {
        described()
    }

    async fn check_settings() -> core::result::Result<(), Vec<settings::Problem>> {
        problems()
    }
}
