//! A backend that misbehaves in the way that the key names.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:hostile;
        world hostile {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/ordered@0.1.0;
        }
    ",
    world: "artifact:hostile/hostile",
    generate_all,
});

use artifact::storage::types::{Error, Info, Instant, Seal};
use exports::artifact::storage::{artifact_store, inventory, ordered, streams};
use wit_bindgen::{FutureReader, StreamReader};

struct Hostile;

export!(Hostile);

/// What an honest artifact of this backend holds, with its checksum.
const DATA: &[u8] = b"123456789";
const CHECKSUM: u64 = 0xAE8B_1486_0A79_9888;

fn info(size: u64) -> Info {
    Info { size, checksum: Some(CHECKSUM), modified: None, version: None, attributes: Vec::new() }
}

#[allow(clippy::empty_loop, reason = "that is what it is for")]
fn misbehave(key: &str) {
    match key {
        "trap" => panic!("as asked"),
        "spin" => loop {},
        "exhaust" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1u8; 1 << 20]);
            }
        }
        "overflow" => {
            std::hint::black_box(deep(0));
        }
        "hoard-streams" => {
            std::mem::forget((0..1_000_000).map(|_| wit_stream::new::<u8>()).collect::<Vec<_>>());
        }
        "hoard-futures" => {
            let future = |_| wit_future::new(|| Ok(()));
            std::mem::forget((0..1_000_000).map(future).collect::<Vec<_>>());
        }
        "hoard-files" => {
            let mut hoard = Vec::new();
            while let Ok(file) = std::fs::File::open("/k") {
                hoard.push(file);
            }
        }
        "say" => {
            println!("\x1b[2Jout\r");
            println!("{}", "long ".repeat(2000));
            eprint!("without an end");
        }
        "chatter" => {
            for n in 0..200_000 {
                eprintln!("{n} {}", "la".repeat(100));
            }
        }
        _ => {}
    }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn deep(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    deep(depth + 1) + room[0]
}

/// Waits for what never comes; a task that waits for nothing at all would trap.
async fn wait_forever() {
    let (_writer, mut reader) = wit_stream::new::<u8>();
    reader.next().await;
}

impl artifact_store::Guest for Hostile {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        misbehave(&key);
        Err(Error::NotFound)
    }

    async fn delete(key: String) -> Result<(), Error> {
        misbehave(&key);
        Ok(())
    }
}

impl streams::Guest for Hostile {
    async fn write(
        key: String,
        data: StreamReader<u8>,
        end: FutureReader<Result<Seal, String>>,
        _: streams::WriteOptions,
    ) -> Result<Info, Error> {
        misbehave(&key);
        if key == "unsealed" {
            return Ok(info(9));
        }
        if key == "unread" {
            wait_forever().await;
        }
        if key == "full" {
            // It listens to the end while it is about to answer.
            drop(data);
            wit_bindgen::spawn_local(async { drop(end.await) });
            for _ in 0..100 {
                wit_bindgen::yield_async().await;
            }
            return Err(Error::NoSpace("as asked".into()));
        }
        if key == "deaf" {
            drop(data);
            return Err(Error::Other(end.await.err().unwrap_or_default()));
        }
        let data = data.collect().await;
        let seal = end.await.map_err(Error::Other)?;
        match key.as_str() {
            "fewer" => Ok(Info {
                size: seal.size - 1,
                checksum: None,
                modified: None,
                version: None,
                attributes: Vec::new(),
            }),
            "other-checksum" => Ok(Info {
                size: seal.size,
                checksum: Some(1),
                modified: None,
                version: None,
                attributes: Vec::new(),
            }),
            _ => Ok(Info {
                size: data.len() as u64,
                checksum: None,
                modified: None,
                version: None,
                attributes: Vec::new(),
            }),
        }
    }

    async fn read(key: String, _: u64, _: Option<u64>) -> Result<(Info, streams::Contents), Error> {
        misbehave(&key);
        let at_once = match key.as_str() {
            "fine-at-once" => Some((9, DATA.to_vec())),
            "short-at-once" => Some((10, DATA.to_vec())),
            "long-at-once" => Some((8, DATA.to_vec())),
            "wrong-at-once" => Some((9, b"123456780".to_vec())),
            "nothing-at-once" => Some((u64::MAX, Vec::new())),
            "too-much-at-once" => Some((65_537, vec![0; 65_537])),
            "flood-at-once" => Some((60 << 20, vec![0; 60 << 20])),
            _ => None,
        };
        if let Some((size, bytes)) = at_once {
            return Ok((info(size), streams::Contents::Bytes(bytes)));
        }
        let (mut writer, stream) = wit_stream::new();
        let (report, outcome) = wit_future::new(|| Ok(()));
        let (size, sent, how) = match key.as_str() {
            "short" => (10, DATA, Ok(())),
            "long" => (8, DATA, Ok(())),
            "wrong" => (9, &b"123456780"[..], Ok(())),
            "failed" => (9, DATA, Err(Error::Unavailable("as asked".into()))),
            "huge" => (u64::MAX, DATA, Ok(())),
            "fine" | "endless" | "late-trap" | "late-spin" => (9, DATA, Ok(())),
            // More than a host takes without a reader, so that it has to wait for one.
            "flood" | "flood-spin" => (1 << 30, DATA, Ok(())),
            "loud" => return Err(Error::Other("\x1b[2Jloud ".repeat(1 << 20))),
            _ => return Err(Error::NotFound),
        };
        if key == "flood-spin" {
            wit_bindgen::spawn_local(async {
                // The flood comes first.
                for _ in 0..100 {
                    wit_bindgen::yield_async().await;
                }
                misbehave("spin");
            });
        }
        wit_bindgen::spawn_local(async move {
            writer.write_all(sent.to_vec()).await;
            match key.as_str() {
                "endless" => wait_forever().await,
                "late-trap" => misbehave("trap"),
                "late-spin" => misbehave("spin"),
                "flood" | "flood-spin" => {
                    while writer.write_all(vec![0; 1 << 20]).await.is_empty() {}
                }
                _ => {}
            }
            drop(writer);
            let _ = report.write(how).await;
        });
        Ok((info(size), streams::Contents::Streamed((stream, outcome))))
    }
}

impl inventory::Guest for Hostile {
    async fn stat(key: String) -> Result<Info, Error> {
        misbehave(&key);
        let seconds = match key.as_str() {
            "end-of-time" => i64::MAX,
            "before-time" => i64::MIN,
            _ => return Err(Error::NotFound),
        };
        Ok(Info {
            size: u64::MAX,
            checksum: None,
            modified: Some(Instant { seconds, nanoseconds: u32::MAX }),
            version: None,
            attributes: Vec::new(),
        })
    }

    async fn list_artifacts(
        prefix: String,
        cursor: Option<String>,
        _: u32,
    ) -> Result<inventory::Page, Error> {
        let entry = |key: &str| inventory::Entry {
            key: key.into(),
            size: 0,
            modified: None,
            version: None,
        };
        let (entries, next) = match prefix.as_str() {
            "elsewhere" => (vec![entry("other")], None),
            "control" => (vec![entry("control\n")], None),
            "twice" => (vec![entry("twice"), entry("twice")], None),
            "loop" => (vec![], Some("again".into())),
            "circle" => {
                let next = if cursor.as_deref() == Some("there") { "back" } else { "there" };
                (vec![], Some(next.into()))
            }
            "huge" => (vec![entry(&format!("huge\n{}", "x".repeat(60 << 20)))], None),
            "huge-twice" => {
                (vec![entry(&"x".repeat(20 << 20)), entry(&"x".repeat(20 << 20))], None)
            }
            "huge-cursor" => (vec![entry("huge-cursor")], Some("x".repeat(40 << 20))),
            "crowd" => ((0..100_000).map(|n| entry(&format!("crowd{n}"))).collect(), None),
            _ => (vec![], None),
        };
        Ok(inventory::Page { entries, next })
    }
}

impl ordered::Guest for Hostile {
    async fn list_ordered(
        prefix: String,
        after: Option<String>,
        _: Option<String>,
        _: u32,
    ) -> Result<ordered::OrderedPage, Error> {
        misbehave(&prefix);
        let after = after.unwrap_or_default();
        let (keys, prefixes, next): (&[&str], &[&str], _) = match prefix.as_str() {
            "unsorted" => (&["unsorted2", "unsorted1"], &[], None),
            "twice" => (&["twice", "twice"], &[], None),
            "elsewhere" => (&["other"], &[], None),
            "control" => (&["control\n"], &[], None),
            "before" => (&["before"], &[], None),
            "unfolded" => (&["unfolded/x"], &[], None),
            "unasked" => (&[], &["unasked"], None),
            "too-deep" => (&[], &["too-deep/x/"], None),
            "crowd" => (&["crowd"; 20_000], &[], None),
            "back" => (&["back"], &[], Some(String::new())),
            "still" => (&[], &[], Some(after)),
            "for-ever" => (&[], &[], Some(after + "x")),
            "huge-next" => (&[], &[], Some("x".repeat(40 << 20))),
            "absent" => return Err(Error::NotFound),
            _ => (&[], &[], None),
        };
        let entry = |key: &&str| inventory::Entry {
            key: (*key).into(),
            size: 0,
            modified: None,
            version: None,
        };
        let prefixes = prefixes.iter().map(|prefix| (*prefix).into()).collect();
        Ok(ordered::OrderedPage { entries: keys.iter().map(entry).collect(), prefixes, next })
    }
}
