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
    /// The payload, where the file is so small that it was read together with the header.
    payload: Option<Vec<u8>>,
    /// What follows the bytes of the header, where they were all that was read.
    rest: Option<FileStream>,
}

impl Artifact {
    /// The `due` bytes of the payload from `offset` on, which are within it.
    pub fn bytes(&mut self, offset: u64, due: usize) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        if let (Some(payload), Ok(offset)) = (self.payload.take(), usize::try_from(offset)) {
            data = payload;
            data.truncate(offset.saturating_add(due));
            data.drain(..offset.min(data.len()));
        } else if due > 0 {
            let room = data.try_reserve_exact(due);
            room.map_err(|_| {
                Error::Other(format!("no memory for {due} bytes; a stream needs none"))
            })?;
            let stream = self.stream(offset);
            (data, _) = self.file.read(stream, data)?;
            data.truncate(due);
        }
        match data.len() == due {
            true => Ok(data),
            false => Err(Error::Corrupt(format!("`{}` was cut while it was read", self.file.path))),
        }
    }

    /// The payload from `offset` to its end.
    pub fn stream(&mut self, offset: u64) -> FileStream {
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
            check_size(self.file.stat()?.size, &self.header, &self.file)?;
        }
        Ok(())
    }
}

/// Opens the artifact `key` at `place`; none where there is none.
pub fn open(key: &str, place: &Place) -> Result<Option<Artifact>> {
    open_with(key, place, 0)
}

/// Opens it to read its payload, which is read at once where it is no more than `few` bytes.
pub fn open_with(key: &str, place: &Place, few: usize) -> Result<Option<Artifact>> {
    let first = First { header: header::len(key), few };
    let found = match open_at_once(place, first)? {
        Some(found) => found,
        None => match folder::open(&place.dir, Access::Read)? {
            Some(dir) => open_first(&dir, &place.file, first)?,
            None => None,
        },
    };
    let Some(artifact) = found else {
        folder::is_of_this_layout()?;
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
fn open_at_once(place: &Place, first: First) -> Result<Option<Option<Artifact>>> {
    if settings::looks()? {
        return Ok(None);
    }
    let root = wasi::root()?;
    Ok(match open_file(root, &place.path(), first) {
        Ok(artifact) => Some(Some(artifact)),
        Err(Trouble::Call(failure)) if failure.is_absent() => Some(None),
        Err(_) => None,
    })
}

/// How many bytes are asked for at first.
#[derive(Clone, Copy)]
struct First {
    /// As many as the header has, unless there are attributes or another key.
    header: usize,
    /// All of a file that has no more than so many bytes behind those.
    few: usize,
}

/// Opens the file `name` and checks its header, of which `likely` bytes are asked for at
/// first; none where there is no such file.
pub fn open_in(dir: &Dir, name: &str, likely: usize) -> Result<Option<Artifact>> {
    open_first(dir, name, First { header: likely, few: 0 })
}

fn open_first(dir: &Dir, name: &str, first: First) -> Result<Option<Artifact>> {
    let last = match try_open(dir, name, first) {
        // The file was replaced on the way. A file server may say so with an error that WASI
        // has no name for; the name leads to the new file.
        Err(Trouble::Call(Failure { code: ErrorCode::NoEntry | ErrorCode::Io, .. })) => {
            try_open(dir, name, first)
        }
        opened => opened,
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

fn try_open(
    dir: &Dir,
    name: &str,
    first: First,
) -> core::result::Result<Option<Artifact>, Trouble> {
    // Only a regular file is opened: a pipe would wait for a writer.
    match dir.look(name)? {
        None => return Ok(None),
        Some(stat) if stat.kind == Kind::File => {}
        Some(_) => {
            let text = format!("`{}` is no regular file", dir.join(name));
            return Err(Trouble::Content(Error::Corrupt(text)));
        }
    }
    open_file(dir, name, first).map(Some)
}

fn open_file(dir: &Dir, name: &str, first: First) -> core::result::Result<Artifact, Trouble> {
    let file = dir.open_file(name)?;
    let stat = file.stat()?;
    let whole = usize::try_from(stat.size).ok();
    let wanted = whole.filter(|size| first.few > 0 && *size <= first.header + first.few);
    let room = Vec::with_capacity(wanted.unwrap_or(0).max(first.header));
    let (mut bytes, mut rest) = file.read(file.stream(0), room)?;
    let header = match Header::decode(&bytes) {
        // It may have attributes, or a longer key than the one that was asked for.
        Err(Fault::Damaged(_)) if bytes.len() >= first.header && bytes.len() < header::MAX_LEN => {
            let room = Vec::with_capacity(header::MAX_LEN);
            (bytes, _) = file.read(file.stream(0), room)?;
            rest = None;
            Header::decode(&bytes)
        }
        decoded => decoded,
    };
    let header = header.map_err(|fault| Trouble::Content(unreadable(&file, fault)))?;
    check_size(stat.size, &header, &file).map_err(Trouble::Content)?;
    let info = header.clone().info(stat.modified);
    let start = header.start();
    let rest = rest.filter(|_| bytes.len() == start);
    let payload = (whole == Some(bytes.len())).then(|| {
        bytes.drain(..start);
        bytes
    });
    Ok(Artifact { file, header, info, payload, rest })
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
