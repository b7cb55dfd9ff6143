//! The keys of access.

use anyhow::{Context, Result};
use artifact_store::{Configuration, ServeKey};
use artifact_store_server::{Key, Keys};

use crate::failure::Usage;

const KEY_ID: &str = "ARTIFACT_STORE_S3_KEY_ID";
const SECRET: &str = "ARTIFACT_STORE_S3_SECRET";

/// The keys that are accepted.
pub struct Accepted {
    pub keys: Keys,
    /// One that nobody knows yet.
    pub made: Option<Key>,
}

/// The keys of the configuration, if it has any.
pub fn configured(configuration: &Configuration) -> Result<Option<Keys>> {
    let mut keys = None;
    for key in configuration.serve_keys() {
        keys = Some(keys.unwrap_or_else(Keys::new).with(accepted(key)?));
    }
    Ok(keys)
}

fn accepted(key: &ServeKey) -> Result<Key> {
    let accepted = Key::new(key.id(), key.secret()?).access(key.access());
    Ok(match key.buckets() {
        Some(buckets) => accepted.buckets(buckets),
        None => accepted,
    })
}

/// The key of the environment, or else a new one.
pub fn own_key() -> Result<Accepted> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (key, is_new) = match (variable(KEY_ID), variable(SECRET)) {
        (Some(id), Some(secret)) => (Key::new(id, secret), false),
        (None, None) => (Key::generate().context("cannot make an access key")?, true),
        _ => {
            let text = format!("{KEY_ID} and {SECRET} have to be set both, or neither");
            return Err(Usage(text).into());
        }
    };
    Ok(Accepted { keys: Keys::new().with(key.clone()), made: is_new.then_some(key) })
}
