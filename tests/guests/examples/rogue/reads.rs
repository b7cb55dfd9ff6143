//! Reads whose stream, end and header do not belong together, or that break the rules of streams.

use wit_bindgen::{FutureReader, StreamReader};

use crate::artifact::storage::types::{Error, Info, Seal};
use crate::exports::artifact::storage::streams;
use crate::wit_stream::StreamPayload;
use crate::{CHECKSUM, DATA, Rogue, forever, info, spin, wit_future, wit_stream, writes};

type Read = (Info, streams::Contents);

impl streams::Guest for Rogue {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        options: streams::WriteOptions,
    ) -> Result<Info, Error> {
        writes::write(&key, data, end, options).await
    }

    async fn read(key: String, offset: u64, _: Option<u64>) -> Result<Read, Error> {
        let (mut writer, stream) = wit_stream::new();
        let (report, outcome) = wit_future::new(|| Ok(()));
        let mut about = Info { checksum: Some(CHECKSUM), ..info(9) };
        match key.as_str() {
            "exists" => return Err(Error::AlreadyExists),
            "range" => return Err(Error::InvalidRange),
            "bad-key" => return Err(Error::InvalidKey("as asked".into())),
            "too-large-for-nothing" => return Err(Error::TooLarge(0)),
            "smaller-than-the-offset" => about.size = offset.saturating_sub(1),
            "empty-with-checksum" => about = Info { checksum: Some(5), ..info(0) },
            "huge-and-empty" => about.size = u64::MAX,
            // The host gets the reader with a read on it that has not ended.
            "busy-reader" => {
                let buffer = Box::leak(Box::new([0_u8; 16]));
                // SAFETY: the buffer is never freed.
                unsafe {
                    (u8::VTABLE.start_read)(stream.handle(), buffer.as_mut_ptr(), buffer.len())
                };
            }
            _ => {}
        }
        // The host gets a reader that has seen the end already, or a part of the bytes.
        if let "spent-reader" | "read-before" = key.as_str() {
            let mut stream = stream;
            let sent = async {
                writer.write_all(DATA.to_vec()).await;
                drop(writer);
            };
            let read = async {
                stream.read(Vec::with_capacity(4)).await;
                if key == "spent-reader" {
                    while stream.next().await.is_some() {}
                }
                stream
            };
            if key == "spent-reader" {
                let ((), stream) = futures_util::future::join(sent, read).await;
                return Ok((about, streams::Contents::Streamed((stream, outcome))));
            }
            wit_bindgen::spawn_local(sent);
            return Ok((about, streams::Contents::Streamed((read.await, outcome))));
        }
        wit_bindgen::spawn_local(async move {
            let mut report = Some(report);
            match key.as_str() {
                "over-and-over" => {
                    while writer.write_all(DATA.to_vec()).await.is_empty() {}
                    return;
                }
                "report-first" => {
                    if let Some(report) = report.take() {
                        wit_bindgen::spawn_local(async { drop(report.write(Ok(())).await) });
                    }
                }
                "failure-first" => {
                    if let Some(report) = report.take() {
                        let _ = report.write(Err(Error::Unavailable("as asked".into()))).await;
                    }
                }
                "failure-and-no-end" => {
                    if let Some(report) = report.take() {
                        let _ = report.write(Err(Error::Unavailable("as asked".into()))).await;
                    }
                    std::mem::forget(writer);
                    return;
                }
                "empty-stream" | "huge-and-empty" | "empty-with-checksum" => return,
                "spin-before-a-byte" => spin(),
                "self-talk" => {
                    let (mut to, mut from) = wit_stream::new::<u8>();
                    wit_bindgen::spawn_local(async move {
                        while to.write_all(vec![7; 4096]).await.is_empty() {}
                    });
                    while from.next().await.is_some() {}
                }
                _ => {}
            }
            writer.write_all(DATA.to_vec()).await;
            match key.as_str() {
                "unclosed" => std::mem::forget(writer),
                "unreported" => {
                    drop(writer);
                    std::mem::forget(report.take());
                }
                "trap-after-the-report" => {
                    drop(writer);
                    if let Some(report) = report.take() {
                        let _ = report.write(Ok(())).await;
                    }
                    panic!("as asked");
                }
                "silent-after-the-bytes" => forever().await,
                _ => drop(writer),
            }
            if let Some(report) = report {
                let how = match key.as_str() {
                    "long-failure" => Err(Error::Corrupt("\u{202e}\n".repeat(1 << 20))),
                    "absent-after-all" => Err(Error::NotFound),
                    _ => Ok(()),
                };
                let _ = report.write(how).await;
            }
        });
        Ok((about, streams::Contents::Streamed((stream, outcome))))
    }
}
