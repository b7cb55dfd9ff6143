//! A backend that does not start while there is a file `/unready`. Each of its artifacts is empty, and
//! a put ends the instance.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../wit", world: "backend" });

use artifact::storage::types::Error;
use exports::artifact::storage::artifact_store::Guest;

struct Unready;

export!(Unready);

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// What is called when an instance starts.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes it, to be called once and before all else.
    unsafe { __wasm_call_ctors() };
    if std::fs::exists("/unready").is_ok_and(|exists| exists) {
        std::process::abort();
    }
}

impl Guest for Unready {
    async fn put(_: String, _: Vec<u8>) -> Result<(), Error> {
        std::process::abort();
    }

    async fn get(_: String) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    async fn delete(_: String) -> Result<(), Error> {
        Ok(())
    }
}
