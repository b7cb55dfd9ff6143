//! How an artifact becomes visible, and goes: never half, and never lost once acknowledged.
//!
//! Bytes go into a new file in `tmp`, which is synced, then renamed over the artifact (or
//! linked, where it must not replace one); then the shard's directory is synced. Whatever
//! fails before the rename leaves the old artifact; whatever fails after it reports an error
//! and leaves the new one.

use wasip3::filesystem::types::PathFlags;

use crate::component::{Error, Info, Instant, Mode};
use crate::header::{self, Header};
use crate::name::{self, Named, Place};
use crate::read;
use crate::wasi::{self, Descriptor, DescriptorType, ErrorCode, Result};

/// An unfinished write: a file in `tmp` that goes when the write ends.
pub struct Temporary {
    dir: Descriptor,
    name: String,
    pub file: Descriptor,
}

impl Temporary {
    pub async fn create() -> Result<Self> {
        let (dir, made) = wasi::make_dir(name::TEMPORARIES).await?;
        if made {
            wasi::sync_dir(wasi::root()?, "/").await?;
        }
        loop {
            let name = wasi::temporary();
            match wasi::create_file(&dir, &name).await {
                Ok(file) => return Ok(Self { dir, name, file }),
                Err(ErrorCode::Exist) => {}
                Err(error) => return Err(wasi::explain("create", &name, error)),
            }
        }
    }

    /// Publishes the payload that lies in the file behind the header's place, then removes
    /// the temporary name, whatever came of it.
    pub async fn publish(self, place: &Place, header: &Header, mode: Mode) -> Result<Info> {
        let published = self.try_publish(place, header, mode).await;
        // A rename took the name along; then there is nothing to remove.
        if published.is_err() || mode == Mode::Create {
            self.discard().await;
        }
        published
    }

    /// Removes the file. Where that fails it is litter for the next sweep, and the reason why
    /// the write failed is the one to tell.
    pub async fn discard(self) {
        let _ = self.dir.unlink_file_at(self.name).await;
    }

    async fn try_publish(&self, place: &Place, header: &Header, mode: Mode) -> Result<Info> {
        let bytes = header.encode();
        let expected = header.size.saturating_add(bytes.len() as u64);
        self.write(bytes, 0).await?;
        wasi::sync_file(&self.file, &self.name).await?;
        let stat = self.file.stat().await.map_err(|e| wasi::explain("look at", &self.name, e))?;
        if stat.size != expected {
            let text = format!("{} bytes lie on disk of {expected}", stat.size);
            return Err(Error::Other(text));
        }
        let (shard, made) = wasi::make_dir(&place.shard).await?;
        if made {
            wasi::sync_dir(wasi::root()?, "/").await?;
        }
        check_owner(&shard, place, &header.key).await?;
        let (from, to) = (self.name.clone(), place.file.clone());
        let done = match mode {
            Mode::Overwrite => self.dir.rename_at(from, &shard, to).await,
            Mode::Create => self.dir.link_at(PathFlags::empty(), from, &shard, to).await,
        };
        match done {
            Ok(()) => {}
            Err(ErrorCode::Exist) if mode == Mode::Create => return Err(Error::AlreadyExists),
            // A sweep took the unfinished file, or its directory went.
            Err(ErrorCode::NoEntry) => {
                let text = format!("cannot publish `{}`: the file was removed", place.file);
                return Err(Error::Unavailable(text));
            }
            Err(error) => return Err(wasi::explain("publish", &place.file, error)),
        }
        settle(&shard, place).await?;
        let modified = stat.data_modification_timestamp;
        Ok(Info {
            size: header.size,
            checksum: Some(header.checksum),
            modified: modified
                .map(|at| Instant { seconds: at.seconds, nanoseconds: at.nanoseconds }),
        })
    }

    /// Writes all of `bytes` at `offset`.
    pub async fn write(&self, bytes: Vec<u8>, offset: u64) -> Result<()> {
        let (mut writer, reader) = wasip3::wit_stream::new();
        let outcome = self.file.write_via_stream(reader, offset);
        let rest = writer.write_all(bytes).await;
        drop(writer);
        outcome.await.map_err(|e| wasi::explain("write", &self.name, e))?;
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Other(format!("cannot write `{}`: it takes no more", self.name)))
        }
    }

    /// How many payload bytes lie behind a header for `key`.
    pub async fn payload(&self, key: &str) -> Result<u64> {
        let stat = self.file.stat().await.map_err(|e| wasi::explain("look at", &self.name, e))?;
        Ok(stat.size.saturating_sub(header::len(key) as u64))
    }
}

/// Whether something lies at `place`; what does not settle who wins, but saves the way.
pub async fn exists(place: &Place) -> Result<bool> {
    match wasi::open_shard(place).await? {
        Some(shard) => Ok(wasi::look(&shard, &place.file).await?.is_some()),
        None => Ok(false),
    }
}

/// Removes the artifact `key`, durably.
pub async fn delete(key: &str, place: &Place) -> Result<()> {
    let Some(shard) = wasi::open_shard(place).await? else { return Ok(()) };
    check_owner(&shard, place, key).await?;
    match shard.unlink_file_at(place.file.clone()).await {
        // Where there is none, a deletion before this one may not be durable yet.
        Ok(()) | Err(ErrorCode::NoEntry) => settle(&shard, place).await,
        Err(error) => Err(wasi::explain("delete", &place.file, error)),
    }
}

/// Makes a change durable that can be seen already. Where that fails, the outcome is open:
/// a crash may still undo the change.
async fn settle(shard: &Descriptor, place: &Place) -> Result<()> {
    let synced = wasi::sync_dir(shard, &place.shard).await;
    synced.map_err(|error| match error {
        Error::NoSpace(why)
        | Error::AccessDenied(why)
        | Error::Corrupt(why)
        | Error::Other(why) => Error::Unavailable(format!("the change may not be durable: {why}")),
        error => error,
    })
}

/// Where only a hash names the file, it may hold another key's artifact, which is then not
/// to be touched. A damaged one may be replaced.
async fn check_owner(shard: &Descriptor, place: &Place, key: &str) -> Result<()> {
    if name::parse(&place.file) != Named::Hashed {
        return Ok(());
    }
    match wasi::look(shard, &place.file).await? {
        Some(stat) if matches!(stat.type_, DescriptorType::RegularFile) => {}
        _ => return Ok(()),
    }
    match read::open_in(shard, &place.file, header::len(key)).await {
        Ok(Some(found)) if found.header.key != key => {
            Err(Error::Other(format!("the name `{}` is taken by another key", place.file)))
        }
        Ok(_) | Err(Error::Corrupt(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
