//! A layer that hands on everything as it is.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../wit", world: "layer" });

use artifact::storage::types::{Error, Info, Seal};
use artifact::storage::{artifact_store as store, inventory as listed, streams as below};
use exports::artifact::storage::{artifact_store, inventory, streams};
use wit_bindgen::{FutureReader, StreamReader};

struct Layer;

export!(Layer);

impl artifact_store::Guest for Layer {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        store::put(key, data).await
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        store::get(key).await
    }

    async fn delete(key: String) -> Result<(), Error> {
        store::delete(key).await
    }
}

impl streams::Guest for Layer {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        options: streams::WriteOptions,
    ) -> Result<Info, Error> {
        let streams::WriteOptions { mode, size, attributes } = options;
        below::write(key, data, end, below::WriteOptions { mode, size, attributes }).await
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, streams::Contents), Error> {
        let (info, contents) = below::read(key, offset, length).await?;
        let contents = match contents {
            below::Contents::Bytes(bytes) => streams::Contents::Bytes(bytes),
            below::Contents::Streamed(streamed) => streams::Contents::Streamed(streamed),
        };
        Ok((info, contents))
    }
}

impl inventory::Guest for Layer {
    async fn stat(key: String) -> Result<Info, Error> {
        listed::stat(key).await
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<inventory::Page, Error> {
        let page = listed::list_artifacts(prefix, cursor, limit).await?;
        let entry = |entry: listed::Entry| inventory::Entry {
            key: entry.key,
            size: entry.size,
            modified: entry.modified,
            version: entry.version,
        };
        let entries = page.entries.into_iter().map(entry).collect();
        Ok(inventory::Page { entries, next: page.next })
    }
}
