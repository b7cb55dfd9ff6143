//! What a failure means to the caller: one message, one exit code.

use std::borrow::Cow;
use std::io::{self, Write};

use anyhow::Result;
use artifact_store::{ConfigurationError, ErrorKind};

use crate::descriptor;
use crate::disk::Silent;
use crate::hint;
use crate::interrupt::Interrupted;
use crate::lack;
use crate::opening::Absent;
use crate::output::{Closed, Standard};
use crate::shown;

pub const FAILURE: u8 = 1;
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
pub const ALREADY_EXISTS: u8 = 4;
pub const CORRUPT: u8 = 5;
pub const UNAVAILABLE: u8 = 6;

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

/// Shows what clap has to say to the arguments: help on standard output, or what is wrong with them.
pub async fn answer(error: clap::Error) -> Result<u8> {
    if error.use_stderr() {
        let text = error.render().to_string();
        match shown::text(&text) {
            // With colours, where the user wants them.
            Cow::Borrowed(_) => drop(error.print()),
            Cow::Owned(shown) => say(shown.trim_end()),
        }
        return Ok(USAGE);
    }
    let mut out = Standard::open()?;
    match out.is_terminal() {
        true => error.print()?,
        false => out.write(error.render().to_string().as_bytes()).await?,
    }
    out.finish().await?;
    Ok(0)
}

/// Writes a line that names the program.
pub fn message(text: &str) {
    say(&format!("artifact-store: {text}"));
}

/// Writes a line on standard error. Where that is closed, nobody wants to know.
pub fn say(text: &str) {
    let text = printable(text);
    let _ = match descriptor::for_writing(descriptor::ERROR) {
        Ok(mut error) => error.write_all(text.as_bytes()),
        // The system has no duplicate of it.
        Err(error) if error.raw_os_error().is_some() => io::stderr().write_all(text.as_bytes()),
        closed => closed.map(drop),
    };
}

/// The exit code of a failure.
pub fn code(error: &anyhow::Error) -> u8 {
    if let Some(interrupted) = find::<Interrupted>(error) {
        return interrupted.code();
    }
    if lack::limit(error).is_some() {
        return UNAVAILABLE;
    }
    if find::<Usage>(error).is_some() {
        return USAGE;
    }
    if find::<Absent>(error).is_some() {
        return NOT_FOUND;
    }
    if find::<Silent>(error).is_some() {
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

/// Texts of others reach the terminal: they must neither drive it nor pass for a line of ours.
fn printable(text: &str) -> String {
    shown::text(text).replace('\n', "\n    ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_is_indented_and_escaped() {
        assert_eq!(printable("a\x1b[2J\r\nhint: é"), "a\\u{1b}[2J\\r\n    hint: é\n");
    }

    #[test]
    fn an_error_is_found_inside_an_io_error() {
        let error = io::Error::other(Usage("wrong".into()));
        let error = anyhow::Error::from(error).context("cannot do it");
        assert_eq!(code(&error), USAGE);
        assert_eq!(code(&anyhow::anyhow!("other")), FAILURE);
    }
}
