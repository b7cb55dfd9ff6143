//! What this backend uses of WASI, generated from `system.wit`.
//!
//! Calls of the system wait for their answers: an answer is due before anything else can be done, and
//! a function that needs no future for each of them is half as long, and faster.

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
