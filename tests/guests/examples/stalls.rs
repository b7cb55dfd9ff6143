//! A backend that takes its time in the way that the key names: `what` or `what-MILLISECONDS`.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../wit", world: "full-backend" });

use std::pin::pin;

use artifact::storage::types::{Error, Info, Seal};
use exports::artifact::storage::{artifact_store, inventory, streams};
use wasip3::clocks::monotonic_clock::{now, wait_for};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

struct Stalls;

export!(Stalls);

/// What every artifact of it seems to have, so that nothing is ever complete.
const SIZE: u64 = 1 << 30;

fn info(size: u64) -> Info {
    Info { size, checksum: None, modified: None, version: None, attributes: Vec::new() }
}

/// The word of a key, and its number.
fn parse(key: &str) -> (&str, u64) {
    match key.rsplit_once('-') {
        Some((word, number)) if number.parse::<u64>().is_ok() => (word, number.parse().unwrap()),
        _ => (key, 0),
    }
}

async fn sleep(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}

fn compute(milliseconds: u64) {
    let end = now() + milliseconds * 1_000_000;
    while now() < end {
        std::hint::black_box((0..10_000).sum::<u64>());
    }
}

async fn forever() -> ! {
    loop {
        sleep(1000).await;
    }
}

/// Sends bytes as `word` says.
async fn send(word: &str, number: u64, writer: &mut StreamWriter<u8>) {
    match word {
        // Whether there is room for nothing is asked for ever.
        "no-bytes" => while writer.write(Vec::new()).await.0 != StreamResult::Dropped {},
        "byte-each" => {
            while writer.write_all(vec![7]).await.is_empty() {
                sleep(number).await;
            }
        }
        "byte-and-compute" => {
            while writer.write_all(vec![7]).await.is_empty() {
                compute(number);
            }
        }
        "flood" => while writer.write_all(vec![7; 1 << 20]).await.is_empty() {},
        "silent" => forever().await,
        _ => {}
    }
}

/// Takes bytes as `word` says.
async fn take(word: &str, number: u64, data: &mut StreamReader<u8>) {
    match word {
        "no-bytes" => loop {
            data.read(Vec::new()).await;
        },
        "byte-each" => loop {
            sleep(number).await;
            data.read(Vec::with_capacity(1)).await;
        },
        // It asks, and takes the question back.
        "asks-again" => loop {
            let mut read = pin!(data.read(Vec::with_capacity(1024)));
            let asked = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(read.as_mut().poll(cx).is_pending())
            });
            if asked.await {
                read.as_mut().cancel();
            }
            sleep(number).await;
        },
        "silent" => forever().await,
        _ => loop {
            if let (StreamResult::Dropped, _) = data.read(Vec::with_capacity(1 << 16)).await {
                break;
            }
        },
    }
}

impl streams::Guest for Stalls {
    async fn write(
        key: String,
        mut data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        _: streams::WriteOptions,
    ) -> Result<Info, Error> {
        let (word, number) = parse(&key);
        take(word, number, &mut data).await;
        let seal = end.await.map_err(Error::Other)?;
        match word {
            "no-answer" => forever().await,
            "compute-at-the-end" => compute(number),
            // It claims the bytes, and works on.
            "after-the-answer" => wit_bindgen::spawn_local(async { forever().await }),
            _ => {}
        }
        Ok(info(seal.size))
    }

    async fn read(key: String, _: u64, _: Option<u64>) -> Result<(Info, streams::Contents), Error> {
        let (mut writer, stream) = wit_stream::new();
        let (report, outcome) = wit_future::new(|| Ok(()));
        let size = match parse(&key).0 {
            "fine" | "no-end" | "after-the-end" => 9,
            _ => SIZE,
        };
        wit_bindgen::spawn_local(async move {
            let (word, number) = parse(&key);
            if size == 9 {
                writer.write_all(b"123456789".to_vec()).await;
            }
            send(word, number, &mut writer).await;
            drop(writer);
            if word == "no-end" {
                forever().await;
            }
            let _ = report.write(Ok(())).await;
            if word == "after-the-end" {
                forever().await;
            }
        });
        Ok((info(size), streams::Contents::Streamed((stream, outcome))))
    }
}

impl artifact_store::Guest for Stalls {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn get(_: String) -> Result<Vec<u8>, Error> {
        Err(Error::NotFound)
    }

    async fn delete(key: String) -> Result<(), Error> {
        match parse(&key) {
            ("silent", _) => forever().await,
            ("compute", number) => compute(number),
            (_, number) => sleep(number).await,
        }
        Ok(())
    }
}

impl inventory::Guest for Stalls {
    async fn stat(_: String) -> Result<Info, Error> {
        Err(Error::NotFound)
    }

    /// Page after page with nothing on it.
    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        _: u32,
    ) -> Result<inventory::Page, Error> {
        let (_, number) = parse(&prefix);
        sleep(number).await;
        let page: u64 = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        Ok(inventory::Page { entries: Vec::new(), next: Some((page + 1).to_string()) })
    }
}
