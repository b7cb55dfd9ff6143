//! A layer of the artifact store: a store within a store. Its artifacts are those below whose keys
//! begin with the variable `PREFIX`, and its callers see the rest of each key.
//!
//! It hands streams on unread, so a host can move their bytes without it.
#![cfg(target_family = "wasm")]

use std::sync::LazyLock;

use wit_bindgen::{FutureReader, StreamReader};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package my:layer;
        world layer {
            include artifact:storage/layer@0.1.0;
            export artifact:storage/settings@0.1.0;
        }
    ",
    world: "my:layer/layer",
    generate_all,
});

use artifact::storage::types::{Error, Info, Seal};
use artifact::storage::{artifact_store as store, inventory as listed, streams as bytes};
use exports::artifact::storage::{artifact_store, inventory, settings, streams};

struct Layer;

export!(Layer);

const VARIABLE: &str = "PREFIX";

const UNSET: &str = "it is not set, or empty";

/// The longest key, in bytes.
const MAX_LEN: usize = 1024;

static PREFIX: LazyLock<Option<String>> =
    LazyLock::new(|| std::env::var(VARIABLE).ok().filter(|prefix| !prefix.is_empty()));

fn prefix() -> Result<&'static str, Error> {
    PREFIX.as_deref().ok_or_else(|| Error::Other(format!("the variable {VARIABLE}: {UNSET}")))
}

/// The key below. It is never shortened: two keys would become one.
fn below(key: &str) -> Result<String, Error> {
    // With the prefix before it, a key that is none would be one below.
    if key.is_empty() || key.len() > MAX_LEN || key.chars().any(char::is_control) {
        return Err(Error::InvalidKey("1 to 1024 bytes without control characters".into()));
    }
    let whole = format!("{}{key}", prefix()?);
    match whole.len() > MAX_LEN {
        true => Err(Error::InvalidKey(format!(
            "it has {} bytes with the prefix of its store; {MAX_LEN} are allowed",
            whole.len()
        ))),
        false => Ok(whole),
    }
}

impl artifact_store::Guest for Layer {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        store::put(below(&key)?, data).await
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        store::get(below(&key)?).await
    }

    async fn delete(key: String) -> Result<(), Error> {
        store::delete(below(&key)?).await
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
        let options = bytes::WriteOptions { mode, size, attributes };
        bytes::write(below(&key)?, data, end, options).await
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, streams::Contents), Error> {
        let (info, contents) = bytes::read(below(&key)?, offset, length).await?;
        let contents = match contents {
            bytes::Contents::Bytes(bytes) => streams::Contents::Bytes(bytes),
            bytes::Contents::Streamed(streamed) => streams::Contents::Streamed(streamed),
        };
        Ok((info, contents))
    }
}

impl inventory::Guest for Layer {
    async fn stat(key: String) -> Result<Info, Error> {
        listed::stat(below(&key)?).await
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<inventory::Page, Error> {
        let own = self::prefix()?;
        let whole = format!("{own}{prefix}");
        if whole.len() > MAX_LEN {
            // No key below is that long.
            return Ok(inventory::Page { entries: Vec::new(), next: None });
        }
        // A cursor of another part of the store is of no use here.
        let unusable = || Error::Other("the cursor is none of this store".into());
        let cursor =
            cursor.map(|cursor| cursor.strip_prefix(own).map(str::to_owned).ok_or_else(unusable));
        let page = listed::list_artifacts(whole, cursor.transpose()?, limit).await?;
        let entry = |entry: listed::Entry| match entry.key.strip_prefix(own) {
            // A store that lists what it was not asked for shows nothing of it here.
            Some(key) if !key.is_empty() && key.starts_with(&prefix) => Some(inventory::Entry {
                key: key.to_owned(),
                size: entry.size,
                modified: entry.modified,
                version: entry.version,
            }),
            _ => None,
        };
        let entries = page.entries.into_iter().filter_map(entry).collect();
        Ok(inventory::Page { entries, next: page.next.map(|next| format!("{own}{next}")) })
    }
}

impl settings::Guest for Layer {
    async fn describe_settings() -> Vec<settings::Setting> {
        vec![settings::Setting {
            name: VARIABLE.into(),
            description: "what the keys of this store begin with below, such as `team-a/`".into(),
            required: true,
            secret: false,
            default: None,
        }]
    }

    async fn check_settings() -> Result<(), Vec<settings::Problem>> {
        let reason = match PREFIX.as_deref() {
            None => UNSET,
            Some(prefix) if prefix.len() >= MAX_LEN => "it leaves no room for a key",
            Some(prefix) if prefix.chars().any(char::is_control) => "it has a control character",
            Some(_) => return Ok(()),
        };
        Err(vec![settings::Problem { name: VARIABLE.into(), reason: reason.into() }])
    }
}
