//! Writes that are answered before, without, or against what was sent.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use wit_bindgen::{FutureReader, StreamReader};

use crate::artifact::storage::types::{Error, Info, Instant, Seal};
use crate::exports::artifact::storage::streams::WriteOptions;
use crate::{forever, info, spin};

pub async fn write(
    key: &str,
    mut data: StreamReader<u8>,
    end: FutureReader<Result<Seal, String>>,
    _: WriteOptions,
) -> Result<Info, Error> {
    match key {
        "exists" => return Err(Error::AlreadyExists),
        "absent" => return Err(Error::NotFound),
        "range" => return Err(Error::InvalidRange),
        "full-of-nothing" => return Err(Error::TooLarge(0)),
        // It answers with both ends in its hands.
        "first-byte" => {
            let (_, bytes) = data.read(Vec::with_capacity(1)).await;
            std::mem::forget((data, end));
            return Ok(info(bytes.len() as u64));
        }
        "without-seal" => {
            let bytes = data.collect().await;
            std::mem::forget(end);
            return Ok(info(bytes.len() as u64));
        }
        "seal-dropped" => {
            drop(end);
            return Ok(info(data.collect().await.len() as u64));
        }
        "seal-first" => {
            let seal = end.await.map_err(Error::Other)?;
            return Ok(info(seal.size.max(data.collect().await.len() as u64)));
        }
        "asks-and-cancels" => {
            for _ in 0..10_000 {
                let mut read = pin!(data.read(Vec::with_capacity(16)));
                let asked = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending()));
                if asked.await {
                    read.as_mut().cancel();
                }
            }
        }
        "cancels-the-seal" => {
            let mut end = pin!(end.into_future());
            poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx).is_ready())).await;
            let _ = end.as_mut().cancel();
            return Ok(info(data.collect().await.len() as u64));
        }
        // The stream goes from the host back to the host.
        "to-standard-output" => {
            let written = wasip3::cli::stdout::write_via_stream(data);
            let seal = end.await.map_err(Error::Other)?;
            let _ = written.await;
            return Ok(info(seal.size));
        }
        "spin-after-a-byte" => {
            data.read(Vec::with_capacity(1)).await;
            spin();
        }
        _ => {}
    }
    let size = data.collect().await.len() as u64;
    let seal = end.await.map_err(Error::Other)?;
    match key {
        "more" => Ok(info(seal.size + 1)),
        "all" => Ok(info(u64::MAX)),
        "end-of-time" => Ok(Info {
            modified: Some(Instant { seconds: i64::MIN, nanoseconds: u32::MAX }),
            ..info(seal.size)
        }),
        "trap-at-the-seal" => panic!("as asked"),
        "unavailable-at-the-seal" => Err(Error::Unavailable("as asked".into())),
        "trap-after-the-answer" => {
            wit_bindgen::spawn_local(async {
                wit_bindgen::yield_async().await;
                panic!("as asked");
            });
            Ok(info(seal.size))
        }
        "never-answers" => forever().await,
        _ => Ok(info(size)),
    }
}
