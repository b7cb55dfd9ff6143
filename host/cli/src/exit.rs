//! What a failure means to the caller: one message, one exit code.

use std::borrow::Cow;

use anyhow::Result;
use artifact_store::{ConfigurationError, ErrorKind};

use crate::disk::Silent;
use crate::failure::{
    ALREADY_EXISTS, CORRUPT, FAILURE, NOT_FOUND, Nothing, Refused, UNAVAILABLE, USAGE, Usage, find,
};
use crate::hint;
use crate::interrupt::Interrupted;
use crate::lack;
use crate::message;
use crate::output::{Closed, Standard};
use crate::shown;
use crate::store::Absent;

/// Says on standard error what went wrong and what to do, and returns the exit code.
pub fn report(error: &anyhow::Error) -> u8 {
    if find::<Closed>(error).is_some() {
        return 0;
    }
    message::print(&format!("{error:#}"));
    if let Some(hint) = hint::of(error) {
        message::say(&format!("hint: {hint}"));
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
            Cow::Owned(shown) => message::say(shown.trim_end()),
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
    if find::<Absent>(error).is_some() || find::<Nothing>(error).is_some() {
        return NOT_FOUND;
    }
    if find::<Silent>(error).is_some() {
        return UNAVAILABLE;
    }
    if find::<Refused>(error).is_some() {
        return ALREADY_EXISTS;
    }
    let Some(error) = find::<artifact_store::Error>(error) else { return FAILURE };
    match error.kind() {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::InvalidKey(_) | ErrorKind::InvalidAttribute(_) => USAGE,
        ErrorKind::AlreadyExists | ErrorKind::ConditionFailed => ALREADY_EXISTS,
        ErrorKind::Corrupt(_) => CORRUPT,
        ErrorKind::Configuration(ConfigurationError::NoStore { .. }) => USAGE,
        _ if error.is_retryable() => UNAVAILABLE,
        _ => FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_is_found_inside_an_io_error() {
        let error = io::Error::other(Usage("wrong".into()));
        let error = anyhow::Error::from(error).context("cannot do it");
        assert_eq!(code(&error), USAGE);
        assert_eq!(code(&anyhow::anyhow!("other")), FAILURE);
    }
}
