//! What a failure means to the caller: one message, one exit code.

use std::io::{self, Write};

use artifact_store::{ConfigurationError, ErrorKind};

use crate::disk::Unavailable;
use crate::hint;
use crate::interrupt::Interrupted;
use crate::opening::Absent;
use crate::output::Closed;

pub const FAILURE: u8 = 1;
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
pub const ALREADY_EXISTS: u8 = 4;
pub const CORRUPT: u8 = 5;
pub const UNAVAILABLE: u8 = 6;
pub const INTERRUPTED: u8 = 130;

/// Arguments that are well-formed and still make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Says on standard error what went wrong and what to do, and returns the exit code.
pub fn report(error: &anyhow::Error) -> u8 {
    if find::<Closed>(error).is_some() {
        return 0;
    }
    message(&format!("{error:#}"));
    if let Some(hint) = hint::of(error) {
        say(&format!("hint: {hint}"));
    }
    code(error)
}

/// Writes a line that names the program.
pub fn message(text: &str) {
    say(&format!("artifact-store: {text}"));
}

/// Where standard error is closed, nobody wants to know.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// The exit code of a failure.
pub fn code(error: &anyhow::Error) -> u8 {
    if find::<Interrupted>(error).is_some() {
        return INTERRUPTED;
    }
    if find::<Usage>(error).is_some() {
        return USAGE;
    }
    if find::<Absent>(error).is_some() {
        return NOT_FOUND;
    }
    if find::<Unavailable>(error).is_some() {
        return UNAVAILABLE;
    }
    let Some(error) = find::<artifact_store::Error>(error) else { return FAILURE };
    match error.kind() {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::AlreadyExists => ALREADY_EXISTS,
        ErrorKind::Corrupt(_) => CORRUPT,
        ErrorKind::Configuration(ConfigurationError::NoStore { .. }) => USAGE,
        _ if error.is_retryable() => UNAVAILABLE,
        _ => FAILURE,
    }
}

/// The first error of this type among the causes; an I/O error does not count what it carries
/// among its own.
pub fn find<E: std::error::Error + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| {
        let carried = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.downcast_ref::<E>().or_else(|| carried?.downcast_ref::<E>())
    })
}

/// A backend's texts reach the terminal: they must not drive it.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Lines that follow are indented: none of them passes for one of ours.
            '\n' => shown.push_str("\n    "),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(printable("a\x1b[2J\r\nhint: é"), "a\\u{1b}[2J\\r\n    hint: é");
    }

    #[test]
    fn an_error_is_found_inside_an_io_error() {
        let error = io::Error::other(Usage("wrong".into()));
        let error = anyhow::Error::from(error).context("cannot do it");
        assert_eq!(code(&error), USAGE);
        assert_eq!(code(&anyhow::anyhow!("other")), FAILURE);
    }
}
