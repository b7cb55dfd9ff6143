//! What this backend uses of WASI, generated from `system.wit`.
//!
//! Calls are lowered synchronously: each answer is due before anything else can be done, and a function
//! without a future for each call is shorter and faster. Streams and their ends stay asynchronous.

wit_bindgen::generate!({
    path: "src/wasi/system.wit",
    world: "artifact:fs-system/system",
    async: false,
    generate_all,
});

pub use wasi::cli::environment::get_environment;
pub use wasi::clocks::system_clock;
pub use wasi::filesystem::preopens::get_directories;
pub use wasi::filesystem::types;
pub use wasi::random::random::get_random_bytes;
