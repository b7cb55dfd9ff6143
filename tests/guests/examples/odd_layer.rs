//! A layer that does with each call what the variable `ODD` says, and hands on what that does not
//! touch.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package test:odd;
        world odd {
            include artifact:storage/layer@0.1.0;
            import artifact:storage/maintenance@0.1.0;
            export artifact:storage/maintenance@0.1.0;
        }
    ",
    world: "test:odd/odd",
    generate_all,
});

use artifact::storage::types::{Error, Info, Seal};
use artifact::storage::{
    artifact_store as store, inventory as listed, maintenance as kept, streams as below,
};
use exports::artifact::storage::streams::Contents;
use exports::artifact::storage::{artifact_store, inventory, maintenance, streams};
use wit_bindgen::{FutureReader, StreamReader};

struct Layer;

export!(Layer);

fn odd() -> String {
    std::env::var("ODD").unwrap_or_default()
}

/// What it does before each call that it hands on.
async fn before(key: &str) -> Result<(), Error> {
    match odd().as_str() {
        "traps" => panic!("it traps"),
        "loops" => loop {
            std::hint::spin_loop();
        },
        "hangs" => {
            let (_writer, reader) = wit_future::new::<Result<(), Error>>(|| Ok(()));
            // Nobody ever writes to it.
            std::mem::forget(_writer);
            reader.await
        }
        // Each of these calls is short.
        "asks-for-ever" => loop {
            let _ = listed::stat(key.into()).await;
        },
        "grows" => {
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&kept);
            }
        }
        _ => Ok(()),
    }
}

impl artifact_store::Guest for Layer {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        before(&key).await?;
        store::put(key, data).await
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        before(&key).await?;
        store::get(key).await
    }

    async fn delete(key: String) -> Result<(), Error> {
        before(&key).await?;
        store::delete(key).await
    }
}

/// All bytes of `data`, written anew.
fn copied(
    data: StreamReader<u8>,
    change: impl Fn(Vec<u8>) -> Vec<u8> + 'static,
) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    let mut data = data;
    wit_bindgen::spawn_local(async move {
        loop {
            let (how, bytes) = data.read(Vec::with_capacity(64 << 10)).await;
            let rest = writer.write_all(change(bytes)).await;
            if how == wit_bindgen::StreamResult::Dropped || !rest.is_empty() {
                return;
            }
        }
    });
    reader
}

impl streams::Guest for Layer {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        options: streams::WriteOptions,
    ) -> Result<Info, Error> {
        before(&key).await?;
        let streams::WriteOptions { mode, size, attributes } = options;
        let options = below::WriteOptions { mode, size, attributes };
        match odd().as_str() {
            "copies" => below::write(key, copied(data, |it| it), end, options).await,
            // All of it is in memory before any of it goes on.
            "buffers" => {
                let all = data.collect().await;
                let (mut writer, reader) = wit_stream::new();
                wit_bindgen::spawn_local(async move {
                    writer.write_all(all).await;
                });
                below::write(key, reader, end, options).await
            }
            "flips" => below::write(key, copied(data, flipped), end, options).await,
            // It says that it stored what it threw away.
            "lies" => {
                drop(data);
                let seal = end.await.map_err(Error::Other)?;
                let (size, checksum) = (seal.size, Some(seal.checksum));
                Ok(Info { size, checksum, modified: None, version: None, attributes: Vec::new() })
            }
            "keeps-the-end" => {
                let (writer, sealed) = wit_future::new(|| Err("it is gone".into()));
                std::mem::forget(writer);
                below::write(key, data, sealed, options).await
            }
            _ => below::write(key, data, end, options).await,
        }
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, Contents), Error> {
        before(&key).await?;
        match odd().as_str() {
            "copies" => {
                let (info, data, outcome) = streamed(key, offset, length).await?;
                Ok((info, Contents::Streamed((copied(data, |it| it), outcome))))
            }
            "buffers" => {
                let (info, data, outcome) = streamed(key, offset, length).await?;
                let all = data.collect().await;
                let (mut writer, reader) = wit_stream::new();
                wit_bindgen::spawn_local(async move {
                    writer.write_all(all).await;
                });
                Ok((info, Contents::Streamed((reader, outcome))))
            }
            "flips" => {
                let (info, data, outcome) = streamed(key, offset, length).await?;
                Ok((info, Contents::Streamed((copied(data, flipped), outcome))))
            }
            // Other bytes than were asked for, handed on unread.
            "elsewhere" => {
                let (info, _) = below::read(key.clone(), offset, length).await?;
                let (_, contents) = below::read(format!("{key}-else"), 0, None).await?;
                Ok((info, handed(contents)))
            }
            "shifts" => {
                let (info, contents) = below::read(key, offset + 1, length).await?;
                Ok((info, handed(contents)))
            }
            // It reads some of it, and hands on the rest.
            "takes-some" => {
                let (mut info, mut data, outcome) = streamed(key, offset, length).await?;
                let (_, some) = data.read(Vec::with_capacity(1000)).await;
                info.size -= some.len() as u64;
                info.checksum = None;
                Ok((info, Contents::Streamed((data, outcome))))
            }
            // It says that all is well, whatever came.
            "hides-failures" => {
                let (info, data, _) = streamed(key, offset, length).await?;
                let (writer, outcome) = wit_future::new(|| Ok(()));
                wit_bindgen::spawn_local(async move {
                    let _ = writer.write(Ok(())).await;
                });
                Ok((info, Contents::Streamed((data, outcome))))
            }
            _ => {
                let (info, contents) = below::read(key, offset, length).await?;
                Ok((info, handed(contents)))
            }
        }
    }
}

/// What the store below brings, as it is.
fn handed(contents: below::Contents) -> Contents {
    match contents {
        below::Contents::Bytes(bytes) => Contents::Bytes(bytes),
        below::Contents::Streamed(streamed) => Contents::Streamed(streamed),
    }
}

type Streamed = (Info, StreamReader<u8>, FutureReader<Result<(), Error>>);

/// What the store below brings, as a stream.
async fn streamed(key: String, offset: u64, length: Option<u64>) -> Result<Streamed, Error> {
    let (info, contents) = below::read(key, offset, length).await?;
    let (stream, outcome) = match contents {
        below::Contents::Streamed(streamed) => streamed,
        below::Contents::Bytes(bytes) => {
            let (mut writer, stream) = wit_stream::new();
            let (report, outcome) = wit_future::new(|| Ok(()));
            wit_bindgen::spawn_local(async move {
                writer.write_all(bytes).await;
                drop(writer);
                let _ = report.write(Ok(())).await;
            });
            (stream, outcome)
        }
    };
    Ok((info, stream, outcome))
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    bytes
}

impl inventory::Guest for Layer {
    async fn stat(key: String) -> Result<Info, Error> {
        before(&key).await?;
        listed::stat(key).await
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<inventory::Page, Error> {
        before(&prefix).await?;
        let page = listed::list_artifacts(prefix, cursor, limit).await?;
        let entry = |entry: listed::Entry| inventory::Entry {
            key: entry.key,
            size: entry.size,
            modified: entry.modified,
            version: entry.version,
        };
        let entries = page.entries.into_iter().map(entry).collect();
        Ok(inventory::Page { entries, next: page.next })
    }
}

impl maintenance::Guest for Layer {
    async fn audit(cursor: Option<String>, limit: u32) -> Result<maintenance::Findings, Error> {
        let found = kept::audit(cursor, limit).await?;
        let kind = |kind| match kind {
            kept::FindingKind::Foreign => maintenance::FindingKind::Foreign,
            kept::FindingKind::Temporary => maintenance::FindingKind::Temporary,
            kept::FindingKind::Damaged => maintenance::FindingKind::Damaged,
        };
        let item = |item: kept::Finding| maintenance::Finding {
            kind: kind(item.kind),
            name: item.name,
            size: item.size,
            modified: item.modified,
            detail: item.detail,
        };
        let items = found.items.into_iter().map(item).collect();
        Ok(maintenance::Findings { items, next: found.next })
    }

    async fn sweep(older_than_seconds: u64) -> Result<maintenance::SweepReport, Error> {
        let kept::SweepReport { removed, bytes, kept } = kept::sweep(older_than_seconds).await?;
        Ok(maintenance::SweepReport { removed, bytes, kept })
    }
}
