//! How an artifact becomes visible and is removed: as a whole, and durably once acknowledged.
//!
//! Bytes are written to a new file in `tmp`, which is synced and then renamed over the artifact (or
//! linked, if it must not replace one); then the shard is synced. A failure before the rename
//! leaves the old artifact; after a failure behind it the outcome is unknown.

use alloc::format;
use alloc::string::String;

use artifact_store_backend::{Error, Info, Result, seal};

use crate::bindings::Mode;
use crate::header::{self, Header};
use crate::name::{self, Holder, Place};
use crate::read;
use crate::settings;
use crate::shard::{self, ATTEMPTS};
use crate::wasi::{self, Access, Called, Dir, ErrorCode, Failure, File, Kind};

/// An unfinished write: a file in `tmp`.
pub struct Temporary {
    dir: Dir,
    name: String,
    pub file: File,
    durable: bool,
}

impl Temporary {
    /// Begins a write. `tmp` itself need not be durable: nothing in it has to survive a crash.
    pub async fn create() -> Result<Self> {
        let durable = settings::is_durable()?;
        let mut attempt = 1;
        loop {
            let dir = shard::make(name::TEMPORARIES).await?;
            let name = wasi::temporary();
            match dir.create_file(&name).await {
                Ok(file) => return Ok(Self { dir, name, file, durable }),
                Err(failure)
                    if (failure.is_taken() || failure.is_absent()) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(failure) => {
                    // The host may have created the file before it failed; its name is unique.
                    dir.discard(&name).await;
                    return Err(failure.into());
                }
            }
        }
    }

    /// Ends a write: publishes the file, which `written` describes, at `place`. After any failure,
    /// also an earlier one, the file is removed.
    pub async fn finish(self, place: &Place, mode: Mode, written: Result<Header>) -> Result<Info> {
        let stored = match written {
            Ok(header) => self.publish(place, &header, mode).await,
            Err(error) => Err(error),
        };
        // A rename has moved the name; a link has added a second one.
        if stored.is_err() || mode == Mode::Create {
            self.discard().await;
        }
        stored
    }

    async fn discard(self) {
        let Self { dir, name, file, .. } = self;
        // Some file servers keep a file that is removed while open, under another name.
        drop(file);
        dir.discard(&name).await;
    }

    async fn publish(&self, place: &Place, header: &Header, mode: Mode) -> Result<Info> {
        let stat = self.file.stat().await?;
        let before = header::len(&header.key) as u64;
        // A stream that was cut looks like one that ended: only the size shows it.
        if header.size.checked_add(before) != Some(stat.size) {
            let arrived = stat.size.saturating_sub(before);
            return Err(seal::wrong_size(header.size, arrived));
        }
        if self.durable {
            self.file.sync().await?;
        }
        let mut attempt = 1;
        let shard = loop {
            let shard = shard::make(&place.shard).await?;
            if self.durable {
                shard::settle(&place.shard).await?;
            }
            if holder(&shard, place, &header.key).await? == Holder::Twin {
                return Err(Error::Other(format!("`{place}` holds the artifact of another key")));
            }
            let published = match mode {
                Mode::Overwrite => self.dir.rename(&self.name, &shard, &place.file).await,
                Mode::Create => self.dir.link(&self.name, &shard, &place.file).await,
            };
            let failure = match published {
                Ok(()) => break shard,
                Err(failure) => failure,
            };
            // If the file is still there, the shard is gone.
            let is_shard = failure.is_absent() && self.dir.look(&self.name).await?.is_some();
            match is_shard {
                true if attempt < ATTEMPTS => attempt += 1,
                true => return Err(failure.into()),
                false => return Err(refused(failure, mode)),
            }
        };
        settle(&shard, self.durable).await?;
        let checksum = Some(header.checksum);
        Ok(Info { size: header.size, checksum, modified: stat.modified })
    }
}

/// The error of a file that could not be published.
fn refused(failure: Failure, mode: Mode) -> Error {
    match (mode, failure.code) {
        (_, ErrorCode::NoEntry) => Error::Unavailable(format!(
            "cannot publish `{}`: a sweep removed the file",
            failure.path
        )),
        (Mode::Create, ErrorCode::Exist) => Error::AlreadyExists,
        // The answer of Linux on a filesystem without hard links; that the directory may be changed
        // has been shown before.
        (Mode::Create, ErrorCode::NotPermitted | ErrorCode::Unsupported) => {
            Error::Unsupported(format!(
                "cannot create `{}` without replacing: the filesystem has no hard links",
                failure.path
            ))
        }
        (_, code) => Failure { code, ..failure }.into(),
    }
}

/// Whether the artifact `key` exists. This decides no race, but can save a transfer.
pub async fn exists(key: &str, place: &Place) -> Result<bool> {
    let shard = shard::open(wasi::root()?, &place.shard, Access::Read).await?;
    let Some(shard) = shard else { return Ok(false) };
    Ok(shard.look(&place.file).await?.is_some()
        && holder(&shard, place, key).await? != Holder::Twin)
}

/// Removes the artifact `key`, durably.
pub async fn delete(key: &str, place: &Place) -> Result<()> {
    let durable = settings::is_durable()?;
    let shard = shard::open(wasi::root()?, &place.shard, Access::Change).await?;
    let Some(shard) = shard else { return Ok(()) };
    if holder(&shard, place, key).await? == Holder::Twin {
        return settle(&shard, durable).await;
    }
    match shard.unlink(&place.file).await {
        Err(failure) if !failure.is_absent() => Err(failure.into()),
        // If there is no artifact, an earlier deletion may not yet be durable.
        _ => settle(&shard, durable).await,
    }
}

/// Makes a visible change durable. If this fails, the outcome is unknown: a crash may undo the
/// change.
async fn settle(shard: &Dir, durable: bool) -> Result<()> {
    let synced: Called<()> = if durable { shard.sync().await } else { Ok(()) };
    synced.map_err(|failure| match failure.into() {
        Error::NoSpace(why)
        | Error::AccessDenied(why)
        | Error::Corrupt(why)
        | Error::Unsupported(why)
        | Error::Other(why) => Error::Unavailable(format!("the change may not be durable: {why}")),
        error => error,
    })
}

/// Whose artifact is at `place` if only a hash names the file. The artifact of another key with the
/// same hash must not be touched. An absent, damaged or moved one counts as that of the requested
/// key.
async fn holder(shard: &Dir, place: &Place, key: &str) -> Result<Holder> {
    if !place.is_hashed() {
        return Ok(Holder::Asked);
    }
    match shard.look(&place.file).await? {
        Some(stat) if stat.kind == Kind::File => {}
        _ => return Ok(Holder::Asked),
    }
    match read::open_in(shard, &place.file, header::len(key)).await {
        Ok(Some(found)) => Ok(place.holder(key, &found.header.key)),
        Ok(None) | Err(Error::Corrupt(_)) => Ok(Holder::Asked),
        Err(error) => Err(error),
    }
}
