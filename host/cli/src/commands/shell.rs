//! What a shell and `man` want to know of the command line.

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValue;
use clap_complete::Shell;

use crate::failure::Usage;
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

/// Writes the manual page of the program or of one command, in roff
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store man | man -l -
  artifact-store man put > artifact-store-put.1")]
pub struct Man {
    /// The command [default: the program]
    command: Option<String>,
}

impl Completions {
    /// Of the whole `program`.
    pub async fn run(self, mut program: clap::Command) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, NAME, &mut script);
        let script = String::from_utf8(script)?;
        print(mended(self.shell, script, &program).as_bytes()).await
    }
}

/// Mends what the generator gets wrong. `tests/tests/cli_shells.rs` asks each shell what it offers.
fn mended(shell: Shell, script: String, program: &clap::Command) -> String {
    match shell {
        // clap-rs/clap#6421: where the program's name has a hyphen, the script looks for other words
        // than it sets.
        Shell::Bash => script.replace("artifact__subcmd__store", "artifact__store"),
        Shell::Fish => {
            // An option whose value is being typed has none yet, which the parser takes for wrong.
            let parse = "argparse -s (__fish_artifact_store_global_optspecs) -- ";
            let again =
                format!("2>/dev/null\n    or {parse}$cmd[1..-2] 2>/dev/null\n    or return");
            let mut script = script.replace("2>/dev/null\n    or return", &again);
            // The values of arguments without a name are left out.
            for command in program.get_subcommands() {
                for argument in command.get_positionals() {
                    let values = argument.get_possible_values();
                    let names: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
                    if !names.is_empty() {
                        script.push_str(&format!(
                            "complete -c {NAME} -n \"__fish_artifact_store_using_subcommand {}\" \
                             -f -a \"{}\"\n",
                            command.get_name(),
                            names.join(" ")
                        ));
                    }
                }
            }
            script
        }
        _ => script,
    }
}

impl Man {
    /// Of the whole `program`, or one command of it.
    pub async fn run(self, mut program: clap::Command) -> Result<()> {
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
