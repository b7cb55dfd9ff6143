//! Opening artifacts: everything that is checked before a byte is believed.

use alloc::format;
use alloc::vec::Vec;

use artifact_store_backend::{Error, Info, Result};

use crate::folder;
use crate::header::{self, Fault, Header};
use crate::name::{Holder, Place};
use crate::settings;
use crate::wasi::{self, Access, Dir, Ended, ErrorCode, Failure, File, FileStream, Kind};

/// An artifact's open file: info and bytes come from it alone, so that they belong together
/// whatever is put meanwhile.
pub struct Artifact {
    pub file: File,
    pub header: Header,
    pub info: Info,
    /// What follows the bytes of the header, where they were all that was read.
    rest: Option<FileStream>,
}

impl Artifact {
    /// The payload from `offset` to its end.
    pub fn payload(&mut self, offset: u64) -> FileStream {
        match self.rest.take() {
            Some(rest) if offset == 0 => rest,
            _ => self.file.stream(self.header.start() as u64 + offset),
        }
    }

    /// Waits for the end of a payload. A file that was cut meanwhile ends without an error, so
    /// that its size is looked at again, where the host does not count what comes.
    pub async fn end(&self, ended: Ended) -> Result<()> {
        self.file.end(ended).await?;
        if settings::looks()? {
            check_size(self.file.stat().await?.size, &self.header, &self.file)?;
        }
        Ok(())
    }
}

/// Opens the artifact `key` at `place`; none where there is none.
pub async fn open(key: &str, place: &Place) -> Result<Option<Artifact>> {
    let found = match open_at_once(key, place).await? {
        Some(found) => found,
        None => match folder::open(&place.dir, Access::Read).await? {
            Some(dir) => open_in(&dir, &place.file, header::len(key)).await?,
            None => None,
        },
    };
    let Some(artifact) = found else {
        folder::is_of_this_layout().await?;
        return Ok(None);
    };
    match place.holder(key, &artifact.header.key) {
        Holder::Asked => Ok(Some(artifact)),
        Holder::Twin => Ok(None),
        Holder::Stray => Err(Error::Corrupt(format!("`{place}` holds another key"))),
    }
}

/// Opens what lies at `place`, with nothing looked at before, where the host allows for that.
/// None where it does not, and where it went wrong: who looks finds out what it is.
async fn open_at_once(key: &str, place: &Place) -> Result<Option<Option<Artifact>>> {
    if settings::looks()? {
        return Ok(None);
    }
    let root = wasi::root()?;
    Ok(match open_file(root, &place.path(), header::len(key)).await {
        Ok(artifact) => Some(Some(artifact)),
        Err(Trouble::Call(failure)) if failure.is_absent() => Some(None),
        Err(_) => None,
    })
}

/// Opens the file `name` and checks its header, of which `likely` bytes are asked for at
/// first; none where there is no such file.
pub async fn open_in(dir: &Dir, name: &str, likely: usize) -> Result<Option<Artifact>> {
    let first = try_open(dir, name, likely).await;
    let last = match first {
        // The file was replaced on the way. A file server may say so with an error that WASI
        // has no name for; the name leads to the new file.
        Err(Trouble::Call(Failure { code: ErrorCode::NoEntry | ErrorCode::Io, .. })) => {
            try_open(dir, name, likely).await
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

/// Why an artifact cannot be opened: the system refuses, or it is none.
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
    dir: &Dir,
    name: &str,
    likely: usize,
) -> core::result::Result<Option<Artifact>, Trouble> {
    // Only a regular file is opened: a pipe would wait for a writer.
    match dir.look(name).await? {
        None => return Ok(None),
        Some(stat) if stat.kind == Kind::File => {}
        Some(_) => {
            let text = format!("`{}` is no regular file", dir.join(name));
            return Err(Trouble::Content(Error::Corrupt(text)));
        }
    }
    open_file(dir, name, likely).await.map(Some)
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
        // It may have attributes, or a longer key than the one that was asked for.
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
    let info = header.clone().info(stat.modified);
    let rest = rest.filter(|_| bytes.len() == header.start());
    Ok(Artifact { file, header, info, rest })
}

fn unreadable(file: &File, fault: Fault) -> Error {
    match fault {
        Fault::Damaged(why) => Error::Corrupt(format!("`{}`: {why}", file.path)),
        Fault::Newer(version) => Error::Unsupported(format!(
            "`{}` has format version {version}, and {} is the newest known here",
            file.path,
            header::VERSION
        )),
    }
}

/// Bytes that are missing, or that nobody wrote, show in the size.
fn check_size(size: u64, header: &Header, file: &File) -> Result<()> {
    match header.size.checked_add(header.start() as u64) {
        Some(stated) if stated == size => Ok(()),
        _ => Err(Error::Corrupt(format!(
            "`{}` has {size} bytes, which is not what it states",
            file.path
        ))),
    }
}
