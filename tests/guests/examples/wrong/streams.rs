//! Writes and reads of any size.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::artifact::storage::types::{Error, Info, Mode, Seal};
use crate::attributes;
use crate::exports::artifact::storage::streams;
use crate::files::{
    About, CRC, Found, HEADER, Temporary, compare, describe, explain, open, remove,
};
use crate::names::path;
use crate::{Wrong, fault, wit_future, wit_stream};

impl streams::Guest for Wrong {
    async fn write(
        key: String,
        mut data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        options: streams::WriteOptions,
    ) -> Result<Info, Error> {
        let path = path(&key)?;
        let create = matches!(options.mode, Mode::Create);
        if create && path.exists() && !fault("create-replaces") {
            return Err(match fault("create-says-other") {
                true => Error::Other("it exists".into()),
                false => Error::AlreadyExists,
            });
        }
        // Which is allowed.
        if fault("keeps-no-attributes") && !options.attributes.is_empty() {
            return Err(Error::Unsupported("attributes are not kept".into()));
        }
        if !fault("attributes-unchecked") {
            attributes::check(&options.attributes)?;
        }
        if !fault("replace-refused-late") {
            compare(&path, &options.mode)?;
        }
        let mut temporary = Temporary::new()?;
        let (mut digest, mut size) = (CRC.digest(), 0);
        let mut buffer = Vec::with_capacity(64 << 10);
        loop {
            let (result, bytes) = data.read(buffer).await;
            digest.update(&bytes);
            size += bytes.len() as u64;
            temporary.0.write_all(&bytes).map_err(explain)?;
            if fault("visible-early") {
                temporary.0.flush().map_err(explain)?;
                fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(explain)?;
                fs::copy(&temporary.1, &path).map_err(explain)?;
            }
            buffer = bytes;
            buffer.clear();
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        let own = digest.finalize();
        let sealed = match end.await {
            Ok(seal) => seal,
            Err(_) if fault("drop-commits") => Seal { size, checksum: own },
            Err(_) if fault("silent-reason") => return Err(Error::Other("no seal".into())),
            Err(_) if fault("aborted-is-unavailable") => {
                return Err(Error::Unavailable("no seal".into()));
            }
            Err(why) => {
                if fault("failure-removes") {
                    remove(&path)?;
                }
                return Err(Error::Other(why));
            }
        };
        let announced = options.size.is_none_or(|announced| announced == sealed.size);
        if !announced && !fault("ignore-announced") {
            return Err(Error::Other("another size was announced".into()));
        }
        let fits = match sealed.size {
            sealed if size > sealed => fault("cut-at-seal"),
            sealed if size < sealed => fault("ignore-seal-size"),
            _ => true,
        };
        if !fits {
            return Err(Error::Other(format!("{size} bytes came, {} were sealed", sealed.size)));
        }
        if own != sealed.checksum && size == sealed.size && !fault("own-checksum") {
            return Err(Error::Other("the checksum is not the seal's".into()));
        }
        let size = size.min(sealed.size);
        if fault("cut-at-seal") {
            temporary.0.set_len(HEADER + size).map_err(explain)?;
        }
        let is_swept = !temporary.1.exists();
        if is_swept && fault("swept-is-ok") {
            remove(&path)?;
            return Ok(Info {
                size,
                checksum: None,
                modified: None,
                version: None,
                attributes: Vec::new(),
            });
        }
        let about = About { size, checksum: own, attributes: &options.attributes };
        let refuses = fault("attributes-refused-late") && !options.attributes.is_empty()
            || fault("replace-refused-late") && matches!(options.mode, Mode::Replace(_));
        let mode = if refuses { &Mode::Overwrite } else { &options.mode };
        temporary.publish(&path, &about, mode)?;
        if refuses {
            return Err(Error::Unsupported("after all".into()));
        }
        // Of its own file: under the key may be another generation by now.
        let (mut info, _) = describe(&mut temporary.0)?;
        if !fault("wrong-checksum") {
            (info.size, info.checksum) = (size, Some(own));
        }
        if fault("wrong-info") {
            info.size += HEADER;
        }
        Ok(info)
    }

    async fn read(
        key: String,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Info, streams::Contents), Error> {
        let path = path(&key)?;
        if fault("reads-unavailable") {
            return Err(Error::Unavailable("as asked".into()));
        }
        if fault("reads-nothing") {
            return Err(Error::NotFound);
        }
        let (mut writer, stream) = wit_stream::new();
        let (report, outcome) =
            wit_future::new(|| Err(Error::Other("the read was dropped".into())));
        let found = match open(&path) {
            Err(Error::NotFound) if fault("read-of-absent-is-empty") => {
                drop(writer);
                wit_bindgen::spawn_local(async move {
                    let _ = report.write(Ok(())).await;
                });
                return Ok((
                    Info {
                        size: 0,
                        checksum: None,
                        modified: None,
                        version: None,
                        attributes: Vec::new(),
                    },
                    streams::Contents::Streamed((stream, outcome)),
                ));
            }
            found => found?,
        };
        let Found { mut file, mut info, length: size } = found;
        if offset > size && !fault("beyond-is-empty") || offset == size && fault("end-is-invalid") {
            return Err(Error::InvalidRange);
        }
        if length == Some(0) && fault("no-length-0") {
            return Err(Error::InvalidRange);
        }
        let end = match length {
            Some(length) if fault("length-overflows") => offset.wrapping_add(length).min(size),
            Some(length) if fault("length-is-end") => length.min(size),
            Some(length) => offset.saturating_add(length).min(size),
            None => size,
        };
        let mut due = end.saturating_sub(offset);
        if fault("range-off-by-one") && length.is_some() && offset > 0 {
            due = due.saturating_sub(1);
        }
        let from = offset + u64::from(fault("offset-off-by-one") && offset > 0);
        if fault("info-of-the-part") {
            info.size = due;
        }
        file.seek(SeekFrom::Start(HEADER + from)).map_err(explain)?;
        if let Some(bytes) = at_once(&mut file, due)? {
            return Ok((info, streams::Contents::Bytes(bytes)));
        }
        wit_bindgen::spawn_local(async move {
            let mut at = from;
            while due > 0 {
                if fault("reopens") {
                    let Ok(mut again) = File::open(&path) else { break };
                    let _ = again.seek(SeekFrom::Start(HEADER + at));
                    file = again;
                }
                let mut chunk = vec![0; due.min(64 << 10) as usize];
                let Ok(read) = file.read(&mut chunk) else { break };
                if read == 0 {
                    break;
                }
                chunk.truncate(read);
                at += read as u64;
                due -= read as u64;
                if !writer.write_all(chunk).await.is_empty() {
                    break;
                }
            }
            if fault("stream-too-long") {
                writer.write_all(vec![b'!']).await;
            }
            drop(writer);
            let end = match fault("reads-end-badly") {
                true => Err(Error::Other("the end of the file".into())),
                false => Ok(()),
            };
            let _ = report.write(end).await;
        });
        Ok((info, streams::Contents::Streamed((stream, outcome))))
    }
}

/// The `due` bytes at which `file` stands, if a fault says that they are to come without a stream.
fn at_once(file: &mut File, due: u64) -> Result<Option<Vec<u8>>, Error> {
    // The first of these is allowed.
    let (most, missing, more) = match () {
        () if fault("few-at-once") => (64 << 10, 0, 0),
        () if fault("many-at-once") => (u64::MAX, 0, 0),
        () if fault("few-are-short") => (64 << 10, 1, 0),
        () if fault("few-are-more") => (64 << 10, 0, 1),
        () => return Ok(None),
    };
    if due == 0 || due > most {
        return Ok(None);
    }
    let mut bytes = vec![0; (due - missing) as usize];
    file.read_exact(&mut bytes).map_err(explain)?;
    bytes.extend(vec![b'!'; more]);
    Ok(Some(bytes))
}
