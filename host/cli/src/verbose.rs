//! What `-v` shows: the library's own events, on standard error.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::descriptor;

/// Without `-v` only the message of a failure is shown, and by a server also its warnings.
pub fn init(times: u8, serves: bool) {
    let level = match times {
        0 if serves => LevelFilter::WARN,
        0 => return,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // Events of wasmtime and other libraries are for their authors.
    let ours = Targets::new().with_target("artifact_store", level);
    tracing_subscriber::fmt()
        .compact()
        .with_max_level(level)
        .with_writer(standard_error)
        // Standard error may be closed.
        .log_internal_errors(false)
        .finish()
        .with(ours)
        .init();
}

fn standard_error() -> Box<dyn Write> {
    match descriptor::for_writing(descriptor::ERROR) {
        Ok(error) => error,
        Err(_) => Box::new(io::sink()),
    }
}
