//! A full backend that breaks its contract in the way that the key or prefix names. A call without
//! either does what the file `/behaviour` says.
#![cfg(target_family = "wasm")]

mod handles;
mod pages;
mod reads;
mod texts;
mod writes;

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:rogue;
        world rogue {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/maintenance@0.1.0;
        }
    ",
    world: "artifact:rogue/rogue",
    generate_all,
});

use artifact::storage::types::{Error, Info};
use exports::artifact::storage::artifact_store;

struct Rogue;

export!(Rogue);

/// What an honest artifact of this backend holds, with its checksum.
const DATA: &[u8] = b"123456789";
const CHECKSUM: u64 = 0xAE8B_1486_0A79_9888;

fn info(size: u64) -> Info {
    Info { size, checksum: None, modified: None, version: None, attributes: Vec::new() }
}

#[allow(clippy::empty_loop, reason = "that is what it is for")]
fn spin() -> ! {
    loop {}
}

async fn sleep(milliseconds: u64) {
    wasip3::clocks::monotonic_clock::wait_for(milliseconds * 1_000_000).await;
}

async fn forever() -> ! {
    loop {
        sleep(1000).await;
    }
}

impl artifact_store::Guest for Rogue {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Err(Error::Unsupported("only `write`".into()))
    }

    async fn get(_: String) -> Result<Vec<u8>, Error> {
        Err(Error::Unsupported("only `read`".into()))
    }

    async fn delete(key: String) -> Result<(), Error> {
        handles::misuse(&key).await;
        Ok(())
    }
}
