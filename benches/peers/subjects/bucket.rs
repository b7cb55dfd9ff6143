//! The bucket that the S3 clients share: of the SeaweedFS that the variable `WEED` names.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use artifact_store::{Backend, Sign};

use weed::Weed;
pub use weed::{BUCKET, KEY, SECRET};

// Also for the tests, which use more of them.
#[path = "../../../tests/src/ports.rs"]
mod ports;
#[allow(dead_code)]
#[path = "../../../tests/src/weed.rs"]
pub mod weed;

static SERVER: Mutex<Option<Weed>> = Mutex::new(None);

/// The server is there until this is dropped.
pub struct Server(bool);

impl Server {
    /// Starts it if it `is_needed` and there is one.
    pub fn start(is_needed: bool) -> Self {
        let is_there = is_needed && weed::binary().is_some();
        if is_there {
            *server() = Some(Weed::start());
        }
        Self(is_there)
    }

    pub fn is_there(&self) -> bool {
        self.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        server().take();
    }
}

fn server() -> std::sync::MutexGuard<'static, Option<Weed>> {
    SERVER.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn endpoint() -> String {
    server().as_ref().expect("it was started").endpoint()
}

/// The S3 backend as it is by default, with a part of the bucket of its own.
pub fn backend(dir: &Path) -> Backend {
    server().as_ref().expect("it was started").backend(&prefix(dir), Sign::Host)
}

/// The part of the bucket with the name of `dir`, and of the directory in which it lies.
pub fn prefix(dir: &Path) -> String {
    let name = |dir: &Path| dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let run = dir.parent().map(name).unwrap_or_default();
    format!("{}/{}", run.trim_start_matches('.'), name(dir))
}
