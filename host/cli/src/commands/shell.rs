//! What a shell wants to know of the command line.

use std::io;

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use crate::output::Standard;

/// Writes a completion script for a shell
///
/// It completes commands, options, their values, names of stores and keys. For these it starts
/// `artifact-store`, which has to be on the path, and which asks the store that the line describes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store completions bash > ~/.local/share/bash-completion/completions/artifact-store
  artifact-store completions zsh > ~/.zfunc/_artifact-store
  artifact-store completions fish > ~/.config/fish/completions/artifact-store.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// With what writes the script of a shell.
    pub async fn run(self, script: fn(&str) -> io::Result<Vec<u8>>) -> Result<()> {
        let mut out = Standard::open()?;
        out.write(&script(&self.shell.to_string())?).await?;
        out.finish().await
    }
}
