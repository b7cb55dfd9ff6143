//! A right backend with one fault, which the variable `FAULT` names; without one it keeps every
//! rule that calls can show (it syncs no directory, which only a crash does). It is here to show
//! that the checks of the contract notice each of them. Some show only when several processes call
//! at once; `tests/linearizable.rs` has those.
#![cfg(target_family = "wasm")]

mod attributes;
mod conditional;
mod copying;
mod files;
mod inventory;
mod maintenance;
mod names;
mod ordered;
mod paging;
mod settings;
mod store;
mod streams;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:wrong;
        world wrong {
            include artifact:storage/full-backend@0.1.0;
            export artifact:storage/conditional@0.1.0;
            export artifact:storage/copying@0.1.0;
            export artifact:storage/ordered@0.1.0;
            export artifact:storage/maintenance@0.1.0;
            export artifact:storage/settings@0.1.0;
        }
    ",
    world: "artifact:wrong/wrong",
    generate_all,
});

struct Wrong;

export!(Wrong);

/// Whether the backend is to be wrong in this way.
fn fault(name: &str) -> bool {
    static FAULT: LazyLock<String> = LazyLock::new(|| std::env::var("FAULT").unwrap_or_default());
    FAULT.as_str() == name
}

thread_local! {
    /// What a backend must not have.
    static STATE: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
}
