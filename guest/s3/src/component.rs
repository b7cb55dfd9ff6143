//! The component's exports: the contract in terms of the other modules.

use artifact_store_backend::{Info, Result, Seal, key};
use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::{
    Findings, Page, SweepReport, WriteOptions, artifact_store, export, inventory, maintenance,
    streams,
};
use crate::client::settings;
use crate::{download, list, upload};

struct Component;

export!(Component);

/// A setting that makes no sense comes first: the host asks for a key that none can have, in order
/// to hear of it before the first artifact.
fn check(key: &str) -> Result<()> {
    settings()?;
    Ok(key::check(key)?)
}

impl artifact_store::Guest for Component {
    async fn put(key: String, data: Vec<u8>) -> Result<()> {
        check(&key)?;
        upload::put(&key, &data).await
    }

    async fn get(key: String) -> Result<Vec<u8>> {
        check(&key)?;
        download::get(&key).await
    }

    async fn delete(key: String) -> Result<()> {
        check(&key)?;
        upload::delete(&key).await
    }
}

impl streams::Guest for Component {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<std::result::Result<Seal, String>>,
        options: WriteOptions,
    ) -> Result<Info> {
        check(&key)?;
        upload::write(&key, data, end, options).await
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, StreamReader<u8>, FutureReader<Result<()>>)> {
        check(&key)?;
        download::read(&key, offset, length).await
    }
}

impl inventory::Guest for Component {
    async fn stat(key: String) -> Result<Info> {
        check(&key)?;
        download::stat(&key).await
    }

    async fn list_artifacts(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        list::list(&prefix, cursor.as_deref(), limit).await
    }
}

impl maintenance::Guest for Component {
    async fn audit(cursor: Option<String>, limit: u32) -> Result<Findings> {
        crate::maintenance::audit(cursor.as_deref(), limit).await
    }

    async fn sweep(older_than_seconds: u64) -> Result<SweepReport> {
        crate::maintenance::sweep(older_than_seconds).await
    }
}
