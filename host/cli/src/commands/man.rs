use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Args, Command, ValueHint};

use crate::failure::Usage;
use crate::output::Standard;
use crate::store::STORE_OPTIONS;

/// Writes the manual page of the program or of one command, in roff
#[derive(Args)]
#[command(after_help = "\
Examples:
  artifact-store man | man -l -
  artifact-store man config check | man -l -
  artifact-store man --all ~/.local/share/man/man1")]
pub struct Arguments {
    /// The command [default: the program]
    #[arg(value_name = "COMMAND", num_args = 0..=2)]
    command: Vec<String>,

    /// Write a page for the program and for each command to this directory, which is made if it is
    /// absent
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    all: Option<PathBuf>,
}

/// Of the whole `program`, or one command of it.
pub async fn run(Arguments { command, all }: Arguments, mut program: Command) -> Result<()> {
    program.build();
    if let Some(dir) = all {
        let cannot = || format!("cannot write the manual pages to `{}`", dir.display());
        fs::create_dir_all(&dir).with_context(cannot)?;
        return write_all(&program, &dir).with_context(cannot);
    }
    let mut named = &program;
    for name in &command {
        let found = named.find_subcommand(name);
        let missing = || Usage(format!("`{}` has no command `{name}`", named.get_name()));
        named = found.ok_or_else(missing)?;
    }
    let mut out = Standard::open()?;
    out.write(&page(named)?).await?;
    out.finish().await
}

fn write_all(command: &Command, dir: &Path) -> Result<()> {
    let man = clap_mangen::Man::new(command.clone());
    fs::write(dir.join(man.get_filename()), page(command)?)?;
    let mut own = command.get_subcommands().filter(|command| command.get_name() != "help");
    own.try_for_each(|command| write_all(command, dir))
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = clap_mangen::Man::new(command.clone()).title(title);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend(synopsis(command).into_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.extend(sections(&more).into_bytes());
    Ok(page)
}

/// How the command is written, with the names of the values: `clap_mangen` leaves them out.
fn synopsis(command: &Command) -> String {
    let mut roff = String::from(".SH SYNOPSIS\n");
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    roff.push_str(&format!("\\fB{}\\fR", escaped(name)));
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let (of_store, own): (Vec<_>, Vec<_>) =
        shown.partition(|it| it.get_help_heading() == Some(STORE_OPTIONS));
    let (positional, options): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|it| it.is_positional());
    if !of_store.is_empty() {
        // Every command has them; its page describes them below.
        roff.push_str(" [\\fISTORE OPTIONS\\fR]");
    }
    for argument in options.into_iter().chain(positional) {
        roff.push(' ');
        roff.push_str(&in_synopsis(argument));
    }
    if command.has_subcommands() {
        roff.push_str(" \\fICOMMAND\\fR");
    }
    roff.push('\n');
    roff
}

fn in_synopsis(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let values: Vec<_> = values.iter().map(|name| format!("\\fI{}\\fR", escaped(name))).collect();
    let is_optional_value = argument.get_num_args().is_some_and(|count| count.min_values() == 0);
    let takes = argument.get_action().takes_values();
    let values = match (takes, is_optional_value && !argument.is_positional()) {
        (false, _) => String::new(),
        (true, true) => format!("[{}]", values.join(" ")),
        (true, false) => values.join(" "),
    };
    let short = argument.get_short().map(|short| format!("\\fB\\-{short}\\fR"));
    let long = argument.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", escaped(long)));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let mut text = [names.join("|"), values].join(" ").trim().to_owned();
    if !argument.is_required_set() {
        text = format!("[{text}]");
    }
    let many = argument.get_num_args().is_some_and(|count| count.max_values() > 1);
    let is_repeated = matches!(argument.get_action(), ArgAction::Append | ArgAction::Count);
    if many && argument.is_positional() || is_repeated && !argument.is_positional() {
        text.push_str("\\&...");
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

/// What follows the options in the help: each part has a line of its own with a colon at its end.
fn sections(text: &str) -> String {
    let mut roff = String::new();
    let mut has_title = false;
    for line in text.lines() {
        let title = line.strip_suffix(':').filter(|title| !title.starts_with(' '));
        if let Some(title) = title {
            let end = if has_title { ".fi\n" } else { "" };
            roff.push_str(&format!("{end}.SH \"{}\"\n.nf\n", title.to_uppercase()));
            has_title = true;
            continue;
        }
        if !has_title {
            roff.push_str(".SH NOTES\n.nf\n");
            has_title = true;
        }
        // A line must not begin like a request.
        roff.push_str(&format!("\\&{}\n", escaped(line)));
    }
    if has_title {
        roff.push_str(".fi\n");
    }
    roff
}
