//! Stat and listings.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use crate::artifact::storage::types::{Error, Info, Instant};
use crate::exports::artifact::storage::inventory;
use crate::files::{HEADER, all, explain, open};
use crate::names::path;
use crate::paging::page;
use crate::{Wrong, fault};

impl inventory::Guest for Wrong {
    async fn stat(key: String) -> Result<Info, Error> {
        let path = path(&key)?;
        if fault("brief-cache") {
            return brief(&key, || Ok(open(&path)?.info));
        }
        match open(&path) {
            Ok(mut found) => {
                found.info.size += if fault("size-with-header") { HEADER } else { 0 };
                Ok(found.info)
            }
            Err(Error::NotFound) if fault("stat-of-absent-is-0") => Ok(Info {
                size: 0,
                checksum: None,
                modified: None,
                version: None,
                attributes: Vec::new(),
            }),
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
                    let size = match open(&path) {
                        _ if fault("listed-with-header") => metadata.len(),
                        Ok(found) => found.length,
                        Err(_) => continue,
                    };
                    if size > 0 || !fault("empty-is-not-listed") {
                        let info = open(&path).ok().map(|found| found.info);
                        let mut version = info.as_ref().and_then(|info| info.version.clone());
                        let mut modified = info.and_then(|info| info.modified);
                        if fault("listed-time-is-now") {
                            modified = modified.map(|it| Instant { seconds: it.seconds + 1, ..it });
                        }
                        if fault("listed-version-is-key") {
                            version = Some(key.clone());
                        }
                        entries.push(inventory::Entry { key, size, modified, version });
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(explain(error)),
            }
        }
        Ok(inventory::Page { entries, next })
    }
}

/// An answer of this instance that is young enough, or a new one.
fn brief(key: &str, look: impl FnOnce() -> Result<Info, Error>) -> Result<Info, Error> {
    const YOUNG: Duration = Duration::from_millis(50);
    thread_local! {
        static SEEN: RefCell<HashMap<String, (std::time::Instant, Info)>> = RefCell::default();
    }
    let seen = SEEN.with_borrow(|seen| seen.get(key).cloned());
    if let Some((_, info)) = seen.filter(|(when, _)| when.elapsed() < YOUNG) {
        return Ok(info);
    }
    let info = look()?;
    let entry = (std::time::Instant::now(), info.clone());
    SEEN.with_borrow_mut(|seen| seen.insert(key.into(), entry));
    Ok(info)
}
