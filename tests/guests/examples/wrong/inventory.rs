//! Stat and listings.

use std::fs;
use std::io::ErrorKind;

use crate::artifact::storage::types::{Error, Info};
use crate::exports::artifact::storage::inventory;
use crate::files::{HEADER, all, explain, open};
use crate::names::path;
use crate::paging::page;
use crate::{Wrong, fault};

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
        if fault("lists-one-page") && cursor.is_some() {
            return Err(Error::Unavailable("as asked".into()));
        }
        let limit = if fault("lists-one-page") { 1 } else { limit };
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
