//! Opening artifacts, with all checks that precede the first byte.

use alloc::format;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Info, Result};

use crate::header::{self, Fault, Header};
use crate::name::{Holder, Place};
use crate::settings;
use crate::shard;
use crate::wasi::{self, Access, Dir, Ended, ErrorCode, Failure, File, FileStream, Kind};

/// The open file of an artifact. Info and bytes come only from this file, so they belong together
/// even if the artifact is replaced meanwhile.
pub struct Artifact {
    pub file: File,
    pub header: Header,
    pub info: Info,
    /// The rest of the file after the header, if only the header was read.
    rest: Option<FileStream>,
}

impl Artifact {
    /// The payload from `offset` to its end.
    pub fn payload(&mut self, offset: u64) -> FileStream {
        match self.rest.take() {
            Some(rest) if offset == 0 => rest,
            _ => self.file.stream(header::len(&self.header.key) as u64 + offset),
        }
    }

    /// Waits for the end of a payload. A file that is truncated meanwhile ends without an error, so
    /// its size is checked again if the host does not count the bytes.
    pub async fn end(&self, ended: Ended) -> Result<()> {
        self.file.end(ended).await?;
        if settings::looks()? {
            check_size(self.file.stat().await?.size, &self.header, &self.file)?;
        }
        Ok(())
    }
}

/// Opens the artifact `key` at `place`; `None` if there is none.
pub async fn open(key: &str, place: &Place) -> Result<Option<Artifact>> {
    let found = match open_at_once(key, place).await? {
        Some(found) => found,
        None => match shard::open(wasi::root()?, &place.shard, Access::Read).await? {
            Some(shard) => open_in(&shard, &place.file, header::len(key)).await?,
            None => None,
        },
    };
    let Some(artifact) = found else { return Ok(None) };
    match place.holder(key, &artifact.header.key) {
        Holder::Asked => Ok(Some(artifact)),
        Holder::Twin => Ok(None),
        Holder::Stray => Err(Error::Corrupt(format!("`{place}` holds another key"))),
    }
}

/// Opens the file at `place` without looking at it before, if the host permits this. `None` if it
/// does not, and after a failure, which a look then explains.
async fn open_at_once(key: &str, place: &Place) -> Result<Option<Option<Artifact>>> {
    if settings::looks()? {
        return Ok(None);
    }
    let root = wasi::root()?;
    Ok(match open_file(root, &[&*place.shard, "/", &place.file].concat(), header::len(key)).await {
        Ok(artifact) => Some(Some(artifact)),
        Err(Trouble::Call(failure)) if failure.is_absent() => Some(None),
        Err(_) => None,
    })
}

/// Opens the file `name` and checks its header, of which `likely` bytes are read first; `None` if
/// there is no such file.
pub async fn open_in(shard: &Dir, name: &str, likely: usize) -> Result<Option<Artifact>> {
    let first = try_open(shard, name, likely).await;
    let last = match first {
        // The file was replaced meanwhile. A file server may report this as an error that WASI has
        // no code for; the name leads to the new file.
        Err(Trouble::Call(Failure { code: ErrorCode::NoEntry | ErrorCode::Io, .. })) => {
            try_open(shard, name, likely).await
        }
        first => first,
    };
    match last {
        Ok(artifact) => Ok(artifact),
        Err(Trouble::Call(Failure { code: ErrorCode::NoEntry, .. })) => Ok(None),
        Err(Trouble::Call(failure)) => Err(failure.into()),
        Err(Trouble::Content(error)) => Err(error),
    }
}

/// Why an artifact cannot be opened: the system refuses, or the file is not an artifact.
enum Trouble {
    Call(Failure),
    Content(Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

async fn try_open(
    shard: &Dir,
    name: &str,
    likely: usize,
) -> core::result::Result<Option<Artifact>, Trouble> {
    // Only a regular file is opened: opening a pipe would wait for a writer.
    match shard.look(name).await? {
        None => return Ok(None),
        Some(stat) if stat.kind == Kind::File => {}
        Some(_) => {
            let text = format!("`{}` is not a regular file", shard.join(name));
            return Err(Trouble::Content(Error::Corrupt(text)));
        }
    }
    open_file(shard, name, likely).await.map(Some)
}

async fn open_file(
    dir: &Dir,
    name: &str,
    likely: usize,
) -> core::result::Result<Artifact, Trouble> {
    let file = dir.open_file(name).await?;
    let stat = file.stat().await?;
    let (bytes, mut rest) = file.read(file.stream(0), Vec::with_capacity(likely)).await?;
    let header = match Header::decode(&bytes) {
        // The file may have a longer key than the requested one.
        Err(Fault::Damaged(_)) if bytes.len() >= likely && likely < header::MAX_LEN => {
            let room = Vec::with_capacity(header::MAX_LEN);
            let (bytes, _) = file.read(file.stream(0), room).await?;
            rest = None;
            Header::decode(&bytes)
        }
        decoded => decoded,
    };
    let header = header.map_err(|fault| Trouble::Content(unreadable(&file, fault)))?;
    check_size(stat.size, &header, &file).map_err(Trouble::Content)?;
    let checksum = Some(header.checksum);
    let info = Info { size: header.size, checksum, modified: stat.modified };
    let rest = rest.filter(|_| bytes.len() == header::len(&header.key));
    Ok(Artifact { file, header, info, rest })
}

fn unreadable(file: &File, fault: Fault) -> Error {
    match fault {
        Fault::Damaged(why) => Error::Corrupt(format!("`{}`: {why}", file.path)),
        Fault::Newer(version) => Error::Unsupported(format!(
            "`{}` has format version {version}; the newest known version is {}",
            file.path,
            header::VERSION
        )),
    }
}

/// Missing or surplus bytes show in the size.
fn check_size(size: u64, header: &Header, file: &File) -> Result<()> {
    match header.size.checked_add(header::len(&header.key) as u64) {
        Some(stated) if stated == size => Ok(()),
        _ => Err(Error::Corrupt(format!(
            "`{}` has {size} bytes, but its header states another size",
            file.path
        ))),
    }
}
