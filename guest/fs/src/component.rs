//! The component's exports: the contract in terms of the other modules.

wit_bindgen::generate!({
    path: "../../wit",
    world: "full-backend",
});

use exports::artifact::storage::{artifact_store, inventory, streams};
use wit_bindgen::{FutureReader, StreamReader};

pub use artifact::storage::types::{Error, Info, Instant};
pub use inventory::{Entry, Page};
pub use streams::Mode;
use streams::{Seal, WriteOptions};

use crate::commit::{self, Temporary};
use crate::header::{self, Header, checksum};
use crate::name::{self, Place};
use crate::wasi::{self, Result};
use crate::{read, walk};

struct Component;

export!(Component);

fn place(key: &str) -> Result<Place> {
    name::check(key).map_err(|why| Error::InvalidKey(why.into()))?;
    Ok(name::place(key))
}

impl artifact_store::Guest for Component {
    async fn put(key: String, data: Vec<u8>) -> Result<()> {
        let place = place(&key)?;
        let header = Header { size: data.len() as u64, checksum: checksum(&data), key };
        let temporary = Temporary::create().await?;
        let written = temporary.write(data, header::len(&header.key) as u64).await;
        match written {
            Ok(()) => temporary.publish(&place, &header, Mode::Overwrite).await.map(|_| ()),
            Err(error) => {
                temporary.discard().await;
                Err(error)
            }
        }
    }

    async fn get(key: String) -> Result<Vec<u8>> {
        let place = place(&key)?;
        let found = read::open(&key, &place).await?.ok_or(Error::NotFound)?;
        let size =
            usize::try_from(found.header.size).map_err(|_| Error::TooLarge(u64::from(u32::MAX)))?;
        let offset = header::len(&key) as u64;
        let data = read::read_exactly(&found.file, offset, size, &place.file).await?;
        if data.len() != size || checksum(&data) != found.header.checksum {
            return Err(Error::Corrupt(format!("`{}` does not match its checksum", place.file)));
        }
        Ok(data)
    }

    async fn delete(key: String) -> Result<()> {
        let place = place(&key)?;
        commit::delete(&key, &place).await
    }
}

impl streams::Guest for Component {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<std::result::Result<Seal, String>>,
        options: WriteOptions,
    ) -> Result<Info> {
        let place = place(&key)?;
        if options.mode == Mode::Create && commit::exists(&place).await? {
            return Err(Error::AlreadyExists);
        }
        let temporary = Temporary::create().await?;
        match receive(&temporary, &key, data, end, &options).await {
            Ok(seal) => {
                let header = Header { key, size: seal.size, checksum: seal.checksum };
                temporary.publish(&place, &header, options.mode).await
            }
            Err(error) => {
                temporary.discard().await;
                Err(error)
            }
        }
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, StreamReader<u8>, FutureReader<Result<()>>)> {
        let place = place(&key)?;
        let found = read::open(&key, &place).await?.ok_or(Error::NotFound)?;
        if offset > found.header.size {
            return Err(Error::InvalidRange);
        }
        let (report, outcome) =
            wit_future::new(|| Err(Error::Other("the read was dropped".into())));
        if offset == found.header.size || length == Some(0) {
            let (_, nothing) = wit_stream::new();
            wit_bindgen::spawn_local(async move {
                let _ = report.write(Ok(())).await;
            });
            return Ok((found.info, nothing, outcome));
        }
        let start = header::len(&key) as u64 + offset;
        let (bytes, ended) = found.file.read_via_stream(start);
        wit_bindgen::spawn_local(async move {
            let ended = ended.await.map_err(|e| wasi::explain("read", &place.file, e));
            let _ = report.write(ended).await;
        });
        Ok((found.info, bytes, outcome))
    }
}

/// Stores the payload behind the place of the header, unread, and says what seals it.
async fn receive(
    temporary: &Temporary,
    key: &str,
    data: StreamReader<u8>,
    end: FutureReader<std::result::Result<Seal, String>>,
    options: &WriteOptions,
) -> Result<Seal> {
    let written = temporary.file.write_via_stream(data, header::len(key) as u64);
    written.await.map_err(|e| wasi::explain("write", key, e))?;
    // The end of a stream is none of an artifact: that is what the seal says.
    let seal = end.await.map_err(|why| Error::Other(format!("the write was given up: {why}")))?;
    let stored = temporary.payload(key).await?;
    if stored != seal.size || options.size.is_some_and(|size| size != seal.size) {
        let stated = options.size.map(|size| format!(", and {size} announced")).unwrap_or_default();
        let text = format!("{stored} bytes came, {} are sealed{stated}", seal.size);
        return Err(Error::Other(text));
    }
    Ok(seal)
}

impl inventory::Guest for Component {
    async fn stat(key: String) -> Result<Info> {
        let place = place(&key)?;
        let found = read::open(&key, &place).await?.ok_or(Error::NotFound)?;
        Ok(found.info)
    }

    async fn list_artifacts(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        walk::list(&prefix, cursor.as_deref(), limit).await
    }
}
