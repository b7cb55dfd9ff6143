//! A backend that keeps each artifact in a file of its own and treats the stream of that file, or
//! the one of a write, in the way that the key names.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../wit", world: "full-backend" });

use std::collections::BTreeMap;

use artifact::storage::types::{Error, Info, Seal};
use exports::artifact::storage::{artifact_store, inventory, streams};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

struct PassesOn;

export!(PassesOn);

/// How many bytes it takes for itself where it takes some.
const TAKEN: u64 = 1000;

async fn open(key: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Error> {
    let (root, _) = get_directories().remove(0);
    let opened = root.open_at(PathFlags::empty(), key.into(), how, flags).await;
    opened.map_err(|_| Error::NotFound)
}

/// The first bytes of `stream`, and the stream of the rest. One that has ended is of no more use:
/// to hand it on is a trap.
async fn split(mut stream: StreamReader<u8>) -> (Vec<u8>, StreamReader<u8>) {
    let mut bytes = Vec::with_capacity(TAKEN as usize);
    while bytes.len() < bytes.capacity() {
        let how;
        (how, bytes) = stream.read(bytes).await;
        if how == StreamResult::Dropped {
            return (bytes, wit_stream::new().1);
        }
    }
    (bytes, stream)
}

/// Sends `before`, then what `stream` brings, then `after`.
fn wrapped(before: &[u8], stream: StreamReader<u8>, after: &[u8]) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    let (before, after) = (before.to_vec(), after.to_vec());
    wit_bindgen::spawn_local(async move {
        let data = [before, stream.collect().await, after].concat();
        writer.write_all(data).await;
    });
    reader
}

impl streams::Guest for PassesOn {
    async fn write(
        key: String,
        mut data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        _: streams::WriteOptions,
    ) -> Result<Info, Error> {
        let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let file = open(&key, how, DescriptorFlags::READ | DescriptorFlags::WRITE).await?;
        let mut offset = 0;
        if key == "write-half" {
            let (mut writer, reader) = wit_stream::new();
            let written = file.write_via_stream(reader, 0);
            let first;
            (first, data) = split(data).await;
            offset = first.len() as u64;
            writer.write_all(first).await;
            drop(writer);
            written.await.map_err(|e| Error::Other(format!("{e:?}")))?;
        }
        let data = if key == "write-itself" { wrapped(b"", data, b"") } else { data };
        let written = file.write_via_stream(data, offset);
        let written = async { written.await.map_err(|e| Error::Other(format!("{e:?}"))) };
        let sealed = async { end.await.map_err(Error::Other) };
        let ((), seal) = futures_util::future::try_join(written, sealed).await?;
        let size = file.stat().await.map_err(|e| Error::Other(format!("{e:?}")))?.size;
        if size != seal.size {
            return Err(Error::Other(format!("{size} bytes of {} arrived", seal.size)));
        }
        Ok(Info { size, checksum: None, modified: None, version: None, attributes: Vec::new() })
    }

    async fn read(
        key: String,
        offset: u64,
        _: Option<u64>,
    ) -> Result<(Info, streams::Contents), Error> {
        let file = open(&key, OpenFlags::empty(), DescriptorFlags::READ).await?;
        let mut size = file.stat().await.map_err(|e| Error::Other(format!("{e:?}")))?.size;
        let (mut bytes, ended) = file.read_via_stream(offset);
        let mut ended = Some(ended);
        let (report, outcome) = wit_future::new(|| Err(Error::Other("dropped".into())));
        match key.as_str() {
            "read-itself" => bytes = wrapped(b"", bytes, b""),
            // Its artifacts are these: the file with something before, behind, or missing.
            "read-more" => {
                size += 2;
                bytes = wrapped(b"<", bytes, b">");
            }
            "read-rest" => {
                size -= TAKEN.min(size);
                (_, bytes) = split(bytes).await;
            }
            "read-nothing" => {
                size = 0;
                (_, bytes) = wit_stream::new();
            }
            // Another part of the file than was asked for, or another file.
            "read-elsewhere" => {
                let (elsewhere, end) = file.read_via_stream(offset + 1);
                (bytes, ended) = (elsewhere, Some(end));
            }
            // A file that is cut while it is read.
            "read-cut" => {
                let file = open(&key, OpenFlags::empty(), DescriptorFlags::WRITE).await?;
                file.set_size(size / 2).await.map_err(|e| Error::Other(format!("{e:?}")))?;
            }
            // One that grows.
            "read-grown" => {
                let file = open(&key, OpenFlags::empty(), DescriptorFlags::WRITE).await?;
                let grown = file.set_size(size + 1).await;
                grown.map_err(|e| Error::Other(format!("{e:?}")))?;
            }
            // A directory has no bytes, and says so at the end.
            "read-directory" => {
                let (root, _) = get_directories().remove(0);
                let (nothing, end) = root.read_via_stream(0);
                (bytes, ended) = (nothing, Some(end));
            }
            // It never hears how the reading ended.
            "read-deaf" => ended = None,
            _ => {}
        }
        wit_bindgen::spawn_local(async move {
            let ended = match ended {
                Some(ended) => ended.await.map_err(|e| Error::Unavailable(format!("{e:?}"))),
                None => Ok(()),
            };
            let _ = report.write(ended).await;
        });
        Ok((
            Info { size, checksum: None, modified: None, version: None, attributes: Vec::new() },
            streams::Contents::Streamed((bytes, outcome)),
        ))
    }
}

impl artifact_store::Guest for PassesOn {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Err(Error::Unsupported("only `write`".into()))
    }

    async fn get(_: String) -> Result<Vec<u8>, Error> {
        Err(Error::Unsupported("only `read`".into()))
    }

    async fn delete(_: String) -> Result<(), Error> {
        Err(Error::Unsupported("only `write` and `read`".into()))
    }
}

impl inventory::Guest for PassesOn {
    async fn stat(_: String) -> Result<Info, Error> {
        Err(Error::Unsupported("only `write` and `read`".into()))
    }

    /// The names of all files; the size of each is how many of three readers of the directory saw
    /// it, of whom two take turns.
    async fn list_artifacts(
        _: String,
        _: Option<String>,
        _: u32,
    ) -> Result<inventory::Page, Error> {
        let dir = open(".", OpenFlags::DIRECTORY, DescriptorFlags::READ).await?;
        let ((mut first, _), (mut second, _)) = (dir.read_directory(), dir.read_directory());
        let mut seen = BTreeMap::new();
        loop {
            let (one, other) = (first.next().await, second.next().await);
            if one.is_none() && other.is_none() {
                break;
            }
            for entry in one.into_iter().chain(other) {
                *seen.entry(entry.name).or_default() += 1;
            }
        }
        drop((first, second));
        for entry in dir.read_directory().0.collect().await {
            *seen.entry(entry.name).or_default() += 1;
        }
        let entries = seen
            .into_iter()
            .map(|(key, size)| inventory::Entry { key, size, modified: None, version: None })
            .collect();
        Ok(inventory::Page { entries, next: None })
    }
}
