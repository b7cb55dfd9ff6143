//! A backend that asks the host for what makes no sense, or for more of it than there is: `get` does
//! what its key says, `2 WORDS` and `3 WORDS` in these generations of WASI, and `web WORDS` over
//! HTTP. It returns what it got; a refusal is an error whose text is the code.
#![cfg(target_family = "wasm")]

mod p2;
mod p3;
mod web;

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Raids;

export!(Raids);

type Done = Result<String, String>;

/// What came of a call, as text.
fn done<T, E: std::fmt::Debug>(called: Result<T, E>) -> Done {
    called.map(|_| "done".into()).map_err(|error| format!("{error:?}"))
}

impl Guest for Raids {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        Err(Error::Unsupported("it stores nothing".into()))
    }

    async fn get(key: String) -> Result<Vec<u8>, Error> {
        let words: Vec<_> = key.split(' ').collect();
        let done = match &words[..] {
            ["2", word] => p2::raid(word),
            ["3", word] => p3::raid(word).await,
            ["web", word, endpoint] => web::raid(word, endpoint).await,
            _ => Err("no such raid".into()),
        };
        done.map(String::into_bytes).map_err(Error::Other)
    }

    async fn delete(_: String) -> Result<(), Error> {
        Ok(())
    }
}
