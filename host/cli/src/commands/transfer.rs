//! From one store to another: comparing and copying an artifact.

use std::cell::RefCell;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Entry, ErrorKind, Info, Interface, ReadOptions, WriteOptions};
use bytes::Bytes;

use crate::failure;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::shown;
use crate::store::{Made, Opened, Purpose, StoreArguments};

/// A store, and what the user calls it.
pub struct Named {
    pub name: String,
    pub store: ArtifactStore,
}

impl Named {
    /// Opens the store of this name; the second value is what goes with it.
    pub async fn open(
        arguments: &StoreArguments,
        name: String,
        purpose: Purpose,
    ) -> Result<(Self, Made)> {
        let opened = arguments.of(&name)?.open_for(purpose).await;
        let Opened { store, made } = opened.with_context(|| in_store(&name))?;
        Ok((Self { name, store }, made))
    }

    /// Says in an error which store it is about.
    pub fn blame<T>(&self, outcome: artifact_store::Result<T>) -> Result<T> {
        outcome.with_context(|| in_store(&self.name))
    }
}

pub fn in_store(name: &str) -> String {
    format!("store `{}`", shown::name(name))
}

/// All that a store has with a prefix.
pub async fn list_all(store: &Named, prefix: &str) -> Result<Vec<Entry>> {
    let (mut listing, mut entries) = (store.store.list(prefix), Vec::new());
    while let Some(entry) = store.blame(listing.next().await)? {
        entries.push(entry);
    }
    Ok(entries)
}

/// The source has something else under the key than what is wanted.
#[derive(Debug, thiserror::Error)]
#[error("the other store has another version of the artifact")]
pub struct AnotherVersion;

/// A checksum that is not known is that of any artifact.
fn compare(wanted: &Info, size: u64, checksum: Option<u64>) -> Result<(), AnotherVersion> {
    let differs = wanted.checksum.zip(checksum).is_some_and(|(wanted, given)| wanted != given);
    if wanted.size != size || differs { Err(AnotherVersion) } else { Ok(()) }
}

pub fn is_absent(error: &anyhow::Error) -> bool {
    let error: Option<&artifact_store::Error> = failure::find(error);
    error.is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound))
}

/// Whether two artifacts have the same size, attributes and checksum. None where a backend cannot
/// say.
pub async fn is_alike(from: &Named, to: &Named, key: &str, size: u64) -> Result<Option<bool>> {
    if !to.store.offers(Interface::Inventory) {
        return Ok(None);
    }
    let there = match to.store.stat(key).await {
        Ok(there) => there,
        Err(error) => {
            return match error.kind() {
                // What is damaged there is not the same: a copy repairs it.
                ErrorKind::NotFound | ErrorKind::Corrupt(_) => Ok(Some(false)),
                _ => to.blame(Err(error)),
            };
        }
    };
    if there.size != size {
        return Ok(Some(false));
    }
    let here = from.blame(from.store.stat(key).await)?;
    if there.attributes != here.attributes {
        return Ok(Some(false));
    }
    Ok(there.checksum.zip(here.checksum).map(|(there, here)| there == here))
}

/// Compares the bytes and the attributes. What cannot be right in the other store is not the same.
pub async fn is_same(from: &Named, to: &Named, key: &str) -> Result<bool> {
    let differs = |error: artifact_store::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Corrupt(_) | ErrorKind::Protocol(_) => Ok(false),
        _ => to.blame(Err(error)),
    };
    let mut there = match to.store.read(key, ReadOptions::default()).await {
        Ok(reader) => reader,
        Err(error) => return differs(error),
    };
    let mut here = from.blame(from.store.read(key, ReadOptions::default()).await)?;
    let infos = [here.info(), there.info()];
    let [ours, theirs] = infos.map(|info| (info.size, &info.attributes));
    if ours != theirs {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (Bytes::new(), Bytes::new());
    loop {
        if ours.is_empty() {
            ours = from.blame(here.next_chunk().await)?.unwrap_or_default();
        }
        if theirs.is_empty() {
            theirs = match there.next_chunk().await {
                Ok(next) => next.unwrap_or_default(),
                Err(error) => return differs(error),
            };
        }
        let both = ours.len().min(theirs.len());
        if both == 0 {
            return Ok(ours.is_empty() && theirs.is_empty());
        }
        if ours.split_to(both) != theirs.split_to(both) {
            return Ok(false);
        }
    }
}

/// Copies an artifact with its attributes; its size. Both ends compare the bytes with a checksum, as in every whole
/// read and every write. After an interrupt nothing of it is left.
///
/// # Errors
///
/// [`AnotherVersion`] where one is `wanted`; nothing has changed then.
pub async fn transfer(
    from: &Named,
    to: &Named,
    key: &str,
    wanted: Option<&Info>,
    interrupt: &Interrupt,
    progress: &RefCell<Progress>,
) -> Result<u64> {
    let opened = interrupt.or(async {
        let reader = from.blame(from.store.read(key, ReadOptions::default()).await)?;
        let Info { size, checksum, .. } = *reader.info();
        wanted.map_or(Ok(()), |wanted| compare(wanted, size, checksum))?;
        let attributes = reader.info().attributes.clone();
        let options = WriteOptions::default().size(size).attributes(attributes);
        let writer = to.store.writer(key, options);
        Ok((reader, to.blame(writer)?))
    });
    let (mut reader, mut writer) = opened.await?;
    let sending = async {
        while let Some(chunk) = from.blame(reader.next_chunk().await)? {
            let size = chunk.len() as u64;
            let sent = writer.write_chunk(chunk).await;
            sent.with_context(|| in_store(&to.name))?;
            progress.borrow_mut().add(size);
        }
        // A source that keeps no checksum has shown only now what it has.
        let (size, checksum) = (reader.info().size, Some(writer.checksum()));
        Ok(wanted.map_or(Ok(()), |wanted| compare(wanted, size, checksum))?)
    };
    match interrupt.or(sending).await {
        Ok(()) => Ok(to.blame(writer.commit().await)?.size),
        Err(error) => {
            writer.abort().await;
            Err(error)
        }
    }
}
