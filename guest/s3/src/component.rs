//! The exports of the component: the contract in terms of the other modules.

use artifact_store_backend::{Info, Mode, Result, Seal, key};
use wit_bindgen::{FutureReader, StreamReader};

use crate::bindings::{
    Contents, Findings, Page, SweepReport, WriteOptions, artifact_store, copying, export,
    inventory, maintenance, settings, streams,
};
use crate::client::checked_settings;
use crate::settings::DESCRIBED;
use crate::{copy, download, list, upload};

struct Component;

export!(Component);

impl artifact_store::Guest for Component {
    async fn put(key: String, data: Vec<u8>) -> Result<()> {
        key::check(&key)?;
        upload::put(&key, &data).await
    }

    async fn get(key: String) -> Result<Vec<u8>> {
        key::check(&key)?;
        download::get(&key).await
    }

    async fn delete(key: String) -> Result<()> {
        key::check(&key)?;
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
        key::check(&key)?;
        upload::write(&key, data, end, options).await
    }

    async fn read(key: String, offset: u64, length: Option<u64>) -> Result<(Info, Contents)> {
        key::check(&key)?;
        download::read(&key, offset, length).await
    }
}

impl inventory::Guest for Component {
    async fn stat(key: String) -> Result<Info> {
        key::check(&key)?;
        download::stat(&key).await
    }

    async fn list_artifacts(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        list::list(&prefix, cursor.as_deref(), limit).await
    }
}

impl copying::Guest for Component {
    async fn copy_artifact(source: String, target: String, mode: Mode) -> Result<Info> {
        key::check(&source)?;
        key::check(&target)?;
        copy::copy(&source, &target, mode).await
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

impl settings::Guest for Component {
    async fn describe_settings() -> Vec<settings::Setting> {
        let described = DESCRIBED.iter().enumerate();
        let setting = described.map(|(n, it)| settings::Setting {
            name: it.name.into(),
            description: it.description.into(),
            required: n == 0,
            secret: it.is_secret,
            default: it.value.map(Into::into),
        });
        setting.collect()
    }

    async fn check_settings() -> std::result::Result<(), Vec<settings::Problem>> {
        let problem = |problem: &crate::settings::Problem| settings::Problem {
            name: problem.name.into(),
            reason: problem.reason.clone(),
        };
        let checked = checked_settings().map(drop);
        checked.map_err(|problems| problems.iter().map(problem).collect())
    }
}
