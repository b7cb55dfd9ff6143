//! Opening artifacts: everything that is checked before a byte is believed.

use wit_bindgen::StreamResult;

use crate::component::{Error, Info, Instant};
use crate::header::{self, Fault, Header};
use crate::name::{self, Named, Place};
use crate::wasi::{self, Descriptor, DescriptorStat, DescriptorType, ErrorCode, Result};

/// An artifact's open file: info and bytes come from it alone, so that they belong together
/// whatever is put meanwhile.
pub struct Artifact {
    pub file: Descriptor,
    pub header: Header,
    pub info: Info,
}

/// Opens the artifact `key` at `place`; none where there is none.
pub async fn open(key: &str, place: &Place) -> Result<Option<Artifact>> {
    let Some(shard) = wasi::open_shard(place).await? else { return Ok(None) };
    let Some(artifact) = open_in(&shard, &place.file, header::len(key)).await? else {
        return Ok(None);
    };
    match name::parse(&place.file) {
        _ if artifact.header.key == key => Ok(Some(artifact)),
        // The file is another key's by chance; this key has no artifact.
        Named::Hashed => Ok(None),
        _ => Err(Error::Corrupt(format!("`{}/{}` holds another key", place.shard, place.file))),
    }
}

/// Opens the file `name` and checks its header, of which `likely` bytes are asked for at
/// first; none where there is no such file.
pub async fn open_in(shard: &Descriptor, name: &str, likely: usize) -> Result<Option<Artifact>> {
    // A file server forgets a handle when the file is replaced; the second try has the new one.
    for _ in 0..2 {
        match wasi::look(shard, name).await? {
            None => return Ok(None),
            Some(stat) => check_type(&stat, name)?,
        }
        let file = match wasi::open_file(shard, name).await {
            Ok(file) => file,
            Err(ErrorCode::NoEntry) => continue,
            Err(error) => return Err(wasi::explain("open", name, error)),
        };
        let stat = file.stat().await.map_err(|e| wasi::explain("look at", name, e))?;
        let bytes = read_exactly(&file, 0, likely, name).await?;
        let header = match Header::decode(&bytes) {
            Err(Fault::Damaged(_)) if bytes.len() == likely && likely < header::MAX_LEN => {
                // The file may hold a longer key than the one that was asked for.
                Header::decode(&read_exactly(&file, 0, header::MAX_LEN, name).await?)
            }
            decoded => decoded,
        };
        let header = header.map_err(|fault| match fault {
            Fault::Damaged(why) => Error::Corrupt(format!("`{name}`: {why}")),
            Fault::Newer(version) => {
                Error::Unsupported(format!("`{name}` has format version {version}, known is 1"))
            }
        })?;
        let expected = header.size.checked_add(header::len(&header.key) as u64);
        if expected != Some(stat.size) {
            let text = format!("`{name}` has {} bytes, which is not what it states", stat.size);
            return Err(Error::Corrupt(text));
        }
        let modified = stat.data_modification_timestamp;
        let info = Info {
            size: header.size,
            checksum: Some(header.checksum),
            modified: modified
                .map(|at| Instant { seconds: at.seconds, nanoseconds: at.nanoseconds }),
        };
        return Ok(Some(Artifact { file, header, info }));
    }
    Ok(None)
}

/// Only a regular file is opened: a pipe would wait for a writer, a link lead elsewhere.
fn check_type(stat: &DescriptorStat, name: &str) -> Result<()> {
    match stat.type_ {
        DescriptorType::RegularFile => Ok(()),
        _ => Err(Error::Corrupt(format!("`{name}` is no regular file"))),
    }
}

/// Up to `count` bytes from `offset`; fewer where the file ends before.
pub async fn read_exactly(
    file: &Descriptor,
    offset: u64,
    count: usize,
    name: &str,
) -> Result<Vec<u8>> {
    let (mut stream, outcome) = file.read_via_stream(offset);
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        // The stream fills what is free, which may be more than is wanted.
        let part = Vec::with_capacity(count - bytes.len());
        let (how, part) = stream.read(part).await;
        bytes.extend(part);
        if let StreamResult::Dropped | StreamResult::Cancelled = how {
            break;
        }
    }
    drop(stream);
    if bytes.len() < count {
        outcome.await.map_err(|e| wasi::explain("read", name, e))?;
    }
    bytes.truncate(count);
    Ok(bytes)
}
