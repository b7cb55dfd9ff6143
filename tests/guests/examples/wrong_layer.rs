//! A layer that keeps a part of a store, with a header before each payload, and one fault at a time:
//! the one that the variable `FAULT` names.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../wit", world: "layer" });

use artifact::storage::types::{Error, Info, Seal};
use artifact::storage::{artifact_store as store, inventory as listed, streams as below};
use crc::{CRC_64_NVME, Crc, Digest};
use exports::artifact::storage::{artifact_store, inventory, streams};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

struct Layer;

export!(Layer);

const PART: &str = "p/";
const HEADER: &[u8] = b"HDR!";
const LONGEST: usize = 1024;
const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

fn has(fault: &str) -> bool {
    std::env::var("FAULT").is_ok_and(|named| named == fault)
}

fn key_below(key: &str) -> Result<String, Error> {
    let is_key = !key.is_empty() || has("takes-the-empty-key");
    if !is_key || key.len() > LONGEST || key.chars().any(char::is_control) {
        return Err(Error::InvalidKey("1 to 1024 bytes without control characters".into()));
    }
    if has("follows-dots")
        && let Some(outside) = key.strip_prefix("../")
    {
        return Ok(outside.into());
    }
    let key = match () {
        () if has("folds-case") => key.to_lowercase(),
        () if has("trims") => key.trim().to_owned(),
        () => key.to_owned(),
    };
    let mut whole = format!("{PART}{key}");
    let is_too_long = whole.len() > LONGEST || (has("refuses-half") && whole.len() > LONGEST / 2);
    if !is_too_long {
        return Ok(whole);
    }
    if has("shortens") || has("shortens-and-refuses") {
        whole.truncate(whole.floor_char_boundary(LONGEST));
        return Ok(whole);
    }
    let text = "it is too long below".to_owned();
    Err(if has("refuses-otherwise") { Error::Other(text) } else { Error::InvalidKey(text) })
}

/// Of a change, once it was made.
fn refused_late(key: &str) -> Result<(), Error> {
    let is_too_long = PART.len() + key.len() > LONGEST;
    match is_too_long && has("shortens-and-refuses") {
        true => Err(Error::InvalidKey("it is too long below".into())),
        false => Ok(()),
    }
}

/// What a caller hears of a look that failed.
fn look<T>(answer: Result<T, Error>) -> Result<T, Error> {
    answer.map_err(|error| match error {
        Error::InvalidRange => error,
        _ if has("failure-is-absence") => Error::NotFound,
        _ => error,
    })
}

fn own(info: Info) -> Info {
    let header = HEADER.len() as u64;
    let size = if has("states-its-size") { info.size } else { info.size.saturating_sub(header) };
    let checksum = info.checksum.filter(|_| has("states-its-checksum"));
    Info { size, checksum, ..info }
}

impl artifact_store::Guest for Layer {
    async fn put(key: String, data: Vec<u8>) -> Result<(), Error> {
        let put = store::put(key_below(&key)?, [HEADER, &data].concat()).await;
        refused_late(&key)?;
        if has("put-is-ok") { Ok(()) } else { put }
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let data = look(store::get(key_below(&key)?).await)?;
        let payload = data.get(HEADER.len()..).map(<[u8]>::to_vec);
        payload.ok_or_else(|| Error::Corrupt("it has no header".into()))
    }

    async fn delete(key: String) -> Result<(), Error> {
        let whole = key_below(&key)?;
        if has("deletes-both") {
            store::delete(key).await?;
        }
        let deleted = store::delete(whole).await;
        if has("delete-is-ok") { Ok(()) } else { deleted }
    }
}

/// What is sealed below, for so many bytes above and what `end` says of them.
fn sealed(
    end: Result<Seal, String>,
    count: u64,
    above: Digest<'static, u64>,
    whole: Digest<'static, u64>,
) -> Result<Seal, String> {
    let own = Seal { size: count + HEADER.len() as u64, checksum: whole.finalize() };
    match end {
        Ok(seal) if seal.size == count && seal.checksum == above.finalize() => Ok(own),
        Ok(_) if has("ignores-the-size") => Ok(own),
        Ok(_) => Err("the seal does not fit the bytes".into()),
        Err(_) if has("seals-what-came") => Ok(own),
        Err(why) => Err(why),
    }
}

impl streams::Guest for Layer {
    async fn write(
        key: String,
        mut data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        options: streams::WriteOptions,
    ) -> Result<Info, Error> {
        let whole = key_below(&key)?;
        let streams::WriteOptions { mode, size, attributes } = options;
        let size = size.map(|size| size.saturating_add(HEADER.len() as u64));
        let options = below::WriteOptions { mode, size, attributes };
        let (mut writer, reader) = wit_stream::new();
        let (seal, seal_below) = wit_future::new(|| Err("it is gone".into()));
        wit_bindgen::spawn_local(async move {
            static CHECKSUM: Crc<u64> = CRC;
            let (mut above, mut both) = (CHECKSUM.digest(), CHECKSUM.digest());
            both.update(HEADER);
            let mut count = 0;
            let mut rest = writer.write_all(HEADER.to_vec()).await;
            while rest.is_empty() {
                let (how, bytes) = data.read(Vec::with_capacity(64 << 10)).await;
                above.update(&bytes);
                both.update(&bytes);
                count += bytes.len() as u64;
                rest = writer.write_all(bytes).await;
                if how == StreamResult::Dropped {
                    break;
                }
            }
            drop(writer);
            if has("seals-early") {
                let own =
                    Seal { size: count + HEADER.len() as u64, checksum: both.clone().finalize() };
                let _ = seal.write(Ok(own)).await;
                return;
            }
            let end = if rest.is_empty() { end.await } else { Err("below, it ended".into()) };
            let _ = seal.write(sealed(end, count, above, both)).await;
        });
        let written = below::write(whole, reader, seal_below, options).await;
        refused_late(&key)?;
        written.map(own)
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, streams::Contents), Error> {
        let header = if has("counts-the-header") { 0 } else { HEADER.len() as u64 };
        let offset = offset.saturating_add(header);
        let (info, contents) = look(below::read(key_below(&key)?, offset, length).await)?;
        let contents = match contents {
            below::Contents::Bytes(bytes) => streams::Contents::Bytes(bytes),
            below::Contents::Streamed((data, _)) if has("hides-failures") => {
                let (writer, good) = wit_future::new(|| Ok(()));
                wit_bindgen::spawn_local(async move {
                    let _ = writer.write(Ok(())).await;
                });
                streams::Contents::Streamed((data, good))
            }
            below::Contents::Streamed(streamed) => streams::Contents::Streamed(streamed),
        };
        Ok((own(info), contents))
    }
}

impl inventory::Guest for Layer {
    async fn stat(key: String) -> Result<Info, Error> {
        look(listed::stat(key_below(&key)?).await).map(own)
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<inventory::Page, Error> {
        let is_open = (has("lists-all") && prefix.is_empty())
            || (has("takes-any-cursor") && cursor.is_some());
        let part = if is_open { "" } else { PART };
        let whole = format!("{part}{prefix}");
        if whole.len() > LONGEST {
            return Ok(inventory::Page { entries: Vec::new(), next: None });
        }
        let unusable = || Error::Other("the cursor is none of this store".into());
        let cursor =
            cursor.map(|cursor| cursor.strip_prefix(part).map(str::to_owned).ok_or_else(unusable));
        let page = match listed::list_artifacts(whole, cursor.transpose()?, limit).await {
            Err(_) if has("failure-is-empty") => listed::Page { entries: Vec::new(), next: None },
            page => page?,
        };
        let header = if has("lists-its-size") { 0 } else { HEADER.len() as u64 };
        let entry = |entry: listed::Entry| {
            let key = match entry.key.strip_prefix(PART) {
                Some(key) => key.to_owned(),
                None if is_open => entry.key,
                None => return None,
            };
            let size = entry.size.saturating_sub(header);
            let (modified, version) = (entry.modified, entry.version);
            (!key.is_empty()).then_some(inventory::Entry { key, size, modified, version })
        };
        let entries = page.entries.into_iter().filter_map(entry).collect();
        Ok(inventory::Page { entries, next: page.next.map(|next| format!("{part}{next}")) })
    }
}
