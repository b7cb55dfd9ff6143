//! What a shell and `man` want to know of the command line.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::Usage;
use crate::output::Standard;

const NAME: &str = "artifact-store";

/// Writes a completion script for a shell
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

/// Writes the manual page, or that of one command, in roff
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store man | man -l -
  artifact-store man put > artifact-store-put.1")]
pub struct Man {
    /// The command; none writes the page of the program
    command: Option<String>,
}

impl Completions {
    pub async fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::whole(), NAME, &mut script);
        let mut script = String::from_utf8(script)?;
        if self.shell == Shell::Bash {
            // clap-rs/clap#6421: where the program's name has a hyphen, the script looks for other
            // words than it sets.
            script = script.replace("artifact__subcmd__store", "artifact__store");
        }
        print(script.as_bytes()).await
    }
}

impl Man {
    pub async fn run(self) -> Result<()> {
        let mut program = Arguments::whole();
        program.build();
        let command = match &self.command {
            None => &program,
            Some(name) => program
                .find_subcommand(name)
                .ok_or_else(|| Usage(format!("there is no command `{name}`")))?,
        };
        let mut page = Vec::new();
        let title = command.get_display_name().unwrap_or(NAME).to_owned();
        clap_mangen::Man::new(command.clone()).title(title).render(&mut page)?;
        print(&page).await
    }
}

async fn print(bytes: &[u8]) -> Result<()> {
    let mut out = Standard::open()?;
    out.write(bytes).await?;
    out.finish().await
}
