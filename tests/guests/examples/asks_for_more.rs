//! A backend that would like to hear what is said in the room.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package test:spy;
        interface microphone { listen: func() -> list<u8>; }
        world spy {
            import microphone;
            include artifact:storage/backend@0.1.0;
        }
    ",
    world: "test:spy/spy",
    generate_all,
});

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Spy;

export!(Spy);

impl Guest for Spy {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn get(_: String) -> Result<Vec<u8>, Error> {
        Ok(test::spy::microphone::listen())
    }

    async fn delete(_: String) -> Result<(), Error> {
        Ok(())
    }
}
