//! Moving bytes between standard input or output and the backend, in bounded memory. Both ends are
//! checked, as the contract requires of every caller.

use crc::{CRC_64_NVME, Crc};
use futures_util::future::{join, join3};
use wasip3::cli::{stdin, stdout};
use wit_bindgen::StreamResult;

use crate::bindings::artifact::storage::streams::{self, Contents, WriteOptions};
use crate::bindings::artifact::storage::types::Error;
use crate::bindings::artifact::storage::types::{Mode, Seal};
use crate::{CORRUPT, FAILURE, Failure, bindings, failure};

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

const CHUNK: usize = 256 << 10;

pub async fn put(key: &str, create: bool, size: Option<u64>) -> Result<(), Failure> {
    let mode = if create { Mode::Create } else { Mode::Overwrite };
    let (mut input, ended) = stdin::read_via_stream();
    let (mut writer, data) = bindings::wit_stream::new();
    let (say, end) = bindings::wit_future::new(|| Err("the command ended".to_owned()));
    let write = streams::write(
        key.to_owned(),
        data,
        end,
        WriteOptions { mode, size, attributes: Vec::new() },
    );
    let copy = async {
        let (mut digest, mut copied) = (CRC.digest(), 0_u64);
        let mut buffer = Vec::with_capacity(CHUNK);
        loop {
            let (result, bytes) = input.read(buffer).await;
            digest.update(&bytes);
            copied += bytes.len() as u64;
            let is_end = !matches!(result, StreamResult::Complete(_));
            // If it does not take all bytes, its answer says why.
            let rest = if bytes.is_empty() { bytes } else { writer.write_all(bytes).await };
            if is_end || !rest.is_empty() {
                break;
            }
            buffer = Vec::with_capacity(CHUNK);
        }
        drop(input);
        drop(writer);
        let how = match (ended.await, size) {
            (Err(error), _) => Err(format!("cannot read standard input: {error:?}")),
            (Ok(()), Some(size)) if size != copied => {
                Err(format!("standard input has {copied} of the expected {size} bytes"))
            }
            _ => Ok(Seal { size: copied, checksum: digest.finalize() }),
        };
        let why = how.clone().err();
        let _ = say.write(how).await;
        why
    };
    let (answer, why) = join(write, copy).await;
    match (answer, why) {
        (Ok(_), None) => Ok(()),
        (_, Some(why)) => {
            Err(Failure(format!("cannot put `{}`: {why}", key.escape_debug()), FAILURE))
        }
        (Err(error), None) => Err(failure("put", "into", key, error)),
    }
}

pub async fn get(key: &str, offset: u64, length: Option<u64>) -> Result<(), Failure> {
    let failed = |error| failure("get", "from", key, error);
    let answer = streams::read(key.to_owned(), offset, length).await;
    let (info, contents) = answer.map_err(failed)?;
    let (mut few, mut stream, outcome) = match contents {
        Contents::Bytes(bytes) => (bytes, None, None),
        Contents::Streamed((stream, outcome)) => (Vec::new(), Some(stream), Some(outcome)),
    };
    let rest = info.size.saturating_sub(offset);
    let due = length.map_or(rest, |length| length.min(rest));
    let (mut writer, output) = wasip3::wit_stream::new();
    let copy = async {
        let (mut digest, mut copied, mut is_too_long) = (CRC.digest(), 0_u64, false);
        let is_closed = loop {
            let (is_end, mut bytes) = match &mut stream {
                Some(stream) => {
                    let (result, bytes) = stream.read(Vec::with_capacity(CHUNK)).await;
                    (!matches!(result, StreamResult::Complete(_)), bytes)
                }
                None => (true, std::mem::take(&mut few)),
            };
            let room = due - copied;
            if bytes.len() as u64 > room {
                is_too_long = due == rest;
                // It fits in memory, so it fits in a `usize`.
                bytes.truncate(room as usize);
            }
            digest.update(&bytes);
            copied += bytes.len() as u64;
            let left = if bytes.is_empty() { bytes } else { writer.write_all(bytes).await };
            let is_closed = !left.is_empty();
            let is_cut = copied == due && due < rest;
            if is_end || is_closed || is_cut || is_too_long {
                break is_closed;
            }
        };
        drop(stream);
        drop(writer);
        (digest.finalize(), copied, is_too_long, is_closed)
    };
    let written = stdout::write_via_stream(output);
    let end = async {
        match outcome {
            Some(outcome) => outcome.await,
            None => Ok(()),
        }
    };
    let (copied, end, written) = join3(copy, end, written.into_future()).await;
    let (checksum, copied, is_too_long, is_closed) = copied;
    // The reader has seen enough.
    if is_closed {
        return Ok(());
    }
    let corrupt = |why: String| {
        Failure(
            format!("cannot get `{}` from the backend: corrupt: {why}", key.escape_debug()),
            CORRUPT,
        )
    };
    if is_too_long {
        return Err(corrupt(format!(
            "the artifact has more than the {} bytes that it states",
            info.size
        )));
    }
    if due == rest {
        end.map_err(|error: Error| failed(error))?;
    }
    if copied != due {
        return Err(corrupt(format!("{copied} of the expected {due} bytes arrived")));
    }
    if due == info.size && info.checksum.is_some_and(|stated| stated != checksum) {
        return Err(corrupt("the bytes do not match the artifact's checksum".into()));
    }
    written.map_err(|error| Failure(format!("cannot write standard output: {error:?}"), FAILURE))
}
