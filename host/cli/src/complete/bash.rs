use std::ffi::OsString;
use std::io::{Result, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine::complete;
use clap_complete::env::EnvCompleter;

/// Bash, for which clap's own script takes a word apart at `:` and `=` as Bash does, and quotes
/// nothing; keys have all of that.
pub struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        _bin: &str,
        _completer: &str,
        to: &mut dyn Write,
    ) -> Result<()> {
        let script = include_str!("completions.bash");
        to.write_all(script.replace("VARIABLE", variable).replace("NAME", name).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        current_dir: Option<&Path>,
        to: &mut dyn Write,
    ) -> Result<()> {
        let last = words.len().saturating_sub(1);
        for candidate in complete(command, words, last, current_dir)? {
            to.write_all(candidate.get_value().as_encoded_bytes())?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }
}
