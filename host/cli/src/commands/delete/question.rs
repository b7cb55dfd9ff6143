//! The question before many artifacts are deleted.

use std::io::{self, IsTerminal};

use anyhow::{Result, bail};
use indicatif::HumanBytes;

use super::Chosen;
use crate::input::Input;
use crate::message;
use crate::shown;
use crate::units::count;

pub fn can_be_asked() -> bool {
    io::stdin().is_terminal()
}

/// # Errors
///
/// Unless the answer is yes.
pub async fn ask(prefix: &str, chosen: &[Chosen]) -> Result<()> {
    let artifacts = count(chosen.len() as u64, "artifact");
    let size = HumanBytes(chosen.iter().filter_map(|(_, size)| *size).sum());
    let which = match prefix {
        "" => "of the whole store".to_owned(),
        prefix => format!("whose keys begin with `{}`", shown::name(prefix)),
    };
    message::print(&format!("delete {artifacts}, {size}, {which}? [y/N]"));
    let mut input = Input::standard()?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') {
        let bytes = input.next().await?;
        if bytes.is_empty() {
            break;
        }
        answer.extend_from_slice(bytes);
    }
    let answer = String::from_utf8_lossy(&answer).trim().to_lowercase();
    if answer != "y" && answer != "yes" {
        bail!("nothing was deleted");
    }
    Ok(())
}
